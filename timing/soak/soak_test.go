package soak

import (
	"sync/atomic"
	"testing"
	"time"

	"tourbillon/timing"
)

const short = time.Second

func TestNoTimerIsLost(t *testing.T) {
	engine, err := timing.NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	for name, clock := range map[string]timing.Clock{
		"hrtimer": engine, "hrtimer with slack": timing.WithSlack(engine, 250*time.Microsecond), "runtime": timing.Runtime{},
	} {
		tally := Run(clock, short)
		t.Logf("%s: %v", name, tally)
		if tally.Lost() != 0 || tally.Fired == 0 || tally.Stopped == 0 {
			t.Errorf("%s: %v, want none lost and some of each", name, tally)
		}
	}
}

// forgetful is a clock that forgets every fourth arming.
type forgetful struct {
	timing.Clock
	armings atomic.Int64
}

type forgettable struct {
	timing.Timer
	clock *forgetful
}

func (c *forgetful) At(at timing.Instant, f func()) timing.Timer {
	return forgettable{c.Clock.At(at, f), c}
}

func (t forgettable) ResetAt(at timing.Instant) bool {
	if t.clock.armings.Add(1)%4 == 0 {
		at = timing.Never
	}
	return t.Timer.ResetAt(at)
}

// TestALostTimerIsSeen guards the soak itself. What a worker arms anew in time is no loss, so only some thirty of the two
// hundred timers are still forgotten when the work ends, however slow the machine.
func TestALostTimerIsSeen(t *testing.T) {
	if tally := run(&forgetful{Clock: timing.Runtime{}}, 100*time.Millisecond, time.Millisecond); tally.Lost() <= 0 {
		t.Errorf("%v of a clock that forgets, want some lost", tally)
	}
}
