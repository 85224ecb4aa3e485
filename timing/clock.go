package timing

import "time"

// Clock tells monotonic time and arms timers on it. Methods are safe for concurrent use and do not block.
//
// A callback given to AfterFunc or At runs on a goroutine of its own, as with [time.AfterFunc], and may block.
// [Inline] gives a view of a clock whose callbacks run on the waker's thread instead.
type Clock interface {
	// Now returns the present instant. It does not allocate and costs tens of nanoseconds.
	Now() Instant
	// AfterFunc arms a timer d from now. Saturates: d may be up to math.MaxInt64.
	AfterFunc(d time.Duration, f func()) Timer
	// At arms a timer at an absolute instant. An instant that has passed fires promptly.
	At(at Instant, f func()) Timer
}

// Timer is one armed, fired or stopped deadline of a [Clock]. Its methods are safe for concurrent use, also from
// inside the timer's own callback, and do not block.
type Timer interface {
	// Stop disarms the timer. It reports true when the timer was armed: its callback will not run for that arming.
	// It does not wait for a callback that has begun.
	Stop() bool
	// Reset arms the timer d from now, whether it was armed or not, and reports whether it was.
	Reset(d time.Duration) bool
	// ResetAt arms the timer at an absolute instant, whether it was armed or not, and reports whether it was.
	ResetAt(at Instant) bool
}

// Inliner is implemented by clocks that can run a callback on the very thread that saw the deadline pass.
type Inliner interface {
	// Inline returns a view of the same clock whose callbacks run on the waker's thread. Such a callback must be
	// bounded (well under a millisecond) and must not block: every other timer waits for it.
	Inline() Clock
}

// Inline returns c's view for short, non-blocking callbacks, or c itself where it has none. It saves the hand-over to
// a goroutine, which is the largest part of a callback's lateness once the thread has woken.
func Inline(c Clock) Clock {
	if v, ok := c.(Inliner); ok {
		return v.Inline()
	}
	return c
}

// Coarser is implemented by clocks that can fire timers with wide slack so that they share wakes.
type Coarser interface {
	// Coarse returns a view of the same clock for deadlines that may fire up to [CoarseSlack] late.
	Coarse() Clock
}

// CoarseSlack is how late a coarse timer may fire so that several share one wake. It suits lifetimes of seconds and
// more (allocations, permissions, tokens), never a protocol's retransmissions.
const CoarseSlack = 50 * time.Millisecond

// Coarse returns c's view for lifetimes, or c itself where it has none.
func Coarse(c Clock) Clock {
	if v, ok := c.(Coarser); ok {
		return v.Coarse()
	}
	return c
}
