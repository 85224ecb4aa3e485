package appliance

import (
	"strings"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
)

// Names of the clocks, in --clock and as arms of every comparison.
const (
	ClockHRTimer = "hrtimer"
	ClockRuntime = "runtime"
)

// Clock is the clock that every protocol timer runs on.
type Clock struct {
	timing.Clock
	// Name is what it is, which after a fall-back is not what was asked for; Note says how it runs, in words.
	Name, Note string
	engine     *timing.Engine
}

// OpenClock opens the clock that was asked for. Where the machine cannot give the engine, package time stands in and
// the note says why. The caller closes it.
func OpenClock(asked string) Clock {
	if asked == ClockRuntime {
		return Clock{Clock: timing.Runtime{}, Name: ClockRuntime, Note: "package time, as asked for"}
	}
	engine, err := timing.NewEngine()
	if err != nil {
		return Clock{Clock: timing.Runtime{}, Name: ClockRuntime, Note: "package time stands in: " + err.Error()}
	}
	report := engine.Report()
	note := strings.Join(append([]string{report.Policy}, report.Notes...), "; ")
	return Clock{Clock: engine, Name: ClockHRTimer, Note: note, engine: engine}
}

// meterWakes records how late the kernel wakes the engine: the machine's part in every label's lateness.
func (c Clock) meterWakes(meter *timing.Meter) {
	if c.engine != nil {
		c.engine.MeterWakes(meter.Label("engine.wake").Record)
	}
}

// Inline gives the engine's view for short callbacks.
func (c Clock) Inline() timing.Clock { return timing.Inline(c.Clock) }

// Coarse gives the view for lifetimes.
func (c Clock) Coarse() timing.Clock { return timing.Coarse(c.Clock) }

// Close ends the engine, if there is one.
func (c Clock) Close() error {
	if c.engine == nil {
		return nil
	}
	return c.engine.Close()
}

// OpenBenchClock opens the clock that serve would use by default and makes re-timed pion use it, with a meter as serve
// has it. It is for one benchmark in a process of its own.
func OpenBenchClock() (clock timing.Clock, note string, end func() error) {
	opened := OpenClock(ClockHRTimer)
	meter := timing.NewMeter(opened, func(string, time.Duration) {})
	if err := stdtime.Use(opened, meter); err != nil {
		opened.Note += "; pion is on package time: " + err.Error()
	}
	return meter.Clock("turn.server", opened), opened.Name + " (" + opened.Note + ")", opened.Close
}
