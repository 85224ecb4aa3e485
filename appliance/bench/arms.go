//go:build linux

package bench

import (
	"fmt"
	"time"

	"tourbillon/timing"
)

// policyOther is the policy of a thread that asked for none.
const policyOther = "SCHED_OTHER"

// arm serves the deadlines of a grid in its own way.
type arm interface {
	// start arms every timer of the grid. It is called once.
	start(g *grid) error
	// facts tells how the arm runs.
	facts() armFacts
	// aside returns the CPU time spent by threads that only measure.
	aside() (time.Duration, error)
	// close ends the arm. A callback may still run shortly after.
	close() error
}

// armFacts says how an arm runs on this machine.
type armFacts struct {
	// policy is the scheduling policy of the thread that wakes, notes what was not granted.
	policy string
	notes  []string
}

// openArm makes the trial's arm. Lateness is told by the same clock in all, CLOCK_MONOTONIC.
func openArm(t trial) (arm, error) {
	switch t.Arm {
	case armRuntime:
		return newRuntimeArm(), nil
	case armNetpoll:
		return newNetpollArm()
	case armHRTimer:
		return newEngineArm(t, false)
	case armInline:
		return newEngineArm(t, true)
	case armRuntimeSend:
		return newRuntimeSendArm()
	case armWire:
		return newWireArm(t)
	}
	return nil, fmt.Errorf("no arm %q", t.Arm)
}

// nothingAside is for arms without a thread that only measures.
type nothingAside struct{}

func (nothingAside) aside() (time.Duration, error) { return 0, nil }

// clockTimer is one of the grid's timers on a clock. Its callback arms the next instant before it works, as
// timing.Every does, so that work which has to wait delays nothing but itself.
type clockTimer struct {
	*gridTimer
	clock timing.Clock
	timer timing.Timer
	work  work
}

// work does what a timer's deadline number n asks for; now is when the callback began.
type work func(t *gridTimer, n int, now timing.Instant)

// startOn arms every timer of the grid on a clock.
func startOn(c timing.Clock, g *grid, w work) {
	for _, t := range g.timers {
		ct := &clockTimer{gridTimer: t, clock: c, work: w}
		// Made parked: the callback needs to find the timer in its field.
		ct.timer = c.At(timing.Never, ct.fire)
		ct.timer.ResetAt(t.first)
	}
}

func (t *clockTimer) fire() {
	n, now := t.next, t.clock.Now()
	if due, more := t.advance(); more {
		t.timer.ResetAt(due)
	}
	t.work(t.gridTimer, n, now)
}

// serveNow is the work of the arms whose callback is the event.
func serveNow(t *gridTimer, n int, now timing.Instant) { t.serve(n, now) }
