//go:build linux

package bench

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

// pacer is a timerfd in Go's netpoller: a goroutine waits on it until an instant. What only measures waits so too: a
// timer of package time would stand beside the arm's own, and a goroutine that sleeps in a system call keeps its Go
// processor for up to ten milliseconds, until the runtime takes notice, which other goroutines then lack.
type pacer struct {
	fd   int
	file *os.File
}

func newPacer() (*pacer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timerfd: %w", err)
	}
	// A descriptor that does not block is registered with the netpoller.
	return &pacer{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}, nil
}

// waitUntil blocks until an instant, or with an error when the pacer is closed. Only one goroutine may wait.
func (p *pacer) waitUntil(at timing.Instant) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(at))}
	if err := unix.TimerfdSettime(p.fd, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		return fmt.Errorf("arm timerfd: %w", err)
	}
	var expirations [8]byte
	if _, err := p.file.Read(expirations[:]); err != nil {
		return fmt.Errorf("wait for timerfd: %w", err)
	}
	return nil
}

// close wakes who waits; closing again is no error.
func (p *pacer) close() error {
	if err := p.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close timerfd: %w", err)
	}
	return nil
}
