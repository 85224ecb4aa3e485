package timing

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// Scheduling of a thread of our own.
const (
	// fifoPriority is the SCHED_FIFO priority asked for: above every ordinary thread, below the kernel's own (50).
	fifoPriority = 10
	// timerSlackNS replaces the default 50 µs slack of the thread's sleeps (prctl(2), PR_SET_TIMERSLACK).
	timerSlackNS = 1
)

// configureThread asks for real-time scheduling of the calling thread, and for it to stay on the given CPUs, if any; a
// refusal is a note, never an error.
func configureThread(cpus []int) EngineReport {
	var report EngineReport
	if err := pinThread(cpus); err != nil {
		report.Notes = append(report.Notes, err.Error())
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlackNS, 0, 0, 0); err != nil {
		report.Notes = append(report.Notes, fmt.Sprintf("timer slack stays at the default: %v", err))
	}
	if runtime.NumCPU() < 2 {
		// On one CPU a FIFO thread would keep every other from running.
		report.Notes = append(report.Notes, "SCHED_FIFO not asked for: a single CPU")
		report.Policy = shortenSlice()
		return report
	}
	attr := unix.SchedAttr{
		Size:     unix.SizeofSchedAttr,
		Policy:   unix.SCHED_FIFO,
		Flags:    unix.SCHED_FLAG_RESET_ON_FORK,
		Priority: fifoPriority,
	}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		report.Notes = append(report.Notes, fmt.Sprintf("SCHED_FIFO not granted (%v): set LimitRTPRIO=%d in the unit", err, fifoPriority))
		report.Policy = shortenSlice()
		return report
	}
	report.Policy = fmt.Sprintf("SCHED_FIFO %d", fifoPriority)
	return report
}

// shortenSlice asks for the shortest slice of an ordinary thread and says in words how the thread runs.
func shortenSlice() (policy string) {
	if !kernel.ShortenSlice() {
		return ordinary
	}
	return fmt.Sprintf("%s with slices of %v", ordinary, kernel.ShortSlice)
}

// ordinary is the policy of threads that ask for nothing.
const ordinary = "SCHED_OTHER"

// pinThread keeps the calling thread on the given CPUs; on any where there are none.
func pinThread(cpus []int) error {
	if len(cpus) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("keep the thread on the CPUs %v: %w", cpus, err)
	}
	return nil
}
