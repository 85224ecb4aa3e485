package timingtest

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tourbillon/timing"
)

// Subject is a clock under test together with the way in which its time passes.
type Subject struct {
	Clock timing.Clock
	// Pass returns when the clock has moved by at least d and the callbacks due by then have been started.
	Pass func(d time.Duration)
	// patience is for how long of its time the clock is waited for.
	patience time.Duration
}

// How long of a clock's own time the cases wait for what must happen. A clock that moves by itself is only as quick as the
// machine lets it be.
const (
	realPatience    = 2 * time.Minute
	virtualPatience = time.Second
)

// Real makes a subject of a clock that moves by itself: Pass waits for a timer of that clock.
func Real(c timing.Clock) Subject {
	return Subject{Clock: c, patience: realPatience, Pass: func(d time.Duration) {
		passed := make(chan struct{})
		c.AfterFunc(d, func() { close(passed) })
		<-passed
	}}
}

// Virtual makes a subject of a manual clock: Pass advances it.
func Virtual(m *Manual) Subject {
	return Subject{Clock: m, patience: virtualPatience, Pass: m.Advance}
}

// Conformance proves that a clock keeps the rules in package timing's documentation. open is called for each case.
func Conformance(t *testing.T, open func(t *testing.T) Subject) {
	cases := []struct {
		name string
		run  func(t *testing.T, s Subject)
	}{
		{"never early", neverEarly},
		{"order", order},
		{"past deadlines fire once", pastDeadlines},
		{"stop truth table", stopTruth},
		{"reset truth table", resetTruth},
		{"far deadlines saturate", farDeadlines},
		{"re-arm from the callback", rearmInside},
		{"stop from the callback", stopInside},
		{"an earlier deadline is honoured", newMinimum},
		{"stop against fire", stopRace},
		{"periodic work keeps its grid", periodicGrid},
		{"many timers", manyTimers},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// await fails the test when the condition does not come true while the clock passes so much of its time that the machine
// cannot be the cause.
func await(t *testing.T, s Subject, what string, condition func() bool) {
	t.Helper()
	for end := s.Clock.Now().Add(s.patience); !condition(); s.Pass(time.Millisecond) {
		if s.Clock.Now() > end {
			t.Fatalf("waited %v of the clock's time for %s", s.patience, what)
		}
	}
}

func neverEarly(t *testing.T, s Subject) {
	var fired atomic.Int64
	for _, d := range []time.Duration{0, 1, 999, time.Microsecond, 300 * time.Microsecond, 5 * time.Millisecond} {
		deadline := s.Clock.Now().Add(d)
		s.Clock.At(deadline, func() {
			if now := s.Clock.Now(); now < deadline {
				t.Errorf("a timer of %v fired %v early", d, deadline.Sub(now))
			}
			fired.Add(1)
		})
	}
	await(t, s, "six timers", func() bool { return fired.Load() == 6 })
}

// order checks that deadlines are served first come first. Where time passes by itself, callbacks of different timers run
// on different goroutines and may overtake each other on the way to a processor: there each timer has to have fired
// before one that is due much later. How much that is the machine decides: when it stands still all that is due begins
// at once. So the deadlines move apart until they are told apart, up to seconds; a clock without order never gets there.
func order(t *testing.T, s Subject) {
	const n, near, far = 50, 2 * time.Millisecond, 128 * time.Millisecond
	if _, manual := s.Clock.(*Manual); manual {
		if got := fireInOrder(t, s, n, near); displaced(got) > 0 {
			t.Errorf("fired in the order %v", got)
		}
		return
	}
	for apart := near; apart <= far; apart *= 2 {
		got := fireInOrder(t, s, n, apart)
		if displaced(got) <= n/2 {
			return
		}
		t.Logf("deadlines %v apart fired in the order %v", apart, got)
	}
	t.Errorf("no order among deadlines up to %v apart", far)
}

// fireInOrder arms n timers, the last deadline first, and returns in which order they fired.
func fireInOrder(t *testing.T, s Subject, n int, apart time.Duration) (got []int) {
	t.Helper()
	var mu sync.Mutex
	start := s.Clock.Now().Add(10 * time.Millisecond)
	for i := n - 1; i >= 0; i-- {
		s.Clock.At(start.Add(time.Duration(i)*apart), func() {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, i)
		})
	}
	await(t, s, "all timers", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) == n
	})
	return got
}

// displaced is how far at most a number is from its place.
func displaced(order []int) (most int) {
	for place, i := range order {
		most = max(most, place-i, i-place)
	}
	return most
}

func pastDeadlines(t *testing.T, s Subject) {
	var fired atomic.Int64
	count := func() { fired.Add(1) }
	s.Clock.AfterFunc(0, count)
	s.Clock.AfterFunc(-time.Hour, count)
	s.Clock.AfterFunc(math.MinInt64, count)
	s.Clock.At(0, count)
	s.Clock.At(s.Clock.Now().Add(-1), count)
	await(t, s, "five overdue timers", func() bool { return fired.Load() == 5 })
	s.Pass(20 * time.Millisecond)
	if got := fired.Load(); got != 5 {
		t.Errorf("overdue timers fired %d times, want 5", got)
	}
}

