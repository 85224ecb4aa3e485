package timingtest

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func timerFires(t *testing.T, s Std) {
	due := s.Now().Add(s.Unit)
	timer := s.NewTimer(s.Unit)
	s.passed(t, timer.C, 3*s.Unit) // The value is the deadline's date, however late it is read.
	s.judge(t, s.receive(t, timer.C), due)
	s.silent(t, timer.C, "a second value of one arming")
}

// timerTruth walks each state of a timer through Stop and through Reset: both say whether the timer was pending, for
// which an unread fire counts, and leave nothing stale behind.
func timerTruth(t *testing.T, s Std) {
	states := []struct {
		name    string
		make    func() StdTimer
		pending bool
	}{
		{"armed", func() StdTimer { return s.NewTimer(time.Hour) }, true},
		{"fired and unread", func() StdTimer {
			timer := s.NewTimer(s.Unit)
			s.passed(t, timer.C, 2*s.Unit)
			return timer
		}, true},
		{"fired and read", func() StdTimer {
			timer := s.NewTimer(s.Unit)
			s.receive(t, timer.C)
			return timer
		}, false},
		{"stopped", func() StdTimer {
			timer := s.NewTimer(time.Hour)
			timer.Stop()
			return timer
		}, false},
		{"stopped after an unread fire", func() StdTimer {
			timer := s.NewTimer(s.Unit)
			s.passed(t, timer.C, 2*s.Unit)
			timer.Stop()
			return timer
		}, false},
		{"armed again", func() StdTimer {
			timer := s.NewTimer(s.Unit)
			s.receive(t, timer.C)
			timer.Reset(time.Hour)
			return timer
		}, true},
	}
	for _, state := range states {
		timer := state.make()
		if got := timer.Stop(); got != state.pending {
			t.Errorf("Stop of a timer %s: %v, want %v", state.name, got, state.pending)
		}
		s.silent(t, timer.C, "after Stop of a timer "+state.name)

		timer = state.make()
		due := s.Now().Add(2 * s.Unit)
		if got := timer.Reset(2 * s.Unit); got != state.pending {
			t.Errorf("Reset of a timer %s: %v, want %v", state.name, got, state.pending)
		}
		s.judge(t, s.receive(t, timer.C), due)
		s.silent(t, timer.C, "a second value after Reset of a timer "+state.name)
	}
}

func funcTimer(t *testing.T, s Std) {
	var ran atomic.Int64
	timer := s.AfterFunc(time.Hour, func() { ran.Add(1) })
	if timer.C != nil {
		t.Error("a timer of AfterFunc has a channel")
	}
	if !timer.Stop() || timer.Stop() {
		t.Error("Stop of an armed timer has to report true, and once")
	}
	if timer.Reset(time.Hour) || !timer.Reset(s.Unit) {
		t.Error("Reset has to report false for a stopped timer and true for an armed one")
	}
	s.await(t, "the function", func() bool { return ran.Load() == 1 })
	if timer.Stop() {
		t.Error("Stop after the function ran: true, want false")
	}
	if timer.Reset(s.Unit) {
		t.Error("Reset after the function ran: true, want false")
	}
	s.await(t, "the function again", func() bool { return ran.Load() == 2 })
	s.Pass(3 * s.Unit)
	if got := ran.Load(); got != 2 {
		t.Errorf("the function ran %d times, want 2", got)
	}
}

func funcRearmsItself(t *testing.T, s Std) {
	var ran atomic.Int64
	self := make(chan StdTimer, 1)
	self <- s.AfterFunc(s.Unit, func() {
		timer := <-self
		if ran.Add(1) < 5 && timer.Reset(s.Unit) {
			t.Error("Reset from the timer's own function: true, want false")
		}
		self <- timer
	})
	s.await(t, "five runs", func() bool { return ran.Load() == 5 })
}

func timerExtremes(t *testing.T, s Std) {
	for _, d := range []time.Duration{0, -1, math.MinInt64} {
		due := s.Now() // A deadline in the past is taken for the present.
		s.judge(t, s.receive(t, s.NewTimer(d).C), due)
	}
	parked := s.NewTimer(math.MaxInt64)
	s.silent(t, parked.C, "a parked timer")
	if !parked.Stop() || parked.Reset(math.MaxInt64) || !parked.Reset(s.Unit) {
		t.Error("a parked timer has to count as armed")
	}
	s.receive(t, parked.C)
}

func afterAndSleep(t *testing.T, s Std) {
	due := s.Now().Add(s.Unit)
	s.judge(t, s.receive(t, s.After(s.Unit)), due)
	for _, d := range []time.Duration{0, -1, s.Unit} {
		woken, due := make(chan time.Time, 1), s.Now().Add(d)
		go func() {
			s.Sleep(d)
			woken <- s.Now()
		}()
		if at := s.receive(t, woken); d > 0 && at.Before(due) {
			t.Errorf("slept %v too short", due.Sub(at))
		}
	}
}

func tickerGrid(t *testing.T, s Std) {
	start := s.Now()
	ticker := s.NewTicker(s.Unit)
	defer ticker.Stop()
	for i := 1; i <= 5; i++ {
		at := s.receive(t, ticker.C)
		s.judge(t, at, start.Add(time.Duration(i)*s.Unit))
	}
	if ticking := s.Tick(s.Unit); !s.receive(t, ticking).Before(s.receive(t, ticking)) {
		t.Error("two ticks of Tick are not in order")
	}
}

