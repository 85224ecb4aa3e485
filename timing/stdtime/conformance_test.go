package stdtime_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
	"tourbillon/timing/timingtest"
)

// TestConformance holds package time itself, as the reference, and this package on each clock to one suite.
func TestConformance(t *testing.T) {
	t.Run("package time", func(t *testing.T) { timingtest.StdConformance(t, inBubble(reference)) })
	t.Run("runtime", func(t *testing.T) {
		timingtest.StdConformance(t, inBubble(func(t *testing.T) timingtest.Std {
			t.Cleanup(stdtime.SwapForTest(timing.Runtime{}, nil))
			return subject()
		}))
	})
	t.Run("manual", func(t *testing.T) {
		timingtest.StdConformance(t, inBubble(func(t *testing.T) timingtest.Std {
			clock, _ := manualClock(t)
			s := subject()
			s.Pass = clock.Advance
			return s
		}))
	})
	t.Run("hrtimer", func(t *testing.T) { timingtest.StdConformance(t, onEngine(false)) })
	t.Run("metered hrtimer", func(t *testing.T) { timingtest.StdConformance(t, onEngine(true)) })
}

// inBubble runs each case where package time is virtual and the end of what other goroutines do can be waited for.
func inBubble(open func(t *testing.T) timingtest.Std) func(*testing.T, func(*testing.T, timingtest.Std)) {
	return func(t *testing.T, run func(*testing.T, timingtest.Std)) {
		synctest.Test(t, func(t *testing.T) {
			s := open(t)
			s.Exact, s.Unit = true, time.Second
			pass := s.Pass
			if pass == nil {
				pass = time.Sleep
			}
			s.Pass = func(d time.Duration) {
				synctest.Wait() // Who was to arm a timer has armed it.
				pass(d)
				synctest.Wait()
			}
			run(t, s)
		})
	}
}

func onEngine(metered bool) func(*testing.T, func(*testing.T, timingtest.Std)) {
	return func(t *testing.T, run func(*testing.T, timingtest.Std)) {
		engine := openEngine(t)
		var meter *timing.Meter
		if metered {
			meter = timing.NewMeter(engine, nil)
		}
		t.Cleanup(stdtime.SwapForTest(engine, meter))
		s := subject()
		s.Unit, s.Pass = 2*time.Millisecond, timingtest.Real(engine).Pass
		run(t, s)
		if metered {
			for _, label := range meter.Labels() {
				if label.Early != 0 {
					t.Errorf("%d of %d timers under %q fired early", label.Early, label.Total, label.Name)
				}
			}
		}
	}
}

func openEngine(t testing.TB) *timing.Engine {
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
	return engine
}

// reference is package time.
func reference(*testing.T) timingtest.Std {
	timer := func(t *time.Timer) timingtest.StdTimer {
		return timingtest.StdTimer{C: t.C, Stop: t.Stop, Reset: t.Reset}
	}
	ticker := func(t *time.Ticker) timingtest.StdTicker {
		return timingtest.StdTicker{C: t.C, Stop: t.Stop, Reset: t.Reset}
	}
	s := timingtest.Std{
		NewTimer:  func(d time.Duration) timingtest.StdTimer { return timer(time.NewTimer(d)) },
		AfterFunc: func(d time.Duration, f func()) timingtest.StdTimer { return timer(time.AfterFunc(d, f)) },
		NewTicker: func(d time.Duration) timingtest.StdTicker { return ticker(time.NewTicker(d)) },
		After:     time.After, Tick: time.Tick, Sleep: time.Sleep, Now: time.Now,
	}
	s.Zero.Timer, s.Zero.Ticker = timer(new(time.Timer)), ticker(new(time.Ticker))
	return s
}

// subject is this package on the present process clock.
func subject() timingtest.Std {
	timer := func(t *stdtime.Timer) timingtest.StdTimer {
		return timingtest.StdTimer{C: t.C, Stop: t.Stop, Reset: t.Reset}
	}
	ticker := func(t *stdtime.Ticker) timingtest.StdTicker {
		return timingtest.StdTicker{C: t.C, Stop: t.Stop, Reset: t.Reset}
	}
	s := timingtest.Std{
		NewTimer:  func(d time.Duration) timingtest.StdTimer { return timer(stdtime.NewTimer(d)) },
		AfterFunc: func(d time.Duration, f func()) timingtest.StdTimer { return timer(stdtime.AfterFunc(d, f)) },
		NewTicker: func(d time.Duration) timingtest.StdTicker { return ticker(stdtime.NewTicker(d)) },
		After:     stdtime.After, Tick: stdtime.Tick, Sleep: stdtime.Sleep, Now: stdtime.Now,
		Cap: 1,
	}
	s.Zero.Timer, s.Zero.Ticker = timer(new(stdtime.Timer)), ticker(new(stdtime.Ticker))
	return s
}
