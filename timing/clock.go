package timing

import "time"

// Clock tells monotonic time and arms timers on it. Methods are safe for concurrent use and do not block.
//
// A callback given to AfterFunc or At may block, as with [time.AfterFunc]. It may share its goroutine with other callbacks, so
// what it changes of the goroutine (runtime.LockOSThread, profiler labels) it has to change back.
// [Inline] gives a view of a clock whose callbacks run on the waker's goroutine instead.
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

// Inliner is implemented by clocks that can run a callback on the very goroutine that saw the deadline pass.
type Inliner interface {
	// Inline returns a view of the same clock whose callbacks run on whatever goroutine saw the deadline pass. Such a
	// callback must be bounded (well under a millisecond) and must not block: other timers may wait for it. Callbacks
	// of different timers may run at the same time.
	Inline() Clock
}

// Inline returns c's view for short, non-blocking callbacks, or c itself where it has none. It saves the hand-over to
// a goroutine, which is the largest part of a callback's lateness once the waker runs.
func Inline(c Clock) Clock {
	if v, ok := c.(Inliner); ok {
		return v.Inline()
	}
	return c
}

// Slacker is implemented by clocks that can fire timers late on purpose, so that several share one wake.
type Slacker interface {
	// WithSlack returns a view of the same clock whose timers may fire up to slack after their deadline, never before.
	WithSlack(slack time.Duration) Clock
}

// WithSlack returns c's view for timers that may fire up to slack late, or c itself where it has none. Timers whose
// deadlines fall into one such span fire in one wake: precision is paid for in wakes.
func WithSlack(c Clock, slack time.Duration) Clock {
	if v, ok := c.(Slacker); ok && slack > 0 {
		return v.WithSlack(slack)
	}
	return c
}

// CoarseSlack is the slack of lifetimes of seconds and more (allocations, permissions, tokens); never of a protocol's
// retransmissions.
const CoarseSlack = 50 * time.Millisecond

// Coarse returns c's view for lifetimes.
func Coarse(c Clock) Clock { return WithSlack(c, CoarseSlack) }
