package relay

import (
	"errors"
	"fmt"
	"unsafe"

	"tourbillon/timing/kernel"
)

// openRing makes a loop's io_uring instance. It is called on the loop's thread, which alone may submit then
// (IORING_SETUP_SINGLE_ISSUER): the kernel then runs its part of the work only when the loop asks, in its own time.
func openRing(m *memory) (*kernel.Ring, error) {
	p := kernel.Params{
		Flags:     kernel.SetupSubmitAll | kernel.SetupCQSize | kernel.SetupSingleIssuer | kernel.SetupDeferTaskrun,
		SQEntries: sqEntries, CQEntries: cqEntries,
	}
	r, err := kernel.Open(kernel.SystemSetup, &p, kernel.FeatNoDrop|kernel.FeatExtArg|kernel.FeatCQESkip)
	if err != nil {
		return nil, fmt.Errorf("open a ring (Linux 6.1): %w", err)
	}
	if err := errors.Join(m.useRing(r), registerBuffers(r, m)); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if p.Features&kernel.FeatMinTimeout == 0 {
		m.loop.wait.minWait = 0
	}
	m.loop.ringFD, m.loop.uring = int32(r.FD), true
	m.loop.recvHeader = msghdr{nameLen: nameBytes, controlLen: controlBytes}
	return r, nil
}

// useRing shows the loop the rings.
func (m *memory) useRing(r *kernel.Ring) error {
	if len(r.SQEs) != sqEntries || len(r.CQEs) != cqEntries {
		return fmt.Errorf("io_uring gives %d and %d entries, not %d and %d", len(r.SQEs), len(r.CQEs), sqEntries, cqEntries)
	}
	l := &m.loop
	l.sqTail, l.cqHead, l.cqTail = r.SQTail, r.CQHead, r.CQTail
	l.sqes, l.cqes = (*[sqEntries]kernel.SQE)(r.SQEs), (*[cqEntries]kernel.CQE)(r.CQEs)
	return nil
}

// registerBuffers tells the kernel the ring of buffers and fills it.
func registerBuffers(r *kernel.Ring, m *memory) error {
	reg := bufferReg{addr: uint64(uintptr(unsafe.Pointer(&m.ring))), entries: buffers, group: group}
	if err := r.Register(kernel.RegisterBufferRing, unsafe.Pointer(&reg), 1); err != nil {
		return fmt.Errorf("register io_uring's buffers: %w", err)
	}
	for i := range buffers {
		m.offer(uint16(i))
	}
	m.publishBuffers()
	return nil
}