// tickerSlow checks that of ten missed ticks one is left, the first, and that the grid goes on.
func tickerSlow(t *testing.T, s Std) {
	start := s.Now()
	ticker := s.NewTicker(s.Unit)
	defer ticker.Stop()
	s.passed(t, ticker.C, 10*s.Unit+s.Unit/2)
	s.judge(t, s.receive(t, ticker.C), start.Add(s.Unit))
	next := s.receive(t, ticker.C)
	if !s.Exact && next.Before(start.Add(10*s.Unit)) {
		next = s.receive(t, ticker.C) // That one was on its way when the first was read, by a goroutine that stood still.
	}
	if s.Exact && !next.Equal(start.Add(11*s.Unit)) {
		t.Errorf("the tick after ten missed ones is of %v after the start, want 11 units", next.Sub(start))
	}
	if next.Before(start.Add(10 * s.Unit)) {
		t.Errorf("a missed tick was replayed: of %v after the start", next.Sub(start))
	}
}

func tickerStopReset(t *testing.T, s Std) {
	ticker := s.NewTicker(s.Unit)
	s.passed(t, ticker.C, 2*s.Unit)
	ticker.Reset(time.Hour)
	s.silent(t, ticker.C, "after Reset to an hour")
	due := s.Now().Add(s.Unit)
	ticker.Reset(s.Unit)
	s.judge(t, s.receive(t, ticker.C), due)
	s.passed(t, ticker.C, 2*s.Unit)
	ticker.Stop()
	s.silent(t, ticker.C, "after Stop")
	ticker.Stop()
	due = s.Now().Add(s.Unit)
	ticker.Reset(s.Unit)
	s.judge(t, s.receive(t, ticker.C), due)
	ticker.Stop()
}

func misuse(t *testing.T, s Std) {
	ticker := s.NewTicker(time.Hour)
	defer ticker.Stop()
	panics := map[string]func(){
		"NewTicker of 0":         func() { s.NewTicker(0) },
		"NewTicker below 0":      func() { s.NewTicker(-1) },
		"Ticker.Reset to 0":      func() { ticker.Reset(0) },
		"Stop of a zero Timer":   func() { s.Zero.Timer.Stop() },
		"Reset of a zero Timer":  func() { s.Zero.Timer.Reset(time.Hour) },
		"Reset of a zero Ticker": func() { s.Zero.Ticker.Reset(time.Hour) },
	}
	for name, f := range panics {
		if !panicked(f) {
			t.Errorf("%s does not panic", name)
		}
	}
	if panicked(s.Zero.Ticker.Stop) {
		t.Error("Stop of a zero Ticker panics")
	}
	if s.Tick(0) != nil || s.Tick(-1) != nil {
		t.Error("Tick of no positive duration is not nil")
	}
}

func panicked(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

func channelSize(t *testing.T, s Std) {
	timer, ticker := s.NewTimer(s.Unit), s.NewTicker(s.Unit)
	defer ticker.Stop()
	for name, c := range map[string]<-chan time.Time{"timer": timer.C, "ticker": ticker.C, "After": s.After(s.Unit)} {
		s.passed(t, c, 2*s.Unit)
		if len(c) != s.Cap || cap(c) != s.Cap {
			t.Errorf("%s: an unread fire shows length %d of %d, want %d of it", name, len(c), cap(c), s.Cap)
		}
	}
}

// stopAgainstReceive checks that of "Stop returned true" and "the value was received" exactly one holds.
func stopAgainstReceive(t *testing.T, s Std) {
	const n = 300
	var received, stopped, stoppers atomic.Int64
	var all sync.WaitGroup
	for i := range n {
		timer, over := s.NewTimer(s.Unit), make(chan struct{})
		all.Go(func() {
			select {
			case <-timer.C:
				received.Add(1)
			case <-over:
			}
		})
		all.Go(func() {
			defer stoppers.Add(1)
			s.Sleep(s.Unit + time.Duration(i%3-1))
			if timer.Stop() {
				stopped.Add(1)
				close(over)
			}
		})
	}
	s.await(t, "all timers", func() bool { return stoppers.Load() == n && received.Load()+stopped.Load() >= n })
	all.Wait()
	if got := received.Load() + stopped.Load(); got != n {
		t.Errorf("%d received and %d stopped, want %d together", received.Load(), stopped.Load(), n)
	}
}

// resetAgainstFire re-arms timers about when they fire: nothing of before may come after.
func resetAgainstFire(t *testing.T, s Std) {
	for i := range 200 {
		timer := s.NewTimer(time.Duration(i) * time.Microsecond / 4)
		if i%2 == 0 {
			s.Pass(time.Duration(i) * time.Microsecond / 4)
		}
		timer.Reset(time.Hour)
		select {
		case at := <-timer.C:
			t.Fatalf("a stale value of %v came after Reset", at)
		default:
		}
		due := s.Now().Add(time.Microsecond)
		if !timer.Reset(time.Microsecond) {
			t.Fatal("Reset of an armed timer: false, want true")
		}
		if i%20 == 0 {
			s.judge(t, s.receive(t, timer.C), due)
		}
		timer.Stop()
	}
}
