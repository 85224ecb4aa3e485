//go:build linux

package bench

import (
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	g := goal{load: loadBusy, timers: 50, interval: 20 * time.Millisecond, arm: armWire, figure: figureP99, bound: 0.02}
	for _, c := range []struct {
		ratios  []float64
		ratio   float64
		reached bool
	}{
		{nil, 0, false},
		{[]float64{0.02}, 0.02, true},
		{[]float64{9, 0.01, 0.01}, 0.01, true},
		{[]float64{0.01, 0.03, 0.04}, 0.03, false},
	} {
		v := g.judge(c.ratios)
		if v.Ratio != c.ratio || v.Reached != c.reached {
			t.Errorf("%v: ratio %g, reached %v, want %g and %v", c.ratios, v.Ratio, v.Reached, c.ratio, c.reached)
		}
		if v.What != "wire/runtime-send p99" || v.Load != loadBusy || v.Timers != 50 || v.IntervalNS != 20_000_000 || v.Bound != 0.02 {
			t.Errorf("the verdict tells of another goal: %+v", v)
		}
	}
}

func TestSuiteMeasuresEachTrialOnce(t *testing.T) {
	b := &bench{options: options{duration: time.Second, runs: 1}}
	seen := map[trial]bool{}
	for _, set := range b.suiteSets(goals()) {
		for _, trial := range set {
			if seen[trial] {
				t.Errorf("measured twice: %+v", trial)
			}
			seen[trial] = true
			if trial.Load != set[0].Load || trial.Timers != set[0].Timers || trial.Interval != set[0].Interval {
				t.Errorf("%+v stands in a set of %+v", trial, set[0])
			}
		}
	}
	for _, g := range goals() {
		if !seen[b.goalTrial(g)] || !seen[b.trial(yardstick(g.arm), g.load, g.timers, g.interval)] {
			t.Errorf("not measured: %s under %s", g.what(), g.load)
		}
	}
}

func TestGoalRatiosComparePerRun(t *testing.T) {
	b := &bench{options: options{duration: time.Second, runs: 2}}
	g := goal{load: loadIdle, timers: 1, interval: 10 * time.Millisecond, arm: armHRTimer, figure: figureP50, bound: 1}
	late := func(figures ...int64) (runs []outcome) {
		for _, f := range figures {
			runs = append(runs, outcome{Row: Row{P50NS: f}})
		}
		return runs
	}
	b.measured = []measured{
		{b.trial(armRuntime, g.load, g.timers, g.interval), late(100, 400)},
		{b.goalTrial(g), late(50, 100)},
	}
	if got := b.goalRatios(g); len(got) != 2 || got[0] != 0.5 || got[1] != 0.25 {
		t.Errorf("ratios %v, want 0.5 and 0.25", got)
	}
}
