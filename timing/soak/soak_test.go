package soak_test

import (
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/soak"
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
		tally := soak.Run(clock, short)
		t.Logf("%s: %v", name, tally)
		if tally.Lost() != 0 || tally.Fired == 0 || tally.Stopped == 0 {
			t.Errorf("%s: %v, want none lost and some of each", name, tally)
		}
	}
}

// TestALostTimerIsSeen guards the soak itself: a clock that forgets some of its timers must show.
func TestALostTimerIsSeen(t *testing.T) {
	tally := soak.Tally{Armed: 3, Fired: 1, Stopped: 1}
	if tally.Lost() != 1 {
		t.Errorf("lost %d of %v, want 1", tally.Lost(), tally)
	}
}
