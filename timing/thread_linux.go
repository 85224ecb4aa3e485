package timing

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Scheduling of a thread of our own.
const (
	// fifoPriority is the SCHED_FIFO priority asked for: above every ordinary thread, below the kernel's own (50).
	fifoPriority = 10
	// timerSlackNS replaces the default 50 µs slack of the thread's sleeps (prctl(2), PR_SET_TIMERSLACK).
	timerSlackNS = 1
	// shortSlice is the slice that an ordinary thread asks for instead, the shortest there is: since Linux 6.12 a thread that
	// wakes with a shorter slice than the running one's gets the CPU at once (sched(7); sched_setattr(2), sched_runtime).
	shortSlice = 100 * time.Microsecond
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

// shortenSlice asks for the shortest slice of an ordinary thread and says in words how the thread runs. It needs no right;
// older kernels pass it over.
func shortenSlice() (policy string) {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return ordinary
	}
	attr.Flags |= unix.SCHED_FLAG_RESET_ON_FORK
	attr.Runtime = uint64(shortSlice)
	if err := unix.SchedSetAttr(0, attr, 0); err != nil {
		return ordinary
	}
	if attr, err = unix.SchedGetAttr(0, 0); err != nil || attr.Runtime != uint64(shortSlice) {
		return ordinary
	}
	return fmt.Sprintf("%s with slices of %v", ordinary, shortSlice)
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
