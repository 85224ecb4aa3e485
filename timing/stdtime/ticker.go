package stdtime

import (
	"sync"

	"tourbillon/timing"
)

// Ticker is [time.Ticker] on the process clock: ticks stay on the grid that NewTicker or Reset began, and a slow
// receiver misses ticks.
type Ticker struct {
	C <-chan Time

	// site is nil in a Ticker that NewTicker did not make.
	site *site
	c    chan Time

	// mu guards the rest: the timer of the process clock, nil while the ticker is stopped, and the period.
	mu     sync.Mutex
	held   *arming
	period Duration
}

// NewTicker is [time.NewTicker]; it panics unless d is positive.
func NewTicker(d Duration) *Ticker {
	if d <= 0 {
		panic("non-positive interval for NewTicker")
	}
	return newTicker(siteOf(1), d)
}

// Tick is [time.Tick]; it returns nil unless d is positive. The ticker is never collected.
func Tick(d Duration) <-chan Time {
	if d <= 0 {
		return nil
	}
	return newTicker(siteOf(1), d).C
}

func newTicker(s *site, d Duration) *Ticker {
	c := make(chan Time, 1)
	t := &Ticker{C: c, c: c, site: s}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.startLocked(d)
	return t
}

func (t *Ticker) startLocked(d Duration) {
	t.site.process.armed.Add(1)
	t.period = d
	l := t.site.inline
	l.armLocked(&t.held, t, l.clock.Now().Add(d))
}

func (t *Ticker) fired() {
	t.mu.Lock()
	defer t.mu.Unlock()
	due, l := t.held.due, t.site.inline
	if !l.firedLocked(&t.held) {
		return
	}
	late := t.site.record(due)
	select {
	case t.c <- t.site.process.date().Add(-late):
	default:
	}
	next, _ := timing.NextOnGrid(due, t.period, l.clock.Now())
	l.armLocked(&t.held, t, next)
}

// Stop is [time.Ticker.Stop].
func (t *Ticker) Stop() {
	if t.site == nil {
		return // As package time: stopping a Ticker that NewTicker did not make does nothing.
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.site.inline.stopLocked(&t.held) {
		t.site.process.armed.Add(-1)
	}
	t.drainLocked()
}

// Reset is [time.Ticker.Reset]; it panics unless d is positive.
func (t *Ticker) Reset(d Duration) {
	if d <= 0 {
		panic("non-positive interval for Ticker.Reset")
	}
	if t.site == nil {
		panic("time: Reset called on uninitialized Ticker")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held != nil && t.held.armed {
		t.site.process.armed.Add(-1)
	}
	t.startLocked(d)
	t.drainLocked()
}

func (t *Ticker) drainLocked() {
	select {
	case <-t.c:
	default:
	}
}
