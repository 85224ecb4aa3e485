//go:build linux

package bench

import (
	"context"
	"fmt"
	"time"
)

// goal is one bound that the engine or the wire is to reach: a figure's ratio to package time's in the same run.
type goal struct {
	load     string
	timers   int
	interval time.Duration
	arm      string
	slack    time.Duration
	figure   suiteFigure
	bound    float64
	// stretch marks a bound that is wished for beyond the one that is required.
	stretch bool
}

type suiteFigure struct {
	name string
	of   func(outcome) int64
}

var (
	figureP50 = suiteFigure{"p50", func(o outcome) int64 { return o.P50NS }}
	figureP99 = suiteFigure{"p99", func(o outcome) int64 { return o.P99NS }}
	figureCPU = suiteFigure{"cpu", func(o outcome) int64 { return o.CPUNS }}
)

// goals are the suite's rows. 1000 timers of 100 ms make 10,000 fires a second.
func goals() []goal {
	const (
		many, some, one          = 1000, 50, 1
		manyEvery, every, oneFor = 100 * time.Millisecond, 20 * time.Millisecond, 10 * time.Millisecond
	)
	return []goal{
		{loadIdle, many, manyEvery, armHRTimer, 0, figureP50, 0.12, false},
		{loadIdle, many, manyEvery, armHRTimer, 0, figureP99, 0.20, false},
		{loadIdle, one, oneFor, armHRTimer, 0, figureP99, 0.30, false},
		{loadIdle, one, oneFor, armWire, 0, figureP99, 0.30, false},
		{loadServer50, some, every, armHRTimer, 0, figureP99, 0.03, false},
		{loadServer50, some, every, armWire, 0, figureP99, 0.10, false},
		{loadServer2, some, every, armHRTimer, 0, figureP50, 1.2, false},
		{loadServer2, some, every, armHRTimer, 0, figureP99, 3, false},
		{loadServer2, some, every, armHRTimer, 0, figureP99, 1.2, true},
		{loadServer2, some, every, armWire, 0, figureP99, 3, false},
		{loadBusy, some, every, armHRTimer, 0, figureP99, 0.6, false},
		{loadBusy, some, every, armWire, 0, figureP99, 0.02, false},
		{loadGC, some, every, armHRTimer, 0, figureP99, 0.4, false},
		{loadGC, some, every, armWire, 0, figureP99, 0.02, false},
		{loadIdle, many, manyEvery, armHRTimer, 0, figureCPU, 3, false},
		{loadIdle, many, manyEvery, armHRTimer, 250 * time.Microsecond, figureCPU, 1.5, false},
		{loadIdle, many, manyEvery, armHRTimer, time.Millisecond, figureCPU, 1, false},
	}
}

// what says in words what a goal's ratio is of.
func (g goal) what() string {
	text := fmt.Sprintf("%s/%s %s", g.arm, yardstick(g.arm), g.figure.name)
	if g.figure.name == figureCPU.name {
		text += fmt.Sprintf(" at slack %v", g.slack)
	}
	if g.stretch {
		text += " (stretch)"
	}
	return text
}

// Verdict is one row of the suite: the median over the runs of a ratio within a run, beside its bound.
type Verdict struct {
	Load       string    `json:"load"`
	Timers     int       `json:"timers"`
	IntervalNS int64     `json:"interval_ns"`
	What       string    `json:"what"`
	Ratio      float64   `json:"ratio"`
	Bound      float64   `json:"bound"`
	Reached    bool      `json:"reached"`
	Runs       []float64 `json:"runs"`
}

// judge puts a goal's ratios, one of each run, beside its bound. It is pure.
func (g goal) judge(ratios []float64) Verdict {
	middle := spreadOf(ratios).median
	return Verdict{
		Load: g.load, Timers: g.timers, IntervalNS: int64(g.interval), What: g.what(),
		Ratio: middle, Bound: g.bound, Reached: len(ratios) > 0 && middle <= g.bound, Runs: ratios,
	}
}

// runSuite measures what the goals need and judges each.
func (b *bench) runSuite(ctx context.Context) error {
	goals := goals()
	if err := b.runSets(ctx, b.suiteSets(goals)); err != nil {
		return err
	}
	for _, g := range goals {
		b.report.Suite = append(b.report.Suite, g.judge(b.goalRatios(g)))
	}
	return nil
}

// suiteSets returns the trials that the goals need, those with the same load and timers in one set, each once.
func (b *bench) suiteSets(goals []goal) [][]trial {
	var sets [][]trial
	place := map[trial]int{}
	seen := map[trial]bool{}
	for _, g := range goals {
		setting := b.trial("", g.load, g.timers, g.interval)
		at, ok := place[setting]
		if !ok {
			at = len(sets)
			place[setting] = at
			sets = append(sets, nil)
		}
		reference := b.trial(yardstick(g.arm), g.load, g.timers, g.interval)
		for _, t := range []trial{reference, b.goalTrial(g)} {
			if !seen[t] {
				seen[t] = true
				sets[at] = append(sets[at], t)
			}
		}
	}
	return sets
}

func (b *bench) goalTrial(g goal) trial {
	t := b.trial(g.arm, g.load, g.timers, g.interval)
	t.Slack = g.slack
	return t
}

func (b *bench) goalRatios(g goal) []float64 {
	reference, _ := b.find(b.goalTrial(g), yardstick(g.arm))
	for _, m := range b.measured {
		if m.trial == b.goalTrial(g) {
			return m.ratios(reference, g.figure.of)
		}
	}
	return nil
}
