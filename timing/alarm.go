package timing

import (
	"math"
	"sync/atomic"
)

// alarm keeps a one-shot waker armed at a deadline or before it. It spares the waker calls: a deadline that moved
// later, as when a timer is stopped, costs one wake for nothing instead of a call for each timer.
//
// It has no lock: callers race, and one that is late may set an old deadline over a newer one. Each looks again after
// setting, and loops until what it set is what the alarm says and early enough, so the last to look leaves it right.
type alarm struct {
	// set arms the waker; it does not block. Never disarms.
	set func(at Instant)
	// at is the deadline that the waker was last told, Never when it was told none or has fired.
	at atomic.Int64
}

func newAlarm(set func(at Instant)) *alarm {
	a := &alarm{set: set}
	a.at.Store(int64(Never))
	return a
}

// fired notes that the waker has fired and is not armed any more.
func (a *alarm) fired() { a.at.Store(int64(Never)) }

// held is what an alarm says between hold and resume: earlier than any deadline.
const held Instant = math.MinInt64

// hold notes that the waker has fired and that its caller is about to run what is due, so that nobody need arm it. It
// returns the deadline that the waker was told.
func (a *alarm) hold() Instant { return Instant(a.at.Swap(int64(held))) }

// resume arms a waker that is on hold, as ensure does.
func (a *alarm) resume(wanted func() Instant) {
	a.at.CompareAndSwap(int64(held), int64(Never))
	a.ensure(wanted)
}

// passed reports whether the deadline that the waker was told has passed.
func (a *alarm) passed() bool {
	told := Instant(a.at.Load())
	return told != Never && told != held && told <= monotonicNow()
}

// ensure arms the waker so that it fires at the wanted deadline at the latest.
func (a *alarm) ensure(wanted func() Instant) {
	for first := true; ; first = false {
		want, told := wanted(), Instant(a.at.Load())
		if first && want >= told {
			return
		}
		if !a.at.CompareAndSwap(int64(told), int64(want)) {
			continue
		}
		a.set(want)
		if wanted() >= want && Instant(a.at.Load()) == want {
			return
		}
	}
}
