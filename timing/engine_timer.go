package timing

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// disarmed is the due instant of a timer that is not armed.
	disarmed Instant = math.MinInt64
	// notQueued is the index of a timer that is not in the queue.
	notQueued = -1
)

// engineTimer is one timer of an Engine.
type engineTimer struct {
	engine *Engine
	f      func()
	// slack is the grid of the deadlines, 0 for exact ones.
	slack Instant

	// due is the truth: the armed deadline, or disarmed. Whoever turns a due instant that has passed into disarmed by
	// compare-and-swap has claimed the firing; whoever swaps it has stopped or re-armed the timer.
	due atomic.Int64
	// key is the timer's place in the queue, Never when it is not queued. It may lag behind due, never the other way
	// for longer than the timer waits in the inbox: an early key costs one look, a late one would cost the deadline.
	key atomic.Int64

	backstop backstop

	// listed is true while the timer is in the inbox, below links it there.
	below  *engineTimer
	listed atomic.Bool
	// lengthy counts down the firings for which the callback gets a goroutine of its own, since it took long.
	lengthy atomic.Int32
	inline  bool

	// far tells which of the queues holds the timer, index and order belong to that one. All are guarded by engine.mu.
	far   bool
	index int32
	order uint64
}

func (t *engineTimer) keyLocked() Instant { return Instant(t.key.Load()) }

func (t *engineTimer) before(other *engineTimer) bool {
	a, b := t.keyLocked(), other.keyLocked()
	if a != b {
		return a < b
	}
	return t.order < other.order
}

// claim takes the firing, if the timer is due at now. Exactly one caller gets true for each arming that is not
// stopped, and none once the engine is closed. due is the deadline that was claimed.
func (t *engineTimer) claim(now Instant) (due Instant, ok bool) {
	due = Instant(t.due.Load())
	if due == disarmed || due > now || !t.due.CompareAndSwap(int64(due), int64(disarmed)) {
		return 0, false
	}
	if t.engine.closed.Load() { // Asked after the claim, so that Close comes before or after it.
		t.due.CompareAndSwap(int64(disarmed), int64(due))
		return 0, false
	}
	return due, true
}

func (t *engineTimer) armed() bool { return Instant(t.due.Load()) != disarmed }

// Stop leaves queue and backstop as they are: both look at due when their time comes.
func (t *engineTimer) Stop() bool {
	return Instant(t.due.Swap(int64(disarmed))) != disarmed
}

func (t *engineTimer) Reset(d time.Duration) bool {
	now := monotonicNow()
	return t.arm(now.Add(d), now)
}

func (t *engineTimer) ResetAt(at Instant) bool { return t.arm(at, monotonicNow()) }

func (t *engineTimer) arm(at, now Instant) (wasArmed bool) {
	at = roundedUp(max(at, disarmed+1), t.slack)
	wasArmed = Instant(t.due.Swap(int64(at))) != disarmed
	t.armBackstop(at, now)
	// A key that is no later than the deadline brings the timer back in time: the sweep then moves it on.
	if t.key.Load() > int64(at) {
		t.engine.reconsider(t)
	}
	return wasArmed
}

// roundedUp is the first multiple of grid that is not before at.
func roundedUp(at, grid Instant) Instant {
	if grid <= 0 || at <= 0 || at > Never-grid {
		return at
	}
	return (at + grid - 1) / grid * grid
}
