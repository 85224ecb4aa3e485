//go:build linux

package bench

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"tourbillon/timing"
)

const (
	// startMargin is the time between arming and the first instant of the grid.
	startMargin = 50 * time.Millisecond
	// drainPatience is how long deadlines of the window may still be served after it. Longer waits are only met under a
	// quota that cannot carry the trial; what is open then counts as missed.
	drainPatience = 10 * time.Second
)

// measure runs a trial in this process. It blocks for the warm-up, the window and what is served late.
func measure(t trial) (outcome, error) {
	a, err := openArm(t)
	if err != nil {
		return outcome{}, err
	}
	busy, err := startLoad(t.Load, t.Work)
	if err != nil {
		return outcome{}, errors.Join(err, a.close())
	}
	o, err := measureArm(a, t)
	busy.stop()
	return o, errors.Join(err, a.close())
}

func measureArm(a arm, t trial) (outcome, error) {
	clock := timing.Runtime{}
	g := newGrid(t.Timers, t.Interval, t.WarmUp, t.Window, clock.Now().Add(startMargin))
	if err := a.start(g); err != nil {
		return outcome{}, fmt.Errorf("start the arm %s: %w", t.Arm, err)
	}
	cpu, err := spentIn(g, a, clock)
	if err != nil {
		return outcome{}, err
	}
	awaitDone(g, clock)
	o := newOutcome(t, g.tally(clock.Now()))
	facts := a.facts()
	o.CPUNS, o.Policy, o.Notes = int64(cpu), facts.policy, facts.notes
	o.GOMAXPROCS = runtime.GOMAXPROCS(0)
	return o, nil
}

// spentIn waits through the window and returns the CPU time spent in it.
func spentIn(g *grid, a arm, clock timing.Clock) (spent time.Duration, err error) {
	p, err := newPacer()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	first, err := readCPU(p, g.from, a, clock)
	if err != nil {
		return 0, err
	}
	last, err := readCPU(p, g.until, a, clock)
	if err != nil {
		return 0, err
	}
	// Under a load this goroutine itself wakes late: what was spent between the readings is scaled to the window.
	share := float64(g.until.Sub(g.from)) / float64(max(last.at.Sub(first.at), 1))
	return time.Duration(float64(last.spent-first.spent) * share), nil
}

// cpuReading is what the process had spent by an instant.
type cpuReading struct {
	at    timing.Instant
	spent time.Duration
}

// readCPU waits until an instant and reads.
func readCPU(p *pacer, at timing.Instant, a arm, clock timing.Clock) (cpuReading, error) {
	if err := p.waitUntil(at); err != nil {
		return cpuReading{}, err
	}
	r := cpuReading{at: clock.Now()}
	var err error
	r.spent, err = ownCPU(a)
	return r, err
}

func ownCPU(a arm) (time.Duration, error) {
	whole, err := processCPU()
	if err != nil {
		return 0, err
	}
	aside, err := a.aside()
	return whole - aside, err
}

// awaitDone waits until every deadline is served, or for drainPatience. Its own timer is armed after the window only.
func awaitDone(g *grid, clock timing.Clock) {
	gaveUp := make(chan struct{})
	patience := clock.AfterFunc(drainPatience, func() { close(gaveUp) })
	defer patience.Stop()
	select {
	case <-g.done:
	case <-gaveUp:
	}
}
