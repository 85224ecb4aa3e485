package timing_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

func TestNextOnGrid(t *testing.T) {
	const ms = timing.Instant(time.Millisecond)
	cases := []struct {
		name     string
		now      timing.Instant
		wantNext timing.Instant
		overrun  int
	}{
		{"in time", 100 * ms, 110 * ms, 0},
		{"just in time", 110*ms - 1, 110 * ms, 0},
		{"one period late", 110 * ms, 120 * ms, 1},
		{"stalled", 165 * ms, 170 * ms, 6},
		{"before its instant, by a lead", 99 * ms, 110 * ms, 0},
	}
	for _, c := range cases {
		next, overrun := timing.NextOnGrid(100*ms, 10*time.Millisecond, c.now)
		if next != c.wantNext || overrun != c.overrun {
			t.Errorf("%s: next %d overrun %d, want %d and %d", c.name, next/ms, overrun, c.wantNext/ms, c.overrun)
		}
	}
}

func TestPeriodicAfterStallRunsOnce(t *testing.T) {
	clock := timingtest.NewManual()
	start := clock.Now()
	stalled := false
	var ticks []timing.Tick
	p := timing.Every(clock, start.Add(10*time.Millisecond), 10*time.Millisecond, func(tick timing.Tick) {
		ticks = append(ticks, tick)
		if !stalled {
			stalled = true
			clock.AdvanceTo(start.Add(55 * time.Millisecond)) // The program stood still inside this callback.
		}
	})
	defer p.Stop()
	clock.AdvanceTo(start.Add(61 * time.Millisecond))
	var got []time.Duration
	missed := 0
	for _, tick := range ticks {
		got = append(got, tick.Due.Sub(start))
		missed += tick.Overrun
	}
	if len(got) == 0 || got[len(got)-1] != 60*time.Millisecond {
		t.Errorf("the last tick stands for %v, want the grid's 60ms", got)
	}
	if len(got)+missed != 6 {
		t.Errorf("%d ticks and %d counted as missed, want 6 together: %v", len(got), missed, got)
	}
}

func TestPeriodicLeadAndPeriodChange(t *testing.T) {
	clock := timingtest.NewManual()
	start := clock.Now()
	var at []time.Duration
	p := timing.Every(clock, start.Add(10*time.Millisecond), 10*time.Millisecond, func(timing.Tick) {
		at = append(at, clock.Now().Sub(start))
	})
	p.SetLead(time.Millisecond)
	clock.Advance(25 * time.Millisecond) // 10 was armed before the lead was set; the next comes 1 ms early.
	p.SetPeriod(20 * time.Millisecond)   // Counted from the grid instant 20.
	clock.Advance(40 * time.Millisecond)
	p.Stop()
	clock.Advance(time.Second)
	want := []time.Duration{10, 19, 39, 59}
	if len(at) != len(want) {
		t.Fatalf("fired at %v, want %v ms", at, want)
	}
	for i := range want {
		if at[i] != want[i]*time.Millisecond {
			t.Errorf("firing %d at %v, want %v ms", i, at[i], want[i])
		}
	}
	if clock.Pending() != 0 {
		t.Errorf("%d timers pending after Stop, want 0", clock.Pending())
	}
}

// TestRTT follows RFC 6298 section 2 by hand: R=100, then 140.
func TestRTT(t *testing.T) {
	var r timing.RTT
	r.Observe(100 * time.Millisecond)
	if r.Smoothed != 100*time.Millisecond || r.Variation != 50*time.Millisecond {
		t.Errorf("first sample: SRTT %v RTTVAR %v, want 100ms and 50ms", r.Smoothed, r.Variation)
	}
	r.Observe(140 * time.Millisecond)
	if want := 47500 * time.Microsecond; r.Variation != want {
		t.Errorf("RTTVAR %v, want 3/4·50 + 1/4·40 = %v", r.Variation, want)
	}
	if want := 105 * time.Millisecond; r.Smoothed != want {
		t.Errorf("SRTT %v, want 7/8·100 + 1/8·140 = %v", r.Smoothed, want)
	}
	if want := 2500 * time.Microsecond; r.Jitter != want {
		t.Errorf("jitter %v, want 40/16 = %v", r.Jitter, want)
	}
	if got := r.Lead(200 * time.Microsecond); got != 200*time.Microsecond {
		t.Errorf("lead %v, want the cap", got)
	}
}

