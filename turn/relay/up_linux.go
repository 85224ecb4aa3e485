package relay

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// up is Go's end of a queue of packets that a loop does not handle. One goroutine at a time takes.
type up struct {
	ring *upRing
	fd   int
	file *os.File // the eventfd, in Go's poller
}

func openUp(r *upRing) (*up, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	return &up{ring: r, fd: fd, file: os.NewFile(uintptr(fd), "relay packets")}, nil
}

// peek waits for a packet and returns it where it lies, until done. Its error is that of the eventfd: closed, or past
// its deadline. Without wait it returns nil where there is none.
func (u *up) peek(wait bool) (*upEntry, error) {
	var count [8]byte
	for {
		tail := u.ring.tail
		if atomic.LoadUint32(&u.ring.head) != tail {
			return &u.ring.entries[tail%upSlots], nil
		}
		if !wait {
			return nil, nil
		}
		atomic.StoreUint32(&u.ring.waiting, 1)
		if atomic.LoadUint32(&u.ring.head) != tail {
			continue
		}
		if _, err := u.file.Read(count[:]); err != nil {
			return nil, err
		}
	}
}

// done gives the place of the packet that peek returned back to the loop.
func (u *up) done() { atomic.StoreUint32(&u.ring.tail, u.ring.tail+1) }

// await waits until there is a packet, or a count that the loop keeps is no more what it was.
func (u *up) await(changes *uint32, was uint32) error {
	var count [8]byte
	atomic.StoreUint32(&u.ring.waiting, 1)
	if atomic.LoadUint32(&u.ring.head) != u.ring.tail || atomic.LoadUint32(changes) != was {
		return nil
	}
	_, err := u.file.Read(count[:])
	return err
}

func (u *up) setDeadline(t time.Time) error { return u.file.SetReadDeadline(t) }

// close ends a waiting take. The loop may still write to the eventfd until release.
func (u *up) close() { _ = u.file.SetReadDeadline(time.Unix(1, 0)) }

func (u *up) release() error { return u.file.Close() }

// isTimeout tells whether an error is that of a deadline.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
