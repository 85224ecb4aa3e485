//go:build linux

package bench

import (
	"fmt"
	"time"
)

// afterFuncTable is the origin's first: how late a timer of 10 ms and a ticker of 20 ms are.
func (b *bench) afterFuncTable() tablePlan {
	return tablePlan{
		note: "One timer each, re-armed on an absolute grid, under the first --load. Package time's ticker is the same timer\n" +
			"inside, so it is measured as one. `missed` is later than one interval; the origin does not say what it counted.",
		cases: []tableCase{
			b.afterFuncCase("time.AfterFunc(10 ms)", 10*time.Millisecond, 0.8, 3.2, 2.1),
			b.afterFuncCase("time.NewTicker(20 ms)", 20*time.Millisecond, 1.3, 4.7, 0.9),
		},
	}
}

func (b *bench) afterFuncCase(name string, interval time.Duration, p50, p99, missed float64) tableCase {
	return tableCase{
		name:        name,
		packageTime: b.trialOrder(armRuntime, b.loads[0], interval),
		hrtimer:     b.trialOrder(armHRTimer, b.loads[0], interval),
		figures: []tableFigure{
			{"P50 late", "ms", p50, func(a answer) float64 { return milliseconds(a.Trial.P50NS) }},
			{"P99 late", "ms", p99, func(a answer) float64 { return milliseconds(a.Trial.P99NS) }},
			{"missed", "%", missed, func(a answer) float64 { return 100 * ratio(a.Trial.Missed, a.Trial.Fires) }},
		},
	}
}

// quotaTable is the origin's P95 of a timer under CPU quotas.
func (b *bench) quotaTable() tablePlan {
	plan := tablePlan{
		note: "One timer of 10 ms in a CPU cgroup with a period of 100 ms, beside a goroutine that asks for 100 millicores: a quota\n" +
			"of 20m always starves it, 100m is at the edge, 500m has room. Once a quota is spent every thread stands still until\n" +
			"the next period: no timer of a program survives that.",
	}
	for _, c := range []struct {
		millicores int
		origin     float64
	}{{500, 2.3}, {100, 12.8}, {20, 58.4}} {
		plan.cases = append(plan.cases, tableCase{
			name:        fmt.Sprintf("%dm", c.millicores),
			packageTime: b.trialOrder(armRuntime, quotaLoad(c.millicores), 10*time.Millisecond),
			hrtimer:     b.trialOrder(armHRTimer, quotaLoad(c.millicores), 10*time.Millisecond),
			figures: []tableFigure{
				{"P95 late", "ms", c.origin, func(a answer) float64 { return milliseconds(a.Trial.P95NS) }},
			},
		})
	}
	return plan
}

// trialOrder asks for one timer of an interval.
func (b *bench) trialOrder(arm, load string, interval time.Duration) *order {
	t := b.trial(arm, load, 1, interval)
	return &order{Trial: &t}
}
