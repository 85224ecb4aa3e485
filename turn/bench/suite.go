//go:build linux

package bench

import (
	"context"
	"fmt"
	"io"
	"time"
)

const (
	suiteRuns     = 5
	suiteDuration = 10 * time.Second
	suiteIdle     = 1000
)

// Verdict is one bound of the suite: the median over the runs of a figure's ratio to another arm's within a run, or of
// the figure itself where Against is empty.
type Verdict struct {
	Setting string    `json:"setting"`
	What    string    `json:"what"`
	Against string    `json:"against,omitempty"`
	Figure  float64   `json:"figure"`
	Bound   float64   `json:"bound"`
	AtLeast bool      `json:"at_least"`
	Reached bool      `json:"reached"`
	Runs    []float64 `json:"runs"`
}

// goal is one bound that our arm is to reach.
type goal struct {
	figure  figure
	against string
	bound   float64
	atLeast bool
	// slack is added to the other arm's figure before the division: what cannot be told apart.
	slack float64
}

// suiteTrial is one setting with its goals.
type suiteTrial struct {
	trial
	arms  []string
	goals []goal
}

// What cannot be told apart: a share of loss, and a jitter.
const (
	lossSlack   = 0.0005
	jitterSlack = 2000 // ns
)

func (b *bench) suiteTrials() []suiteTrial {
	all := []string{armTourbillon, armPion, armCoturn}
	rated := func(perSecond int, load string) trial {
		t := b.trial(perSecond/b.clients, load)
		t.AllocateFor = 0
		return t
	}
	defaults := b.trial(b.rate, loadIdle)
	idle := b.trial(b.rate, loadIdle)
	idle.Idle, idle.Window, idle.AllocateFor = suiteIdle, 0, 0
	loss := goal{figureLoss, armCoturn, 1, false, lossSlack}
	return []suiteTrial{
		{defaults, all, []goal{
			{figureCPU, armCoturn, 0.9, false, 0}, {figureCPU, armPion, 0.45, false, 0},
			{figureJitter, armCoturn, 1, false, jitterSlack}, {figureAlloc, armCoturn, 3, true, 0}, loss,
		}},
		{rated(0, loadIdle), all, []goal{{figurePPS, armCoturn, 1.2, true, 0}}},
		{rated(50_000, loadIdle), all, []goal{loss}},
		{rated(100_000, loadIdle), all, []goal{loss}},
		{idle, all, []goal{{figureIdle, "", 24 << 10, false, 0}}},
		{rated(b.rate*b.clients, loadServer50), []string{armTourbillon, armPion}, []goal{
			{figureP99, armPion, 1, false, 0}, {figureLoss, armPion, 1, false, lossSlack},
		}},
	}
}

// runSuite measures what the goals need and judges each.
func (b *bench) runSuite(ctx context.Context) error {
	for _, s := range b.suiteTrials() {
		first := len(b.measured)
		if err := b.runTrial(ctx, s.trial, s.arms, b.runs); err != nil {
			return err
		}
		for _, g := range s.goals {
			b.report.Suite = append(b.report.Suite, g.judge(s, b.measured[first:]))
		}
	}
	return nil
}

// judge puts a goal beside its bound. It is pure.
func (g goal) judge(s suiteTrial, arms []measured) Verdict {
	v := Verdict{Setting: s.String(), What: g.figure.head, Against: g.against, Bound: g.bound, AtLeast: g.atLeast}
	ours, theirs := find(arms, armTourbillon), find(arms, g.against)
	for i, r := range ours.runs {
		f := g.figure.of(r)
		if g.against != "" {
			if i >= len(theirs.runs) {
				break
			}
			f = (f + g.slack) / max(g.figure.of(theirs.runs[i])+g.slack, 1e-9)
			if g.slack > 0 && g.figure.of(r) <= g.figure.of(theirs.runs[i])+g.slack {
				f = min(f, g.bound)
			}
		}
		v.Runs = append(v.Runs, f)
	}
	v.Figure = median(v.Runs)
	v.Reached = len(v.Runs) > 0 && (g.atLeast && v.Figure >= g.bound || !g.atLeast && v.Figure <= g.bound)
	return v
}

func find(arms []measured, name string) measured {
	for _, m := range arms {
		if m.arm == name {
			return m
		}
	}
	return measured{}
}

func writeVerdicts(w io.Writer, verdicts []Verdict) {
	if len(verdicts) == 0 {
		return
	}
	fmt.Fprintf(w, "\nTo reach (medians over the runs, of the ratio within a run where there is another arm):\n")
	for _, v := range verdicts {
		reached, sign, what := "reached", "≤", v.What
		if !v.Reached {
			reached = "NOT reached"
		}
		if v.AtLeast {
			sign = "≥"
		}
		if v.Against != "" {
			what += " / " + v.Against
		}
		fmt.Fprintf(w, "%s  %s: %.3g %s %.3g %s\n", v.Setting, what, v.Figure, sign, v.Bound, reached)
	}
}
