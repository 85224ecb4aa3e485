// Package bench is `tourbillon bench timers`: it measures how late timers fire, several arms under one load.
//
// # How to read the figures
//
// A row is one arm under one load. Lateness is the instant at which the callback ran (for the arms that send: at which
// the receiver's kernel stamped the datagram) minus the deadline, both CLOCK_MONOTONIC, from raw samples, so that the
// percentiles are exact. Absolute figures belong to the machine, and a shared one gives other figures a minute later;
// what carries over is the ratio of two arms of one run, which is why every table prints it. `early` has to be 0.
// `missed` counts deadlines served later than one interval, or not at all by the end. `cpu_ns` is user and system CPU
// of the whole process in the measured window without the receiver's thread: under a load it is mostly the load's, so
// compare it idle.
//
// # How the arms are kept fair
//
// Each arm runs in a process of its own, one after another and interleaved over the runs, so that a slow change of the
// machine meets all of them. All have the same timers: phases uniform over one interval from a fixed seed, each
// periodic on its absolute grid, armed for the next instant from its own callback. Every instant of the grid is served
// in every arm, overdue ones at once: a stall is charged to each deadline that it covered and no arm looks better by
// skipping. The load is the same down to the iteration count, which is measured once for all processes. The first
// second, or ten intervals where they take longer, is not counted. Settings are those that `serve` has: the Go runtime's
// defaults, and the engine as timing.NewEngine makes it, so the policy in the row is the one that was in force.
//
// # Where things are
//
// timers.go is the command, options.go its options. plan.go runs trials through launch.go, which starts the processes;
// child.go is what they do: measure.go takes one arm (arms_*.go) through one load (loads.go) on one grid (grid.go).
// suite.go holds the bounds that the engine is to reach, table_*.go the tables that the project started from.
package bench