func stopTruth(t *testing.T, s Subject) {
	var fired atomic.Int64
	length := 20 * time.Millisecond
	began := s.Clock.Now()
	timer := s.Clock.AfterFunc(length, func() { fired.Add(1) })
	for !timer.Stop() { // A machine that stands still for as long has it fire.
		if s.Clock.Now().Sub(began) < length {
			t.Fatal("Stop of an armed timer: false, want true")
		}
		await(t, s, "the timer that was not stopped", func() bool { return fired.Load() == 1 })
		fired.Store(0)
		length *= 2
		began = s.Clock.Now()
		timer = s.Clock.AfterFunc(length, func() { fired.Add(1) })
	}
	if timer.Stop() {
		t.Error("Stop of a stopped timer: true, want false")
	}
	s.Pass(2 * length)
	if fired.Load() != 0 {
		t.Error("a stopped timer fired")
	}
	timer.Reset(0)
	await(t, s, "the re-armed timer", func() bool { return fired.Load() == 1 })
	if timer.Stop() {
		t.Error("Stop of a fired timer: true, want false")
	}
}

func resetTruth(t *testing.T, s Subject) {
	var fired atomic.Int64
	timer := s.Clock.AfterFunc(time.Hour, func() { fired.Add(1) })
	if !timer.Reset(time.Hour) {
		t.Error("Reset of an armed timer: false, want true")
	}
	if !timer.ResetAt(s.Clock.Now().Add(time.Millisecond)) {
		t.Error("ResetAt of an armed timer: false, want true")
	}
	await(t, s, "the timer", func() bool { return fired.Load() == 1 })
	if timer.Reset(time.Hour) {
		t.Error("Reset of a fired timer: true, want false")
	}
	timer.Stop()
	if timer.ResetAt(s.Clock.Now()) {
		t.Error("ResetAt of a stopped timer: true, want false")
	}
	await(t, s, "the timer again", func() bool { return fired.Load() == 2 })
}

func farDeadlines(t *testing.T, s Subject) {
	var fired atomic.Int64
	count := func() { fired.Add(1) }
	timers := []timing.Timer{
		s.Clock.AfterFunc(math.MaxInt64, count),
		s.Clock.At(timing.Never, count),
		s.Clock.At(timing.Never-1, count),
	}
	again := s.Clock.AfterFunc(time.Hour, count)
	again.Reset(math.MaxInt64)
	s.Pass(20 * time.Millisecond)
	if fired.Load() != 0 {
		t.Error("a timer parked for centuries fired")
	}
	for i, timer := range append(timers, again) {
		if !timer.Stop() {
			t.Errorf("parked timer %d: Stop false, want true", i)
		}
	}
}

func rearmInside(t *testing.T, s Subject) {
	var fired atomic.Int64
	ready := make(chan timing.Timer, 1)
	timer := s.Clock.AfterFunc(time.Millisecond, func() {
		self := <-ready
		if fired.Add(1) < 5 {
			self.Reset(time.Millisecond)
		}
		ready <- self
	})
	ready <- timer
	await(t, s, "five firings of one timer", func() bool { return fired.Load() == 5 })
}

func stopInside(t *testing.T, s Subject) {
	other := s.Clock.AfterFunc(time.Hour, func() { t.Error("a timer stopped from a callback fired") })
	stopped := make(chan bool, 1)
	s.Clock.AfterFunc(time.Millisecond, func() { stopped <- other.Stop() })
	await(t, s, "the stopping callback", func() bool { return len(stopped) == 1 })
	if !<-stopped {
		t.Error("Stop from a callback of another, armed timer: false, want true")
	}
}

func newMinimum(t *testing.T, s Subject) {
	s.Clock.AfterFunc(time.Hour, func() {})
	s.Pass(time.Millisecond) // The clock has gone to sleep towards the hour.
	var fired atomic.Bool
	s.Clock.AfterFunc(time.Millisecond, func() { fired.Store(true) })
	await(t, s, "the earlier timer", fired.Load)
}

// stopRace checks that of "Stop returned true" and "the callback ran" exactly one holds, for each of many timers.
func stopRace(t *testing.T, s Subject) {
	const n = 2000
	var ran, stopped atomic.Int64
	var stoppers sync.WaitGroup
	deadline := s.Clock.Now().Add(2 * time.Millisecond)
	for range n {
		timer := s.Clock.At(deadline, func() { ran.Add(1) })
		stoppers.Go(func() {
			if timer.Stop() {
				stopped.Add(1)
			}
		})
	}
	s.Pass(2 * time.Millisecond)
	stoppers.Wait()
	await(t, s, "each timer to be stopped or run", func() bool { return ran.Load()+stopped.Load() >= n })
	s.Pass(5 * time.Millisecond)
	if got := ran.Load() + stopped.Load(); got != n {
		t.Errorf("%d ran and %d were stopped, %d together, want %d", ran.Load(), stopped.Load(), got, n)
	}
}

func periodicGrid(t *testing.T, s Subject) {
	const period = 2 * time.Millisecond
	start := s.Clock.Now().Add(period)
	var mu sync.Mutex
	var ticks []timing.Tick
	p := timing.Every(s.Clock, start, period, func(tick timing.Tick) {
		mu.Lock()
		defer mu.Unlock()
		ticks = append(ticks, tick)
	})
	await(t, s, "ten ticks", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(ticks) >= 10
	})
	p.Stop()
	mu.Lock()
	defer mu.Unlock()
	for _, tick := range ticks {
		if off := tick.Due.Sub(start) % period; off != 0 {
			t.Errorf("a tick stands for %v after the start, %v off the grid", tick.Due.Sub(start), off)
		}
	}
}

func manyTimers(t *testing.T, s Subject) {
	var fired atomic.Int64
	count := func() { fired.Add(1) }
	base := s.Clock.Now()
	for i := range many {
		// 7919 is prime, so the deadlines come in no order.
		s.Clock.At(base.Add(time.Duration(i*7919%many)*time.Microsecond/2), count)
	}
	await(t, s, "all timers", func() bool { return fired.Load() == many })
}
