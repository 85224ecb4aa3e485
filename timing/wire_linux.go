package timing

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// sqPollIdle is how long the kernel's polling thread spins for more work before it sleeps: the least that the kernel
// takes. It rounds up to its scheduler ticks, so the truth is 4 to 8 ms at 250 Hz.
const sqPollIdle = time.Millisecond

func openWireExecutor(w *Wire, config WireConfig) (wireExecutor, WireReport) {
	return openKernelExecutor(w, config, kernel.SystemSetup)
}

func openKernelExecutor(w *Wire, config WireConfig, setup kernel.Setup) (wireExecutor, WireReport) {
	switch {
	case config.Mode == WireClock:
		return newClockExecutor(w, "the clock was asked for")
	case !isMachineClock(w.clock):
		return newClockExecutor(w, "the clock is not the machine's monotonic one")
	}
	e, err := newRingExecutor(w, config, setup)
	if err != nil {
		return newClockExecutor(w, err.Error())
	}
	report := WireReport{Kernel: true, Mode: WireSQPoll, Policy: "SCHED_OTHER"}
	if e.owner != nil {
		report.Mode, report.Policy, report.Notes = WireOwnerThread, e.owner.report.Policy, e.owner.report.Notes
	}
	return e, report
}

// isMachineClock tells a clock that reads CLOCK_MONOTONIC from one that does not: a reading between two of our own
// lies between them.
func isMachineClock(c Clock) bool {
	before := monotonicNow()
	now := c.Now()
	return before <= now && now <= monotonicNow()
}

// ringExecutor has the kernel send: each send is a TIMEOUT request linked to a SENDMSG request, so that the second
// starts when the first expires and is dropped when the first is cancelled.
//
// A request is executed by the thread that submitted it, on its way out of the kernel or out of a sleep there, and is
// cancelled when that thread ends. So one thread submits all: the owner thread, or the kernel's polling one. Neither
// needs a Go processor for it. Completions arrive at the reaper, an ordinary goroutine.
type ringExecutor struct {
	wire  *Wire
	ring  *uring
	owner *uringOwner // nil where the kernel's thread polls.

	// completed counts up when a completion is there (IORING_REGISTER_EVENTFD).
	completed *os.File
	reaper    sync.WaitGroup

	// Guarded by wire.mu, which also orders the use of the mapped memory: the race detector and Go's memory model see
	// nothing of the kernel's side.
	slots    wireSlots
	sends    []*WireSend // By slot, nil where free.
	sequence uint32
}

func newRingExecutor(w *Wire, config WireConfig, setup kernel.Setup) (*ringExecutor, error) {
	e := &ringExecutor{wire: w, sends: make([]*WireSend, w.capacity)}
	if err := e.open(config, setup); err != nil {
		return nil, errors.Join(err, e.release())
	}
	e.reaper.Go(e.reap)
	return e, nil
}

func (e *ringExecutor) open(config WireConfig, setup kernel.Setup) (err error) {
	// Each pending send is at most two submissions that the kernel has not taken yet, and ends in one completion: the
	// ring, which has twice as many places for completions, never overflows.
	params := kernel.Params{SQEntries: uint32(2 * e.wire.capacity)}
	if config.Mode == WireSQPoll {
		params.Flags, params.SQThreadIdle = kernel.SetupSQPoll, uint32(sqPollIdle/time.Millisecond)
	}
	if e.ring, err = openUring(setup, params); err != nil {
		return err
	}
	if err = e.ring.probe(); err != nil {
		return err
	}
	if err = e.slots.open(e.wire.capacity); err != nil {
		return err
	}
	if e.completed, err = e.ring.notify(); err != nil {
		return err
	}
	if config.Mode != WireSQPoll {
		e.owner, err = startUringOwner(e.ring, config.CPUs)
	}
	return err
}

func (e *ringExecutor) submit(x *WireSend, datagram []byte, to netip.AddrPort) error {
	index := e.slots.take()
	slot := e.slots.at(index)
	if err := slot.fill(x, datagram, to); err != nil {
		e.slots.give(index)
		return err
	}
	e.sequence++
	x.ticket = wireTicket(e.sequence, index)
	e.sends[index] = x
	e.ring.push(slot.timeout(x.ticket))
	e.ring.push(slot.sendmsg(x.ticket, x.socket.endpoint.fd))
	e.ring.publish()
	e.wake()
	return nil
}

// wake has the submitting thread take what was published. The calls cannot fail: an eventfd takes any count that we
// reach, and io_uring_enter fails only for a ring that is not ours.
func (e *ringExecutor) wake() {
	if e.owner != nil {
		e.owner.wake(uringOwnerSubmit)
		return
	}
	e.ring.wakePoller()
}

// cancel asks the kernel to drop the timeout and with it the send. That it did not find the timeout is final. That it
// did is not: it says so too of one that expires while it looks. The completion tells, which follows at once.
//
// The kernel cannot find what the submitting thread has not taken yet, so that is waited for as well: the thread needs a
// CPU, which an owner with SCHED_FIFO has at once, and no Go processor.
func (e *ringExecutor) cancel(x *WireSend, reason error) {
	for !e.ring.taken() {
		e.wake() // Again, should the kernel have lacked memory at the first.
		yieldCPU()
	}
	x.reason = reason
	if e.ring.cancel(x.ticket|wireTimeoutTicket) != nil {
		return
	}
	for e.collect(); !x.settled; e.collect() {
		yieldCPU()
	}
}

// yieldCPU lets other threads of this CPU run. It keeps the Go processor: the caller holds the wire's mutex.
func yieldCPU() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

func (e *ringExecutor) collect() {
	for {
		completion, ok := e.ring.pop()
		if !ok {
			return
		}
		index := wireTicketSlot(completion.UserData)
		x := e.sends[index]
		e.sends[index] = nil
		e.slots.give(index)
		e.wire.settleLocked(x, x.outcome(completion.Res))
	}
}

// outcome reads a completion's result: the bytes sent, which for a datagram are all, or a negative error number.
func (x *WireSend) outcome(result int32) error {
	switch {
	case result >= 0:
		return nil
	case unix.Errno(-result) == unix.ECANCELED && x.reason != nil:
		return x.reason
	}
	return fmt.Errorf("wire: send: %w", unix.Errno(-result))
}

// reap collects completions until close.
func (e *ringExecutor) reap() {
	var count [8]byte
	for {
		if _, err := e.completed.Read(count[:]); err != nil {
			return
		}
		e.wire.mu.Lock()
		e.collect()
		e.wire.mu.Unlock()
	}
}

func (e *ringExecutor) close() error {
	closed := e.completed.Close()
	e.reaper.Wait()
	e.completed = nil
	return errors.Join(closed, e.release())
}

// release undoes open, as far as that came.
func (e *ringExecutor) release() error {
	var problems []error
	if e.owner != nil {
		problems = append(problems, e.owner.stop())
	}
	if e.completed != nil {
		problems = append(problems, e.completed.Close())
	}
	if e.ring != nil {
		problems = append(problems, e.ring.Close())
	}
	return errors.Join(append(problems, e.slots.close())...)
}
