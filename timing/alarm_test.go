package timing

import (
	"slices"
	"testing"
)

func TestAlarmOnHoldIsNotArmed(t *testing.T) {
	var sets []Instant
	a := newAlarm(func(at Instant) { sets = append(sets, at) })
	at := func(at Instant) func() Instant { return func() Instant { return at } }
	a.ensure(at(100))
	a.hold()
	for earlier := Instant(90); earlier > 0; earlier -= 10 {
		a.ensure(at(earlier))
	}
	if a.passed() {
		t.Error("an alarm on hold has passed")
	}
	a.resume(at(50))
	a.resume(at(60))
	a.ensure(at(40))
	if want := []Instant{100, 50, 40}; !slices.Equal(sets, want) {
		t.Errorf("the waker was told %v, want %v", sets, want)
	}
}
