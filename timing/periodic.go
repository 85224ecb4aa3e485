package timing

import (
	"sync"
	"time"
)

// Tick is one firing of periodic work.
type Tick struct {
	// Due is the grid instant that this firing stands for; with a lead the callback is meant to run before it.
	Due Instant
	// Overrun counts the grid instants since the previous firing that passed unserved, because the program or the
	// machine stalled. They are skipped, never replayed.
	Overrun int
}

// Periodic is work repeated on an absolute grid. The next firing is armed before the callback runs, so a slow
// callback delays nothing but itself; where callbacks are spawned, two may then overlap.
type Periodic struct {
	clock Clock
	f     func(Tick)

	// mu guards what follows; it is never held over the callback.
	mu      sync.Mutex
	timer   Timer
	due     Instant
	period  time.Duration
	lead    time.Duration
	stopped bool

	running sync.WaitGroup
}

// Every calls f at first and then every period (more than 0) on the grid that first begins, until Stop.
func Every(c Clock, first Instant, period time.Duration, f func(Tick)) *Periodic {
	p := &Periodic{clock: c, f: f, due: first, period: max(period, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = c.At(first, p.fire)
	return p
}

// SetPeriod changes the period from now on: the next firing comes one new period after the last grid instant, or
// after now if that has passed.
func (p *Periodic) SetPeriod(period time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	last := p.due.Add(-p.period)
	p.period = max(period, 1)
	p.due = last.Add(p.period)
	if now := p.clock.Now(); p.due < now {
		p.due = now.Add(p.period)
	}
	p.armLocked()
}

// SetLead makes each later firing come lead before its grid instant, which makes up for a known delay on the path.
func (p *Periodic) SetLead(lead time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lead = lead
}

// Stop ends the work. A callback that is already running is not waited for.
func (p *Periodic) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.timer.Stop()
}

// StopAndWait ends the work and waits for a callback that is already running; it must not be called from one.
func (p *Periodic) StopAndWait() {
	p.Stop()
	p.running.Wait()
}

func (p *Periodic) fire() {
	p.mu.Lock()
	now := p.clock.Now()
	if p.stopped {
		p.mu.Unlock()
		return
	}
	if now < p.due.Add(-p.lead) {
		// SetPeriod moved the deadline while this firing was on its way, or SetLead shortened the lead after arming.
		p.armLocked()
		p.mu.Unlock()
		return
	}
	tick := Tick{Due: p.due}
	p.due, tick.Overrun = NextOnGrid(p.due, p.period, now)
	p.armLocked()
	p.running.Add(1)
	p.mu.Unlock()
	defer p.running.Done()
	p.f(tick)
}

func (p *Periodic) armLocked() { p.timer.ResetAt(p.due.Add(-p.lead)) }

// NextOnGrid returns the first instant after now on the grid due, due+period, due+2·period …, but at the earliest
// due+period, and how many grid instants between the two were missed.
func NextOnGrid(due Instant, period time.Duration, now Instant) (next Instant, overrun int) {
	next = due.Add(period)
	if next > now {
		return next, 0
	}
	overrun = int(now.Sub(next)/period) + 1
	return next.Add(time.Duration(overrun) * period), overrun
}
