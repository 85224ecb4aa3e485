package stdtime

import (
	"sync"

	"tourbillon/timing"
)

// lane is one class of the process clock's timers: precise or coarse, with a goroutine for each callback or without.
type lane struct {
	clock timing.Clock
	// idle keeps armings that are not in use, so that a timer which is stopped or fires leaves the next one little to
	// allocate; nil for clocks whose timers may not be handed on. Package time's may not: one that was made inside a
	// bubble of virtual time may not be touched from outside.
	idle *sync.Pool
}

func newLane(clock timing.Clock, reuse bool) *lane {
	l := &lane{clock: clock}
	if reuse {
		l.idle = new(sync.Pool)
	}
	return l
}

// arming is one timer of the clock below, lent to a Timer or a Ticker. All but inner's own state is guarded by the
// owner's mutex, which is held while inner is armed or stopped: neither blocks nor calls back.
type arming struct {
	inner timing.Timer
	owner owner
	// due is the deadline as it was asked for.
	due timing.Instant
	// overtaken counts callbacks that are on their way for a deadline which Stop or Reset has overtaken. Which of several
	// comes first does not matter: the last one stands for the present deadline, which has then passed.
	overtaken int32
	armed     bool
}

// owner is the Timer or Ticker that an arming is lent to.
type owner interface{ fired() }

// fire is inner's callback.
func (a *arming) fire() { a.owner.fired() }

// armLocked arms at a deadline for the owner; *a is the arming that the owner holds, nil when it holds none.
func (l *lane) armLocked(held **arming, o owner, due timing.Instant) {
	a := *held
	if a == nil {
		a = l.take()
		a.owner = o
		*held = a
	}
	a.due = due
	wasArmed := a.armed
	a.armed = true
	if a.inner == nil {
		a.inner = l.clock.At(due, a.fire)
		return
	}
	if !a.inner.ResetAt(due) && wasArmed {
		a.overtaken++
	}
}

func (l *lane) take() *arming {
	if l.idle != nil {
		if a, ok := l.idle.Get().(*arming); ok {
			return a
		}
	}
	return new(arming)
}

// stopLocked disarms and reports whether the arming was armed.
func (l *lane) stopLocked(held **arming) (wasArmed bool) {
	a := *held
	if a == nil || !a.armed {
		return false
	}
	a.armed = false
	if !a.inner.Stop() {
		a.overtaken++
	}
	l.settleLocked(held)
	return true
}

// firedLocked takes note of a callback and reports whether it counts.
func (l *lane) firedLocked(held **arming) (counts bool) {
	a := *held
	if a.overtaken > 0 {
		a.overtaken--
		l.settleLocked(held)
		return false
	}
	a.armed = false
	return true
}

// settleLocked hands the arming on when nothing of it is under way.
func (l *lane) settleLocked(held **arming) {
	a := *held
	if l.idle == nil || a.armed || a.overtaken > 0 {
		return
	}
	*held = nil
	a.owner = nil
	l.idle.Put(a)
}
