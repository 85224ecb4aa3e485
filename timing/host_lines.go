package timing

import (
	"fmt"
	"strconv"
	"strings"
)

const unknownFact = "unknown"

// Lines returns the facts for people to read, as names and values.
func (h Host) Lines() [][2]string {
	return [][2]string{
		{"Kernel", orUnknown(h.Kernel)},
		{"Processors", fmt.Sprintf("online %s, allowed %s, GOMAXPROCS %d",
			orUnknown(cpuRanges(h.OnlineCPUs)), orUnknown(cpuRanges(h.Affinity)), h.MaxProcs)},
		{"Clock source", orUnknown(h.ClockSource)},
		{"Timer slack", h.slackLine()},
		{"SCHED_FIFO", h.RealTime.line()},
		{"io_uring", h.IOUring.line()},
		{"CPU quota", h.CPU.line()},
		{"GC pauses", h.Pauses.line()},
	}
}

func (h Host) slackLine() string {
	if h.TimerSlack == UnknownSlack {
		return unknownFact
	}
	return h.TimerSlack.String()
}

func (r RealTime) line() string {
	if r.MaxPriority == 0 {
		return "not granted: " + r.Why
	}
	return fmt.Sprintf("granted up to priority %d: %s", r.MaxPriority, r.Why)
}

func (u IOUring) line() string {
	if !u.Usable {
		return "not usable: " + u.Why
	}
	return "usable"
}

func (l CPULimits) line() string {
	var parts []string
	if q, ok := l.Tightest(); ok {
		parts = append(parts, q.line())
	} else if l.Unknown == "" {
		parts = append(parts, "none")
	}
	if l.Unknown != "" {
		parts = append(parts, unknownFact+": "+l.Unknown)
	}
	return strings.Join(parts, "; ")
}

func (q CPUQuota) line() string {
	limit := fmt.Sprintf("%d millicores (%v in each %v)", q.Millicores(), q.Quota, q.Period)
	if !q.Counted {
		return limit
	}
	return fmt.Sprintf("%s, stopped in %d of %d periods for %s", limit, q.Throttled, q.Periods, secondsText(q.ThrottledTime))
}

func (p GCPauses) line() string {
	if p.Recent == 0 {
		return "no collection yet"
	}
	return fmt.Sprintf("p50 %v, p99 %v, max %v over the last %d of %d", p.P50, p.P99, p.Max, p.Recent, p.Cycles)
}

func orUnknown(fact string) string {
	if fact == "" {
		return unknownFact
	}
	return fact
}

// cpuRanges writes rising processor numbers as the kernel does: "0-3,8".
func cpuRanges(cpus []int) string {
	var ranges []string
	for i := 0; i < len(cpus); {
		last := i
		for last+1 < len(cpus) && cpus[last+1] == cpus[last]+1 {
			last++
		}
		text := strconv.Itoa(cpus[i])
		if last > i {
			text += "-" + strconv.Itoa(cpus[last])
		}
		ranges = append(ranges, text)
		i = last + 1
	}
	return strings.Join(ranges, ",")
}
