package stdtime

import (
	"sync"

	"tourbillon/timing"
)

// Ticker is [time.Ticker] on the process clock: ticks stay on the grid that NewTicker or Reset began, and a slow
// receiver misses ticks.
type Ticker struct {
	C <-chan Time

	clock timing.Clock
	inner timing.Timer

	// mu guards the rest. It is held while inner is armed or stopped, which does not block.
	mu      sync.Mutex
	c       chan Time
	due     timing.Instant
	period  Duration
	stopped bool
}

// NewTicker is [time.NewTicker]; it panics unless d is positive.
func NewTicker(d Duration) *Ticker { return newTicker(siteOf(1), d) }

// Tick is [time.Tick]; it returns nil unless d is positive. The ticker is never collected.
func Tick(d Duration) <-chan Time {
	if d <= 0 {
		return nil
	}
	return newTicker(siteOf(1), d).C
}

func newTicker(s *site, d Duration) *Ticker {
	if d <= 0 {
		panic("non-positive interval for NewTicker")
	}
	c := make(chan Time, 1)
	t := &Ticker{C: c, c: c, clock: s.inline, period: d}
	t.mu.Lock() // A prompt firing waits until inner is set.
	defer t.mu.Unlock()
	armed.Add(1)
	t.due = s.inline.Now().Add(d)
	t.inner = s.inline.At(t.due, t.send)
	return t
}

func (t *Ticker) send() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	// A firing that Reset overtook leaves its deadline to the new one.
	if t.stopped || now < t.due {
		return
	}
	select {
	case t.c <- Now():
	default:
	}
	t.due, _ = timing.NextOnGrid(t.due, t.period, now)
	t.inner.ResetAt(t.due)
}

// Stop is [Ticker.Stop] of package time.
func (t *Ticker) Stop() {
	if t.inner == nil {
		return // As package time: stopping a Ticker that NewTicker did not make does nothing.
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stopped {
		t.stopped = true
		armed.Add(-1)
		t.inner.Stop()
	}
	t.drainLocked()
}

// Reset is [Ticker.Reset] of package time; it panics unless d is positive.
func (t *Ticker) Reset(d Duration) {
	if d <= 0 {
		panic("non-positive interval for Ticker.Reset")
	}
	if t.inner == nil {
		panic("time: Reset called on uninitialized Ticker")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		t.stopped = false
		armed.Add(1)
	}
	t.drainLocked()
	t.period = d
	t.due = t.clock.Now().Add(d)
	t.inner.ResetAt(t.due)
}

func (t *Ticker) drainLocked() {
	select {
	case <-t.c:
	default:
	}
}
