package timing_test

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openEngine(t *testing.T) *timing.Engine {
	t.Helper()
	e, err := timing.NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestConformance(t *testing.T) {
	t.Run("runtime", func(t *testing.T) {
		timingtest.Conformance(t, func(*testing.T) timingtest.Subject { return timingtest.Real(timing.Runtime{}) })
	})
	t.Run("hrtimer", func(t *testing.T) {
		timingtest.Conformance(t, func(t *testing.T) timingtest.Subject { return timingtest.Real(openEngine(t)) })
	})
	t.Run("manual", func(t *testing.T) {
		timingtest.Conformance(t, func(*testing.T) timingtest.Subject { return timingtest.Virtual(timingtest.NewManual()) })
	})
	t.Run("metered hrtimer", func(t *testing.T) {
		timingtest.Conformance(t, func(t *testing.T) timingtest.Subject {
			e := openEngine(t)
			return timingtest.Real(timing.NewMeter(e, nil).Clock("test", e))
		})
	})
}

func TestInstantSaturates(t *testing.T) {
	cases := []struct {
		from timing.Instant
		add  time.Duration
		want timing.Instant
	}{
		{5, 7, 12},
		{5, math.MaxInt64, timing.Never},
		{timing.Never, 1, timing.Never},
		{-5, math.MinInt64, math.MinInt64},
	}
	for _, c := range cases {
		if got := c.from.Add(c.add); got != c.want {
			t.Errorf("Instant(%d).Add(%d) = %d, want %d", c.from, c.add, got, c.want)
		}
	}
	if got := timing.Never.Sub(-1); got != math.MaxInt64 {
		t.Errorf("Never.Sub(-1) = %d, want the largest duration", got)
	}
}

func TestEngineCloseWithTimersPending(t *testing.T) {
	openEngine(t) // The runtime opens its poller with the first engine.
	before := openDescriptors(t)
	e, err := timing.NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	timer := e.AfterFunc(time.Hour, func() { t.Error("a timer of a closed engine fired") })
	late := e.AfterFunc(time.Hour, func() { t.Error("a timer of a closed engine fired") })
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !timer.Stop() {
		t.Error("Stop of a timer that the closed engine will never fire: false, want true")
	}
	late.Reset(0)
	e.AfterFunc(0, func() { t.Error("a timer armed after Close fired") })
	timingtest.Real(timing.Runtime{}).Pass(20 * time.Millisecond)
	if after := openDescriptors(t); after > before { // Fewer, where the collector has closed one of an earlier test.
		t.Errorf("%d descriptors open after Close, want the %d of before", after, before)
	}
}

// TestEngineCloseFromACallback holds that closing waits for no callback, so that one may close its own clock.
func TestEngineCloseFromACallback(t *testing.T) {
	e := openEngine(t)
	closed := make(chan error)
	e.AfterFunc(time.Millisecond, func() { closed <- e.Close() })
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// openDescriptors goes by its own name here.
var openDescriptors = timingtest.OpenFiles

// TestEngineSurvivesCollection checks that an armed timer needs no other reference to fire.
func TestEngineSurvivesCollection(t *testing.T) {
	e := openEngine(t)
	fired := make(chan struct{})
	e.AfterFunc(20*time.Millisecond, func() { close(fired) })
	runtime.GC()
	runtime.GC()
	<-fired
}

// TestInlineRunsOnTheWaker holds that no goroutine is started for an inline callback: it has its waker's stack.
func TestInlineRunsOnTheWaker(t *testing.T) {
	e := openEngine(t)
	where := make(chan string, 1)
	timing.Inline(e).AfterFunc(time.Millisecond, func() {
		stack := make([]byte, 4096)
		where <- string(stack[:runtime.Stack(stack, false)])
	})
	if stack := <-where; !strings.Contains(stack, "fire") && !strings.Contains(stack, "backstopFired") {
		t.Errorf("an inline callback ran outside the wakers:\n%s", stack)
	}
}

func TestEngineErrorNamesTheAttempt(t *testing.T) {
	cause := errors.New("too many open files")
	err := error(&timing.EngineError{Attempt: "create timerfd", Err: cause})
	if got, want := err.Error(), "hrtimer engine: create timerfd: too many open files"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, cause) {
		t.Error("the system's answer is not unwrapped")
	}
}
