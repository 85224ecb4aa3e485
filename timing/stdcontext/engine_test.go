package stdcontext_test

import (
	"testing"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
)

func newMeter(clock timing.Clock) *timing.Meter { return timing.NewMeter(clock, nil) }

// engineClock makes the engine the process clock, with a meter as in the appliance.
func engineClock(t *testing.T) {
	t.Helper()
	engine, err := timing.NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stdtime.SwapForTest(engine, newMeter(engine)))
}
