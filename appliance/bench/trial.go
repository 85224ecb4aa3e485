//go:build linux

package bench

import "time"

// Names of the arms.
const (
	armRuntime     = "runtime"
	armNetpoll     = "netpoll"
	armHRTimer     = "hrtimer"
	armInline      = "hrtimer-inline"
	armRuntimeSend = "runtime-send"
	armWire        = "wire"
)

var armNames = []string{armRuntime, armNetpoll, armHRTimer, armInline, armRuntimeSend, armWire}

// yardstick is the package-time arm that an arm is compared with: those that send with one that sends.
func yardstick(arm string) string {
	if arm == armWire || arm == armRuntimeSend {
		return armRuntimeSend
	}
	return armRuntime
}

// trial is one arm under one load, as the process that runs it is told.
type trial struct {
	Arm      string        `json:"arm"`
	Load     string        `json:"load"`
	Timers   int           `json:"timers"`
	Interval time.Duration `json:"interval_ns"`
	WarmUp   time.Duration `json:"warm_up_ns"`
	Window   time.Duration `json:"window_ns"`
	// Slack is the coalescing slack of the timers' class; 0 for precise.
	Slack time.Duration `json:"slack_ns"`
	// CPU is the one that the wire's thread is to stay on; anyCPU for none in particular.
	CPU int `json:"cpu"`
	// Work is how many iterations of burn make a job of the load.
	Work int `json:"work"`
}

// warmUpFor is the time that is thrown away before the window.
func warmUpFor(interval time.Duration) time.Duration { return max(time.Second, 10*interval) }

// pinned are the CPUs that the wire's thread is to stay on.
func (t trial) pinned() []int {
	if t.CPU == anyCPU {
		return nil
	}
	return []int{t.CPU}
}

// Row is the outcome of one trial. Lateness and CPU time are in nanoseconds.
type Row struct {
	Arm        string `json:"arm"`
	Load       string `json:"load"`
	Timers     int    `json:"timers"`
	IntervalNS int64  `json:"interval_ns"`
	// Fires counts the deadlines that were served, Early those before their instant, Missed those served later than
	// one interval or never.
	Fires  int64 `json:"fires"`
	Early  int64 `json:"early"`
	Missed int64 `json:"missed"`
	P50NS  int64 `json:"p50_ns"`
	P90NS  int64 `json:"p90_ns"`
	P99NS  int64 `json:"p99_ns"`
	P999NS int64 `json:"p999_ns"`
	MaxNS  int64 `json:"max_ns"`
	// CPUNS is user and system CPU time of the process in the window, without the receiver's thread.
	CPUNS int64 `json:"cpu_ns"`
	// Policy is the scheduling policy that was in force on the thread that wakes.
	Policy     string `json:"policy"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	SlackNS    int64  `json:"slack_ns"`
}

// outcome is a Row with what only the tables and the plot use.
type outcome struct {
	Row
	P95NS int64 `json:"p95_ns"`
	// Curve is the distribution as func curve samples it.
	Curve []int64 `json:"curve"`
	// Notes say in words what was asked for and not given.
	Notes []string `json:"notes,omitempty"`
}

// newOutcome puts the samples of a trial into figures. It is pure.
func newOutcome(t trial, c tally) outcome {
	o := outcome{
		Row: Row{
			Arm: t.Arm, Load: t.Load, Timers: t.Timers, IntervalNS: int64(t.Interval), SlackNS: int64(t.Slack),
			Fires: c.fires, Early: c.early, Missed: c.missed,
			P50NS:  perMille(c.sorted, 500),
			P90NS:  perMille(c.sorted, 900),
			P99NS:  perMille(c.sorted, 990),
			P999NS: perMille(c.sorted, 999),
			MaxNS:  perMille(c.sorted, 1000),
		},
		P95NS: perMille(c.sorted, 950),
		Curve: curve(c.sorted),
	}
	return o
}
