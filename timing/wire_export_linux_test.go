package timing

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// NewWireRefused makes a wire on a machine that answers io_uring_setup with an error.
func NewWireRefused(clock Clock, answer error) *Wire {
	return newWireOn(clock, func(uint32, *uringParams) (int, error) { return -1, answer })
}

// NewWireFeatureless makes a wire on a machine whose io_uring is from before Linux 5.17.
func NewWireFeatureless(clock Clock) *Wire {
	return newWireOn(clock, func(entries uint32, params *uringParams) (int, error) {
		fd, err := ioUringSetup(entries, params)
		params.features &^= ioringFeatCQESkip
		return fd, err
	})
}

// NewWireRestricted makes a wire on a machine whose io_uring allows only some requests and registrations, which
// io_uring itself enforces (IORING_REGISTER_RESTRICTIONS).
func NewWireRestricted(clock Clock, cancelling bool) *Wire {
	return newWireOn(clock, func(entries uint32, params *uringParams) (int, error) {
		const setupDisabled, registerRestrictions, registerEnable = 1 << 6, 11, 12
		params.flags |= setupDisabled
		fd, err := ioUringSetup(entries, params)
		if err != nil {
			return fd, err
		}
		restrictions := []uringRestriction{
			{kind: restrictSQEOp, value: ioringOpNop},
			{kind: restrictSQEFlagsAllowed, value: iosqeIOLink | iosqeCQESkipSuccess},
			{kind: restrictRegisterOp, value: registerEnable},
		}
		if !cancelling {
			restrictions = append(restrictions, uringRestriction{kind: restrictSQEOp, value: ioringOpTimeout})
		}
		r := uring{fd: fd}
		if err := r.registerMany(registerRestrictions, unsafe.Pointer(&restrictions[0]), len(restrictions)); err != nil {
			return fd, err
		}
		return fd, r.registerMany(registerEnable, nil, 0)
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

func (r *uring) registerMany(opcode uintptr, arg unsafe.Pointer, n int) error {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), opcode, uintptr(arg), uintptr(n), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func newWireOn(clock Clock, setup uringSetup) *Wire {
	return newWire(clock, WireConfig{}, func(w *Wire, config WireConfig) (wireExecutor, WireReport) {
		return openKernelExecutor(w, config, setup)
	})
}
