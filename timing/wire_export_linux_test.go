package timing

import (
	"unsafe"

	"tourbillon/timing/kernel"
)

// NewWireRefused makes a wire on a machine that answers io_uring_setup with an error.
func NewWireRefused(clock Clock, answer error) *Wire {
	return newWireOn(clock, func(uint32, *kernel.Params) (int, error) { return -1, answer })
}

// NewWireFeatureless makes a wire on a machine whose io_uring is from before Linux 5.17.
func NewWireFeatureless(clock Clock) *Wire {
	return newWireOn(clock, func(entries uint32, params *kernel.Params) (int, error) {
		fd, err := kernel.SystemSetup(entries, params)
		params.Features &^= kernel.FeatCQESkip
		return fd, err
	})
}

// NewWireRestricted makes a wire on a machine whose io_uring allows only some requests and registrations, which
// io_uring itself enforces (IORING_REGISTER_RESTRICTIONS).
func NewWireRestricted(clock Clock, cancelling bool) *Wire {
	return newWireOn(clock, func(entries uint32, params *kernel.Params) (int, error) {
		const setupDisabled, registerRestrictions, registerEnable = 1 << 6, 11, 12
		params.Flags |= setupDisabled
		fd, err := kernel.SystemSetup(entries, params)
		if err != nil {
			return fd, err
		}
		restrictions := []uringRestriction{
			{kind: restrictSQEOp, value: kernel.OpNop},
			{kind: restrictSQEFlagsAllowed, value: kernel.SQEIOLink | kernel.SQECQESkipSuccess},
			{kind: restrictRegisterOp, value: registerEnable},
		}
		if !cancelling {
			restrictions = append(restrictions, uringRestriction{kind: restrictSQEOp, value: kernel.OpTimeout})
		}
		r := kernel.Ring{FD: fd}
		if err := r.Register(registerRestrictions, unsafe.Pointer(&restrictions[0]), len(restrictions)); err != nil {
			return fd, err
		}
		return fd, r.Register(registerEnable, nil, 0)
	})
}

// uringRestriction is struct io_uring_restriction.
type uringRestriction struct {
	kind  uint16
	value uint8
	_     [13]uint8
}

const (
	restrictRegisterOp      = 0 // IORING_RESTRICTION_REGISTER_OP
	restrictSQEOp           = 1 // IORING_RESTRICTION_SQE_OP
	restrictSQEFlagsAllowed = 2 // IORING_RESTRICTION_SQE_FLAGS_ALLOWED
)

func newWireOn(clock Clock, setup kernel.Setup) *Wire {
	return newWire(clock, WireConfig{}, func(w *Wire, config WireConfig) (wireExecutor, WireReport) {
		return openKernelExecutor(w, config, setup)
	})
}