func TestMeterRecordsLateness(t *testing.T) {
	clock := timingtest.NewManual()
	meter := timing.NewMeter(clock, nil)
	metered := meter.Clock("test", clock)
	timer := metered.AfterFunc(10*time.Millisecond, func() {})
	clock.Advance(10 * time.Millisecond)
	// An arming in the past is late by as much as it was overdue.
	timer.ResetAt(clock.Now().Add(-3 * time.Millisecond))
	clock.Advance(0)
	if timer.Reset(time.Second); !timer.Stop() {
		t.Error("Stop of an armed metered timer: false, want true")
	}
	labels := meter.Labels()
	if len(labels) != 1 || labels[0].Name != "test" || labels[0].Total != 2 || labels[0].Early != 0 {
		t.Fatalf("labels %+v, want one named test with 2 fires, none early", labels)
	}
	if got := labels[0].Recent.Max; got < 2900*time.Microsecond || got > 3100*time.Microsecond {
		t.Errorf("the largest lateness is %v, want about 3ms", got)
	}
	clock.Advance(10 * time.Minute)
	if recent := meter.Labels()[0].Recent.Fires; recent != 0 {
		t.Errorf("%d recent fires after ten quiet minutes, want 0", recent)
	}
}

func TestMeterDoesNotAllocate(t *testing.T) {
	clock := timingtest.NewManual()
	label := timing.NewMeter(clock, nil).Label("test")
	if n := testing.AllocsPerRun(1000, func() { label.Record(time.Microsecond, clock.Now()) }); n != 0 {
		t.Errorf("recording allocates %v times, want 0", n)
	}
}

// TestPeriodicSurvivesAShrinkingLead is what a path that gets faster does to a heartbeat.
func TestPeriodicSurvivesAShrinkingLead(t *testing.T) {
	clock := timingtest.NewManual()
	start := clock.Now()
	ticks := 0
	p := timing.Every(clock, start.Add(time.Second), time.Second, func(timing.Tick) { ticks++ })
	defer p.Stop()
	p.SetLead(200 * time.Microsecond)
	clock.Advance(1500 * time.Millisecond) // The next is armed 200 µs early.
	p.SetLead(150 * time.Microsecond)
	clock.AdvanceTo(start.Add(10 * time.Second))
	if ticks != 10 {
		t.Errorf("%d ticks in ten seconds, want 10", ticks)
	}
}

// TestMeterCountsNoFalseEarly re-arms one timer from several goroutines while it fires.
func TestMeterCountsNoFalseEarly(t *testing.T) {
	engine := openEngine(t)
	meter := timing.NewMeter(engine, nil)
	timer := meter.Clock("test", engine).AfterFunc(0, func() {})
	var racing sync.WaitGroup
	for range 4 {
		racing.Go(func() {
			for i := range 5000 {
				timer.Reset(time.Duration(i%40) * time.Microsecond)
			}
		})
	}
	racing.Wait()
	timer.Stop()
	if l := meter.Labels()[0]; l.Early != 0 || l.Total == 0 {
		t.Errorf("%d of %d firings count as early, want none of some", l.Early, l.Total)
	}
}

func TestSlackSharesWakes(t *testing.T) {
	engine := openEngine(t)
	coarse := timing.Coarse(engine)
	start := engine.Now()
	fired := make(chan timing.Instant, 20)
	for i := range 20 {
		coarse.At(start.Add(time.Duration(i)*time.Millisecond), func() { fired <- engine.Now() })
	}
	wakes := map[timing.Instant]bool{}
	for range 20 {
		at := <-fired
		if at < start {
			t.Error("a timer with slack fired early")
		}
		wakes[at/timing.Instant(timing.CoarseSlack)] = true
	}
	if len(wakes) > 3 { // Two spans, and one more for a stall of this machine.
		t.Errorf("20 deadlines within 20 ms fired in %d spans of 50 ms", len(wakes))
	}
}

func TestInlineOverrunIsReportedOncePerLabel(t *testing.T) {
	clock := timingtest.NewManual()
	var told []string
	meter := timing.NewMeter(clock, func(label string, took time.Duration) {
		told = append(told, fmt.Sprint(label, " ", took))
	})
	slow := func() { clock.AdvanceTo(clock.Now().Add(3 * time.Millisecond)) }
	for range 2 {
		timing.Inline(meter.Clock("inline", clock)).AfterFunc(0, slow)
		meter.Clock("spawned", clock).AfterFunc(0, slow)
		clock.Advance(0)
	}
	if fmt.Sprint(told) != "[inline 3ms]" {
		t.Errorf("told %v, want the inline label once", told)
	}
	for _, l := range meter.Labels() {
		if want := map[string]int64{"inline": 2}[l.Name]; l.Overruns != want {
			t.Errorf("%s: %d overruns, want %d", l.Name, l.Overruns, want)
		}
	}
}
