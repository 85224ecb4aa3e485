package turn

import (
	"sync"
	"time"

	"tourbillon/timing"
)

const (
	backoffFirst = 5 * time.Millisecond
	backoffMost  = time.Second
)

// backoff spaces the retries of a socket that fails for a reason that passes (EMFILE, ENOBUFS, ENETDOWN): no
// listener and no relay ends for it. One goroutine owns it.
type backoff struct {
	clock timing.Clock
	next  time.Duration
}

// wait pauses before the next try and reports false when done was closed meanwhile.
func (b *backoff) wait(done <-chan struct{}) bool {
	b.next = min(max(2*b.next, backoffFirst), backoffMost)
	return pause(b.clock, b.next, done)
}

// pause waits and reports false when done was closed meanwhile.
func pause(clock timing.Clock, d time.Duration, done <-chan struct{}) bool {
	elapsed := make(chan struct{})
	timer := clock.AfterFunc(d, func() { close(elapsed) })
	defer timer.Stop()
	select {
	case <-elapsed:
		return true
	case <-done:
		return false
	}
}

// reset makes the next wait a short one.
func (b *backoff) reset() { b.next = 0 }

// latch is a channel that closes once, however often and from wherever it is told to.
type latch struct {
	once sync.Once
	done chan struct{}
}

func newLatch() *latch { return &latch{done: make(chan struct{})} }

// close reports whether this call was the one that closed it.
func (l *latch) close() (first bool) {
	l.once.Do(func() { close(l.done); first = true })
	return first
}

func (l *latch) closed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}
