package timingtest

import (
	"testing"
	"time"
)

// Std is package time, or what stands in for it, under test together with the way in which its time passes.
type Std struct {
	NewTimer    func(d time.Duration) StdTimer
	AfterFunc   func(d time.Duration, f func()) StdTimer
	NewTicker   func(d time.Duration) StdTicker
	After, Tick func(d time.Duration) <-chan time.Time
	Sleep       func(d time.Duration)
	Now         func() time.Time
	// Zero are a Timer and a Ticker that no function made.
	Zero struct {
		Timer  StdTimer
		Ticker StdTicker
	}

	// Pass returns when time has moved by at least d.
	Pass func(d time.Duration)
	// Unit is a short while: long enough to see the difference between one and two of it.
	Unit time.Duration
	// Exact says that time moves by Pass alone, so that deadlines are met to the nanosecond.
	Exact bool
	// Cap is the capacity that the channels show: 0 in package time, 1 where the fire waits in the channel for its
	// receiver.
	Cap int
}

// StdTimer has the members of a Timer.
type StdTimer struct {
	C     <-chan time.Time
	Stop  func() bool
	Reset func(d time.Duration) bool
}

// StdTicker has the members of a Ticker.
type StdTicker struct {
	C     <-chan time.Time
	Stop  func()
	Reset func(d time.Duration)
}

// StdConformance proves that timers and tickers keep package time's contract as it is since Go 1.23. open prepares a
// subject for each case and calls run with it.
func StdConformance(t *testing.T, open func(t *testing.T, run func(t *testing.T, s Std))) {
	cases := []struct {
		name string
		run  func(t *testing.T, s Std)
	}{
		{"a timer fires once at its deadline", timerFires},
		{"timer truth table", timerTruth},
		{"timer of a function", funcTimer},
		{"re-arm from the callback", funcRearmsItself},
		{"past and parked deadlines", timerExtremes},
		{"After and Sleep", afterAndSleep},
		{"a ticker keeps its grid", tickerGrid},
		{"a slow receiver misses ticks", tickerSlow},
		{"ticker Stop and Reset", tickerStopReset},
		{"what is not made or not positive", misuse},
		{"channel length and capacity", channelSize},
		{"stop against receive", stopAgainstReceive},
		{"reset against fire", resetAgainstFire},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { open(t, c.run) })
	}
}

// patience is for how many units a fire is waited for: less than the hour that other timers are armed for where a unit
// is a second, and minutes where time goes on by itself, as the machine lets it.
func (s Std) patience() int {
	if s.Exact {
		return 1000
	}
	return int(realPatience / s.Unit)
}

// receive returns the next value; the test fails when none comes.
func (s Std) receive(t *testing.T, c <-chan time.Time) time.Time {
	t.Helper()
	for range s.patience() {
		select {
		case at := <-c:
			return at
		default:
			s.Pass(s.Unit)
		}
	}
	t.Fatalf("waited %d units for a fire", s.patience())
	return time.Time{}
}

// await passes time until the condition comes true.
func (s Std) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for range s.patience() {
		if condition() {
			return
		}
		s.Pass(s.Unit)
	}
	t.Fatalf("waited %d units for %s", s.patience(), what)
}

// silent fails the test when a value comes within a few units.
func (s Std) silent(t *testing.T, c <-chan time.Time, why string) {
	t.Helper()
	for range 3 {
		select {
		case at := <-c:
			t.Errorf("%s: received %v", why, at)
		default:
		}
		s.Pass(s.Unit)
	}
}

// passed lets a fire happen that is due within d, and keeps it unread.
func (s Std) passed(t *testing.T, c <-chan time.Time, d time.Duration) {
	t.Helper()
	s.Pass(d)
	if s.Cap > 0 {
		s.await(t, "a fire in the channel", func() bool { return len(c) > 0 })
	}
}

// judge fails the test when a fire that was due came with the wrong date.
func (s Std) judge(t *testing.T, got, due time.Time) {
	t.Helper()
	if s.Exact && !got.Equal(due) {
		t.Errorf("received %v, want the deadline %v", got, due)
	}
	if got.Before(due) {
		t.Errorf("received %v, %v before the deadline", got, due.Sub(got))
	}
}
