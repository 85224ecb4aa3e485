package timing

import (
	"sync/atomic"
	"time"
)

const (
	// nearby is the engine's default for how close a deadline must be for its timer to get a package-time backstop of its
	// own. Further ones get theirs when they have come so close, since most of them are cancelled long before.
	nearby = time.Second
)

// backstop is a timer's own package-time timer, made at the timer's first deadline nearby and kept from then on. It is
// armed at the timer's deadline or before it: one that comes too early, or for a timer that was stopped, costs less than
// setting it at each change.
type backstop struct {
	timer atomic.Pointer[time.Timer]
	// at is when it fires, Never when it is not armed.
	at atomic.Int64
}

// backs reports whether the backstop is still to come at now, and no later than the deadline.
func (b *backstop) backs(due, now Instant) bool {
	at := Instant(b.at.Load())
	return at != Never && at <= due && at > now
}

// armBackstop has the timer's backstop come in time for a deadline, if the timer is to have one.
//
// Concurrent calls race without a lock: each looks again after setting, and the last to look leaves the backstop at the
// present deadline.
func (t *engineTimer) armBackstop(at, now Instant) {
	if t.backstop.timer.Load() == nil && at.Sub(now) > t.engine.nearby {
		return
	}
	if t.backstop.backs(at, now) {
		return // backstopFired looks at due after clearing at, and so sees this deadline.
	}
	t.ownBackstop(at, now)
}

// ownBackstop sets the backstop, making it if the timer has none.
func (t *engineTimer) ownBackstop(at, now Instant) {
	for {
		t.setBackstop(at, now)
		due := Instant(t.due.Load())
		if due == at || due == disarmed {
			return
		}
		at = due
	}
}

func (t *engineTimer) setBackstop(at, now Instant) {
	t.backstop.at.Store(int64(at))
	left := at.Sub(now)
	if at == Never {
		left = time.Duration(Never)
	}
	if b := t.backstop.timer.Load(); b != nil {
		b.Reset(left)
		return
	}
	b := time.AfterFunc(left, t.backstopFired)
	if !t.backstop.timer.CompareAndSwap(nil, b) {
		b.Stop()
		t.backstop.timer.Load().Reset(left)
	}
}

// settleBackstop stops the backstop of a timer that has fired and was not armed again; it would start a goroutine for
// nothing.
func (t *engineTimer) settleBackstop() {
	b := t.backstop.timer.Load()
	if b == nil || t.armed() {
		return
	}
	b.Stop()
	t.backstop.at.Store(int64(Never))
	if due := Instant(t.due.Load()); due != disarmed { // Armed meanwhile, and left to the backstop just stopped.
		t.armBackstop(due, monotonicNow())
	}
}

// backstopFired runs on a goroutine of package time. It is the way to fire while the program is busy.
func (t *engineTimer) backstopFired() {
	t.backstop.at.Store(int64(Never))
	now := monotonicNow()
	e := t.engine
	_, claimed := t.claim(now)
	if due := Instant(t.due.Load()); !claimed && due != disarmed && !e.closed.Load() {
		t.armBackstop(due, now)
	}
	// Also without a claim: the timer's old place may have hidden others from those who look only at the earliest.
	e.relieve(now)
	e.follow(now)
	if claimed {
		t.f()
	}
}
