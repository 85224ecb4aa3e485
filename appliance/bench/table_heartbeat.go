//go:build linux

package bench

import (
	"fmt"
	"time"

	"tourbillon/timing"
)

// The origin's heartbeats.
const (
	originBeats  = 100
	originPeriod = 500 * time.Millisecond
	// shortestPeriod keeps a shortened run above timing.MinBeatDelay.
	shortestPeriod = 20 * time.Millisecond
)

// Ways to arm the next beat.
const (
	beatsUncorrected = "uncorrected"
	beatsFedBack     = "drift fed back"
	beatsOnGrid      = "absolute grid"
)

// heartbeatTable is the origin's drift of heartbeats: what accumulates when each beat waits one period after the last.
func (b *bench) heartbeatTable() tablePlan {
	period := min(max(b.duration/originBeats, shortestPeriod), originPeriod)
	plan := tablePlan{
		note: fmt.Sprintf("%d beats of %v, a hundredth of --duration (50s gives the origin's 500 ms), in this process; the origin's were a\n"+
			"browser's. `deviation` is by how much a beat's distance from the last differs from the period; `accumulated` is the\n"+
			"drift from the grid after the last beat. The remedies are the origin's, which takes back 0.3 of the drift and waits\n"+
			"10 ms or more, and ours, an absolute grid. `model` predicts the drift from the uncorrected lateness (n·μ, geometric sum).", originBeats, period),
	}
	for _, way := range []struct {
		name                         string
		mean, deviation, accumulated float64
	}{{beatsUncorrected, 1.82, 3.47, 196.3}, {beatsFedBack, 0, 0, 0}, {beatsOnGrid, 0, 0, 0}} {
		plan.cases = append(plan.cases, tableCase{
			name:        way.name,
			packageTime: &order{Beats: &beatsOrder{Arm: armRuntime, Way: way.name, Period: period, Beats: originBeats}},
			hrtimer:     &order{Beats: &beatsOrder{Arm: armHRTimer, Way: way.name, Period: period, Beats: originBeats}},
			figures: []tableFigure{
				{"mean deviation", "ms", way.mean, func(a answer) float64 { return milliseconds(a.Beats.MeanNS) }},
				{"σ of deviation", "ms", way.deviation, func(a answer) float64 { return milliseconds(a.Beats.DeviationNS) }},
				{"accumulated", "ms", way.accumulated, func(a answer) float64 { return milliseconds(a.Beats.AccumulatedNS) }},
				{"accumulated, model", "ms", way.accumulated, func(a answer) float64 { return milliseconds(a.Beats.ModelNS) }},
			},
		})
	}
	return plan
}

// beatsOrder asks for heartbeats that are armed in one of the ways.
type beatsOrder struct {
	Arm    string        `json:"arm"`
	Way    string        `json:"way"`
	Period time.Duration `json:"period_ns"`
	Beats  int           `json:"beats"`
}

// beatsAnswer is how the beats drifted, in nanoseconds.
type beatsAnswer struct {
	MeanNS        float64 `json:"mean_ns"`
	DeviationNS   float64 `json:"deviation_ns"`
	AccumulatedNS int64   `json:"accumulated_ns"`
	// ModelNS is the accumulated drift that the lateness of the single beats predicts.
	ModelNS int64 `json:"model_ns"`
}

func (o beatsOrder) measure() (beatsAnswer, error) {
	clock, closeClock, err := openClock(o.Arm)
	if err != nil {
		return beatsAnswer{}, err
	}
	b := &beating{beatsOrder: o, clock: clock, start: clock.Now(), ended: make(chan struct{})}
	b.timer = clock.At(timing.Never, b.beat)
	b.arm(o.Period)
	<-b.ended
	return o.judge(b.drift, b.late), closeClock()
}

// beating is a run of beats, owned by the chain of its callbacks.
type beating struct {
	beatsOrder
	clock timing.Clock
	timer timing.Timer
	start timing.Instant
	// deadline is when the next beat was armed for.
	deadline timing.Instant
	// drift is each beat's distance from the grid, late each beat's from its own deadline.
	drift, late []int64
	ended       chan struct{}
}

func (b *beating) grid(n int) timing.Instant { return b.start.Add(time.Duration(n) * b.Period) }

func (b *beating) beat() {
	now := b.clock.Now()
	n := len(b.drift) + 1
	drift := now.Sub(b.grid(n))
	b.drift, b.late = append(b.drift, int64(drift)), append(b.late, int64(now.Sub(b.deadline)))
	switch {
	case n == b.Beats:
		close(b.ended)
	case b.Way == beatsOnGrid:
		b.deadline = b.grid(n + 1)
		b.timer.ResetAt(b.deadline)
	case b.Way == beatsFedBack:
		b.arm(timing.BeatDelay(b.Period, drift))
	default:
		b.arm(b.Period)
	}
}

func (b *beating) arm(delay time.Duration) {
	b.deadline = b.clock.Now().Add(delay)
	b.timer.Reset(delay)
}

// judge puts drift and lateness into figures. It is pure.
func (o beatsOrder) judge(drift, late []int64) beatsAnswer {
	deviations := make([]int64, len(drift))
	last := int64(0)
	for i, d := range drift {
		deviations[i], last = d-last, d
	}
	model := timing.BeatModel{Mean: time.Duration(mean(late)), Deviation: time.Duration(deviation(late))}
	predicted := model.Mean // On a grid no beat hands its lateness on.
	switch o.Way {
	case beatsUncorrected:
		predicted, _ = model.Uncorrected(o.Beats)
	case beatsFedBack:
		predicted, _ = model.Corrected(o.Beats)
	}
	return beatsAnswer{
		MeanNS: mean(deviations), DeviationNS: deviation(deviations), AccumulatedNS: last, ModelNS: int64(predicted),
	}
}
