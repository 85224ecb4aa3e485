package timing

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// CPULimits are the CPU bandwidth limits (CFS quotas) of the control groups that this process is in.
type CPULimits struct {
	// Version is the version of the control-group hierarchy that governs CPU time, 1 or 2; 0 where unknown.
	Version int `json:"cgroup_version"`
	// Quotas are those of the process's own group and of the groups around it, innermost first, as far as they can be
	// seen; groups without a limit are left out.
	Quotas []CPUQuota `json:"quotas"`
	// Unknown says what could not be read, in words; empty where all could.
	Unknown string `json:"unknown,omitempty"`
}

// CPUQuota is the limit of one control group. Every process in it draws on the same quota, and when that is used up
// none of them runs before the next period begins, whatever its timers say.
type CPUQuota struct {
	// Group is the group's folder.
	Group string `json:"group"`
	// Quota is how much CPU time the group gets in each Period, over all processors together.
	Quota  time.Duration `json:"quota_ns"`
	Period time.Duration `json:"period_ns"`
	Throttling
}

// Throttling is how a quota has worked since its group was made.
type Throttling struct {
	// Counted is false where the kernel's counters could not be read; the rest is 0 then.
	Counted bool `json:"counted"`
	// Periods counts the periods in which the group ran, Throttled those in which it was stopped. ThrottledTime is for
	// how long, added up over the processors, so that it may exceed the time that passed.
	Periods       int64         `json:"nr_periods"`
	Throttled     int64         `json:"nr_throttled"`
	ThrottledTime time.Duration `json:"throttled_ns"`
}

// Millicores is the quota in thousandths of one processor.
func (q CPUQuota) Millicores() int64 {
	return int64(math.Round(float64(q.Quota) / float64(q.Period) * 1000))
}

// Tightest returns the smallest limit; false where there is none.
func (l CPULimits) Tightest() (CPUQuota, bool) {
	if len(l.Quotas) == 0 {
		return CPUQuota{}, false
	}
	return slices.MinFunc(l.Quotas, func(a, b CPUQuota) int { return cmp.Compare(a.Millicores(), b.Millicores()) }), true
}

// Cause names a CPU quota that stopped the process between two readings as the cause of late timers, in a sentence;
// it is empty where no quota did.
func Cause(before, after Host) string {
	var worst CPUQuota
	for _, q := range after.CPU.Quotas {
		if stops := q.since(before.CPU); stops.ThrottledTime > worst.ThrottledTime ||
			stops.ThrottledTime == worst.ThrottledTime && stops.Throttled > worst.Throttled {
			worst = stops
		}
	}
	if worst.Throttled == 0 {
		return ""
	}
	return fmt.Sprintf("the CPU quota of %d millicores stopped the process %s for %s in all: no user-space timer survives that",
		worst.Millicores(), timesText(worst.Throttled), secondsText(worst.ThrottledTime))
}

// since returns the quota with its counters less those of the earlier reading. They are 0 where that has no such
// group, or where the counters began anew because the group was made again.
func (q CPUQuota) since(before CPULimits) CPUQuota {
	i := slices.IndexFunc(before.Quotas, func(b CPUQuota) bool { return b.Group == q.Group && b.Counted })
	if i < 0 || q.Throttled < before.Quotas[i].Throttled {
		q.Throttling = Throttling{}
		return q
	}
	q.Periods -= before.Quotas[i].Periods
	q.Throttled -= before.Quotas[i].Throttled
	q.ThrottledTime -= before.Quotas[i].ThrottledTime
	return q
}

func timesText(n int64) string {
	if n == 1 {
		return "once"
	}
	return strconv.FormatInt(n, 10) + " times"
}

// seconds writes a duration in seconds with at most three decimals.
func secondsText(d time.Duration) string {
	return strconv.FormatFloat(d.Round(time.Millisecond).Seconds(), 'f', -1, 64) + " s"
}
