package timing

import (
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// UnknownSlack is the timer slack of a system that does not tell it.
const UnknownSlack time.Duration = -1

// Host is what this machine and this process are that decides how late timers can be. What could not be found out is
// said to be unknown, never guessed. It is read from system calls, /sys and the files of /proc/self, since a hardened
// unit hides the rest of /proc (systemd.exec(5), ProcSubset=).
type Host struct {
	// Kernel is the system's name and release, as uname(2) has them ("Linux 6.18.44"); empty where unknown.
	Kernel string `json:"kernel"`
	// OnlineCPUs are the processors that the kernel runs, Affinity those on which the calling thread may run; nil
	// where unknown.
	OnlineCPUs []int `json:"online_cpus"`
	Affinity   []int `json:"affinity"`
	// MaxProcs is GOMAXPROCS.
	MaxProcs int `json:"gomaxprocs"`
	// ClockSource is what the kernel reads time from ("tsc", "kvm-clock"); empty where unknown.
	ClockSource string `json:"clock_source"`
	// TimerSlack is by how much the kernel may delay sleeps of the calling thread to let them share a wake (prctl(2),
	// PR_SET_TIMERSLACK); [UnknownSlack] where unknown. Threads inherit it; timerfd and io_uring ignore it.
	TimerSlack time.Duration `json:"timer_slack_ns"`
	// RealTime, IOUring and CPU are described at their types.
	RealTime RealTime  `json:"real_time"`
	IOUring  IOUring   `json:"io_uring"`
	CPU      CPULimits `json:"cpu_limits"`
	// Pauses are the garbage collector's.
	Pauses GCPauses `json:"gc_pauses"`
}

// RealTime says whether the kernel's rules would grant SCHED_FIFO (sched(7)). It was not asked for; a system-call
// filter may still refuse it.
type RealTime struct {
	// MaxPriority is the highest SCHED_FIFO priority (1 to 99) that would be granted, 0 where none or unknown.
	MaxPriority int `json:"max_priority"`
	// Why says what grants it, or what is missing, in words.
	Why string `json:"why"`
}

// IOUring says whether io_uring_setup(2) gave this process a ring, which was closed at once.
type IOUring struct {
	Usable bool `json:"usable"`
	// Why says why not, in words; empty where usable.
	Why string `json:"why,omitempty"`
}

// GCPauses are the stop-the-world pauses of the garbage collector, over its last cycles (256 at the most).
type GCPauses struct {
	// Cycles counts the collections since the start, Recent those that the durations describe.
	Cycles int64         `json:"cycles"`
	Recent int           `json:"recent"`
	P50    time.Duration `json:"p50_ns"`
	P99    time.Duration `json:"p99_ns"`
	Max    time.Duration `json:"max_ns"`
}

// ReadHost finds out about the machine and this process. It takes about a millisecond and opens and closes an
// io_uring; [Host.Refreshed] is cheaper for repeated readings.
func ReadHost() Host { return ReadHostFrom(os.DirFS("/")) }

// ReadHostFrom is [ReadHost] with the files of another root.
func ReadHostFrom(root fs.FS) Host {
	h := Host{TimerSlack: UnknownSlack}
	h.readSystem(root)
	h.readRuntime()
	return h
}

// Refreshed returns the host with what changes while a process runs read again: CPU limits with their counters,
// GOMAXPROCS and collector pauses.
func (h Host) Refreshed() Host {
	h.CPU = ReadCPULimits(os.DirFS("/"))
	h.readRuntime()
	return h
}

func (h *Host) readRuntime() {
	h.MaxProcs = runtime.GOMAXPROCS(0)
	h.Pauses = readGCPauses()
}

// readGCPauses uses ReadGCStats, which unlike ReadMemStats does not stop the world itself.
func readGCPauses() GCPauses {
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	slices.Sort(stats.Pause)
	return GCPauses{
		Cycles: stats.NumGC,
		Recent: len(stats.Pause),
		P50:    nearestRank(stats.Pause, 50),
		P99:    nearestRank(stats.Pause, 99),
		Max:    nearestRank(stats.Pause, 100),
	}
}

// nearestRank is the smallest of the sorted values that at least the given share of them does not exceed; 0 of none.
func nearestRank(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*percent+99)/100-1]
}
