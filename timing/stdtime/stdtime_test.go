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

func TestTimerChannel(t *testing.T) {
	clock, _ := manualClock(t)
	timer := stdtime.NewTimer(time.Second)
	clock.Advance(time.Second - 1)
	if unread(timer.C) {
		t.Fatal("fired early")
	}
	clock.Advance(1)
	if got := <-timer.C; !got.Equal(clock.Time()) {
		t.Errorf("received %v, want the instant of firing %v", got, clock.Time())
	}
	if timer.Stop() {
		t.Error("Stop after the receive: true, want false")
	}
	if timer.Reset(time.Second) {
		t.Error("Reset after the receive: true, want false")
	}
	if !timer.Stop() {
		t.Error("Stop while armed: false, want true")
	}
}

// TestUnreadFireCountsAsPending is Go 1.23's rule, on which code relies that does `if !t.Stop() { <-t.C }`.
func TestUnreadFireCountsAsPending(t *testing.T) {
	clock, _ := manualClock(t)
	timer := stdtime.NewTimer(time.Second)
	clock.Advance(time.Minute)
	if !timer.Stop() {
		t.Error("Stop while a fire is unread: false, want true")
	}
	if unread(timer.C) {
		t.Error("a stale value came after Stop")
	}
	timer.Reset(time.Second)
	clock.Advance(time.Minute)
	if !timer.Reset(time.Second) {
		t.Error("Reset while a fire is unread: false, want true")
	}
	if unread(timer.C) {
		t.Error("a stale value came after Reset")
	}
	clock.Advance(time.Second)
	if !unread(timer.C) {
		t.Error("the timer did not fire again")
	}
}

// TestStopAgainstFire runs on the real engine: a Stop that reports false means that the value was sent and received.
func TestStopAgainstFire(t *testing.T) {
	engine, err := timing.NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	defer stdtime.SwapForTest(engine, nil)()
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

func TestTicker(t *testing.T) {
	clock, _ := manualClock(t)
	ticker := stdtime.NewTicker(time.Second)
	for range 3 {
		clock.Advance(time.Second)
		if !unread(ticker.C) {
			t.Fatal("no tick after a period")
		}
	}
	clock.Advance(10 * time.Second)
	if !unread(ticker.C) || unread(ticker.C) {
		t.Error("a slow receiver has to find one tick")
	}
	clock.Advance(time.Second)
	ticker.Reset(time.Minute)
	if unread(ticker.C) {
		t.Error("a stale tick came after Reset")
	}
	clock.Advance(time.Minute)
	ticker.Stop()
	if unread(ticker.C) {
		t.Error("a stale tick came after Stop")
	}
	if clock.Pending() != 0 {
		t.Errorf("%d timers pending after Stop, want 0", clock.Pending())
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
