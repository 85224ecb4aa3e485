package timing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Scheduling of the engine's thread.
const (
	// fifoPriority is the SCHED_FIFO priority asked for: above every ordinary thread, below the kernel's own (50).
	fifoPriority = 10
	// timerSlackNS replaces the default 50 µs slack of this thread's sleeps (prctl(2), PR_SET_TIMERSLACK).
	timerSlackNS = 1
)

// hrtimerWaker sleeps in epoll_wait over a timerfd on CLOCK_MONOTONIC with absolute deadlines. The infinite epoll
// timeout escapes both roundings that package time suffers: whole milliseconds and the kernel's 0.1 % slack.
type hrtimerWaker struct {
	epollFD, timerFD, eventFD int
	// descriptors guards the three against use after close: arm holds it shared, the loop's end exclusively.
	descriptors sync.RWMutex
	closed      bool
}

func newWaker() (waker, error) {
	w := &hrtimerWaker{epollFD: -1, timerFD: -1, eventFD: -1}
	if err := w.open(); err != nil {
		w.release()
		return nil, err
	}
	return w, nil
}

func (w *hrtimerWaker) open() (err error) {
	if w.timerFD, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return &EngineError{Attempt: "create timerfd", Err: err}
	}
	if w.eventFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return &EngineError{Attempt: "create eventfd", Err: err}
	}
	if w.epollFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return &EngineError{Attempt: "create epoll instance", Err: err}
	}
	for _, fd := range []int{w.timerFD, w.eventFD} {
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
		if err = unix.EpollCtl(w.epollFD, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			return &EngineError{Attempt: "add to epoll instance", Err: err}
		}
	}
	return nil
}

func (w *hrtimerWaker) arm(at Instant) {
	w.descriptors.RLock()
	defer w.descriptors.RUnlock()
	if w.closed {
		return
	}
	spec := unix.ItimerSpec{} // All zero disarms.
	if at != Never {
		// An it_value of 0 would disarm too; an instant in the past fires at once.
		spec.Value = unix.NsecToTimespec(int64(max(at, 1)))
	}
	// The arguments are valid by construction, so the call cannot fail (timerfd_settime(2), ERRORS).
	_ = unix.TimerfdSettime(w.timerFD, unix.TFD_TIMER_ABSTIME, &spec, nil)
}

// loop owns the engine's thread. The thread is not unlocked at the end, so that the runtime discards it together
// with its changed scheduling.
func (w *hrtimerWaker) loop(expire func(), started func(EngineReport)) {
	runtime.LockOSThread()
	defer w.release()
	started(configureThread())
	var events [2]unix.EpollEvent
	var expirations [8]byte
	for {
		n, err := unix.EpollWait(w.epollFD, events[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return // Only a closed descriptor gets here; the backstop serves on.
		}
		for _, event := range events[:max(n, 0)] {
			if int(event.Fd) == w.eventFD {
				return
			}
			_, _ = unix.Read(w.timerFD, expirations[:]) // Only clears readiness.
			expire()
		}
	}
}

func (w *hrtimerWaker) close() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(w.eventFD, one[:]) // An eventfd's counter at 0 always takes 1.
}

func (w *hrtimerWaker) release() {
	w.descriptors.Lock()
	defer w.descriptors.Unlock()
	w.closed = true
	for _, fd := range []int{w.epollFD, w.timerFD, w.eventFD} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// configureThread asks for real-time scheduling of the calling thread; a refusal is a note, never an error.
func configureThread() EngineReport {
	report := EngineReport{Policy: "SCHED_OTHER"}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlackNS, 0, 0, 0); err != nil {
		report.Notes = append(report.Notes, fmt.Sprintf("timer slack stays at the default: %v", err))
	}
	if runtime.NumCPU() < 2 {
		// On one CPU a FIFO thread would keep every other from running.
		report.Notes = append(report.Notes, "SCHED_FIFO not asked for: a single CPU")
		return report
	}
	attr := unix.SchedAttr{
		Size:     unix.SizeofSchedAttr,
		Policy:   unix.SCHED_FIFO,
		Flags:    unix.SCHED_FLAG_RESET_ON_FORK,
		Priority: fifoPriority,
	}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		report.Notes = append(report.Notes, fmt.Sprintf("SCHED_FIFO not granted (%v): set LimitRTPRIO=%d in the unit", err, fifoPriority))
		return report
	}
	report.Policy = fmt.Sprintf("SCHED_FIFO %d", fifoPriority)
	return report
}
