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
	// nearby is the engine's default for how close a deadline must be for its timer to get a package-time backstop of its
	// own. Further ones share one, since most of them are cancelled long before.
	nearby = time.Second
)

// engineTimer is one timer of an Engine.
type engineTimer struct {
	engine *Engine
	f      func()
	inline bool
	// slack is the grid of the deadlines, 0 for exact ones.
	slack Instant

	// due is the truth: the armed deadline, or disarmed. Whoever turns a due instant that has passed into disarmed by
	// compare-and-swap has claimed the firing; whoever swaps it has stopped or re-armed the timer.
	due atomic.Int64
	// key is the timer's place in the queue, Never when it is not queued. It may lag behind due, never the other way
	// for longer than the timer waits in the inbox: an early key costs one look, a late one would cost the deadline.
	key atomic.Int64

	// listed is true while the timer is in the inbox, below links it there.
	listed atomic.Bool
	below  *engineTimer

	// index and order belong to the queue and are guarded by engine.mu.
	index int
	order uint64

	// backstop is the timer's own package-time timer, made at the first deadline nearby.
	backstop atomic.Pointer[time.Timer]
	// stopped is true while the backstop is known not to be armed.
	stopped atomic.Bool
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
// stopped.
func (t *engineTimer) claim(now Instant) bool {
	due := t.due.Load()
	return Instant(due) != disarmed && Instant(due) <= now && t.due.CompareAndSwap(due, int64(disarmed))
}

func (t *engineTimer) Stop() bool {
	wasArmed := Instant(t.due.Swap(int64(disarmed))) != disarmed
	if !wasArmed {
		return false
	}
	t.stopBackstop()
	if t.key.Load() != int64(Never) {
		t.engine.reconsider(t)
	}
	return true
}

func (t *engineTimer) Reset(d time.Duration) bool { return t.ResetAt(t.engine.Now().Add(d)) }

func (t *engineTimer) ResetAt(at Instant) bool {
	at = roundedUp(max(at, disarmed+1), t.slack)
	wasArmed := Instant(t.due.Swap(int64(at))) != disarmed
	if t.slack == 0 { // Timers that share a deadline share a backstop as well.
		t.armBackstop(at)
	}
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

// armBackstop sets the timer's own package-time timer, if the deadline is nearby. Concurrent calls race without a
// lock: each looks again after setting, and the last to look leaves the present deadline.
func (t *engineTimer) armBackstop(at Instant) {
	for {
		left := untilInstant(at)
		if left > t.engine.nearby {
			t.stopBackstop()
		} else {
			t.ownBackstop(left)
		}
		again := Instant(t.due.Load())
		if again == at || again == disarmed {
			return
		}
		at = again
	}
}

func (t *engineTimer) ownBackstop(left time.Duration) {
	t.stopped.Store(false)
	if b := t.backstop.Load(); b != nil {
		b.Reset(left)
		return
	}
	b := time.AfterFunc(left, t.backstopFired)
	if !t.backstop.CompareAndSwap(nil, b) {
		b.Stop()
		t.backstop.Load().Reset(left)
	}
}

// backed reports whether the timer's own backstop is armed.
func (t *engineTimer) backed() bool { return t.backstop.Load() != nil && !t.stopped.Load() }

func (t *engineTimer) stopBackstop() {
	if b := t.backstop.Load(); b != nil && !t.stopped.Swap(true) {
		b.Stop()
	}
}

// backstopFired runs on a goroutine of package time. It is the way to fire while the program is busy.
func (t *engineTimer) backstopFired() {
	e := t.engine
	now := e.Now()
	if e.closed.Load() || !t.claim(now) {
		// Not due: it was fired, stopped or re-armed meanwhile; whoever re-armed it has set this backstop again.
		return
	}
	e.follow(now)
	t.f()
}
