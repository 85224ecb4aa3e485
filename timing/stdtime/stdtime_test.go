package stdtime_test

import (
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
	"tourbillon/timing/timingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func manualClock(t *testing.T) (*timingtest.Manual, *timing.Meter) {
	t.Helper()
	clock := timingtest.NewManual()
	meter := timing.NewMeter(clock, nil)
	t.Cleanup(stdtime.SwapForTest(clock, meter))
	return clock, meter
}

func unread(c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestStopAgainstFire runs on the real engine: a Stop that reports false means that the value was sent and received.
func TestStopAgainstFire(t *testing.T) {
	t.Cleanup(stdtime.SwapForTest(openEngine(t), nil))
	for i := range 600 {
		timer := stdtime.NewTimer(time.Duration(i%50) * time.Microsecond)
		if i%2 == 0 {
			for len(timer.C) == 0 { // In every other round the value is there before Stop.
				runtime.Gosched()
			}
		}
		if !timer.Stop() {
			t.Fatal("nobody received, so Stop has to report true")
		}
		if unread(timer.C) {
			t.Fatal("a value came after Stop")
		}
	}
}

func TestStopLeavesNothingArmed(t *testing.T) {
	clock, _ := manualClock(t)
	timer, ticker := stdtime.NewTimer(time.Second), stdtime.NewTicker(time.Second)
	clock.Advance(time.Second)
	timer.Reset(time.Second)
	if clock.Pending() != 2 {
		t.Errorf("%d timers pending, want 2", clock.Pending())
	}
	timer.Stop()
	ticker.Stop()
	if clock.Pending() != 0 {
		t.Errorf("%d timers pending after Stop, want 0", clock.Pending())
	}
}

func TestSwapWhileArmed(t *testing.T) {
	first, _ := manualClock(t)
	timer := stdtime.NewTimer(time.Second)
	swap := func() (panicked bool) {
		defer func() { panicked = recover() != nil }()
		stdtime.SwapForTest(timingtest.NewManual(), nil)()
		return false
	}
	if !swap() {
		t.Error("a swap while a timer is armed does not panic")
	}
	first.Advance(time.Second)
	if swap() {
		t.Error("a swap after the timer fired panics")
	}
	timer.Reset(time.Second)
	timer.Stop()
	if swap() {
		t.Error("a swap after the timer was stopped panics")
	}
}

// TestTimerStaysOnItsClock re-arms a timer when another clock is the process clock.
func TestTimerStaysOnItsClock(t *testing.T) {
	clock := timingtest.NewManual()
	restore := stdtime.SwapForTest(clock, nil)
	timer := stdtime.NewTimer(time.Second)
	timer.Stop()
	restore()
	timer.Reset(time.Second)
	clock.Advance(time.Second)
	if got := <-timer.C; !got.Equal(clock.Time()) {
		t.Errorf("received %v, want %v of the clock that the timer was made on", got, clock.Time())
	}
}

func TestAfterFuncAndLabels(t *testing.T) {
	clock, meter := manualClock(t)
	fired := 0
	timer := stdtime.AfterFunc(time.Second, func() { fired++ })
	clock.Advance(time.Second)
	if fired != 1 || timer.Stop() {
		t.Errorf("fired %d times, want once, and Stop then reports false", fired)
	}
	if timer.Reset(time.Second); !timer.Reset(time.Minute) {
		t.Error("Reset of an armed timer: false, want true")
	}
	timer.Stop()
	if labels := meter.Labels(); len(labels) != 1 || labels[0].Name != "other" || labels[0].Total != 1 {
		t.Errorf("labels %+v, want one firing of \"other\": this caller is no re-timed module", labels)
	}
}

// lateClock fires each timer 10 ms late.
type lateClock struct{ *timingtest.Manual }

const lateness = 10 * time.Millisecond

func (c lateClock) At(at timing.Instant, f func()) timing.Timer {
	return c.Manual.At(at.Add(lateness), f)
}

// TestLateFire checks that a late fire carries its deadline's date, as package time's does, and that its lateness is
// recorded for channels as for functions.
func TestLateFire(t *testing.T) {
	clock := lateClock{timingtest.NewManual()}
	meter := timing.NewMeter(clock, nil)
	t.Cleanup(stdtime.SwapForTest(clock, meter))
	due := clock.Time().Add(time.Second)
	timer, ticker := stdtime.NewTimer(time.Second), stdtime.NewTicker(time.Second)
	defer ticker.Stop()
	stdtime.AfterFunc(time.Second, func() {})
	clock.Advance(time.Second + lateness)
	for name, c := range map[string]<-chan time.Time{"timer": timer.C, "ticker": ticker.C} {
		if got := <-c; !got.Equal(due) {
			t.Errorf("the %s sent %v, want its deadline %v", name, got, due)
		}
	}
	recent := meter.Labels()[0].Recent
	if recent.Fires != 3 || recent.P50 < lateness*99/100 || recent.Max > lateness*101/100 {
		t.Errorf("recorded %+v, want three fires %v late", recent, lateness)
	}
}

func TestModuleLabel(t *testing.T) {
	cases := map[string]string{
		"github.com/pion/ice/v4":      "pion.ice",
		"github.com/pion/interceptor": "pion.interceptor",
		"example.org/v2":              "example.org",
	}
	for path, want := range cases {
		if got := (stdtime.Module{Path: path}).Label(); got != want {
			t.Errorf("%s: label %q, want %q", path, got, want)
		}
	}
}

func TestUseOnce(t *testing.T) {
	clock := timingtest.NewManual()
	restore := stdtime.SwapForTest(clock, nil)
	defer restore()
	if err := stdtime.Use(clock, nil); err != nil {
		t.Fatal(err)
	}
	if err := stdtime.Use(timing.Runtime{}, nil); err == nil {
		t.Error("a second Use: no error")
	}
	if got := stdtime.Now(); !got.Equal(clock.Time()) {
		t.Errorf("Now is %v, want the manual clock's %v", got, clock.Time())
	}
}
