//go:build linux

package bench

import (
	"fmt"
	"slices"
	"time"

	"tourbillon/timing"
)

// requestsTable is the origin's second: what one gets that asks for a short wait.
func (b *bench) requestsTable() tablePlan {
	plan := tablePlan{
		note: "One wait after another; the error is the time elapsed beyond the one asked. For 10 ms the origin gives the time\n" +
			"elapsed, 10.008 and 10.042 ms, of which the error is shown.",
	}
	for _, c := range []struct {
		asked     time.Duration
		mean, p99 float64
	}{{100 * time.Microsecond, 8.243, 15.612}, {time.Millisecond, 1.027, 2.389}, {10 * time.Millisecond, 0.008, 0.042}} {
		plan.cases = append(plan.cases, tableCase{
			name:        fmt.Sprintf("asked %v", c.asked),
			packageTime: &order{Requests: &requestsOrder{Arm: armRuntime, Asked: c.asked, Window: b.duration}},
			hrtimer:     &order{Requests: &requestsOrder{Arm: armHRTimer, Asked: c.asked, Window: b.duration}},
			figures: []tableFigure{
				{"mean error", "ms", c.mean, func(a answer) float64 { return milliseconds(a.Requests.MeanNS) }},
				{"P99 error", "ms", c.p99, func(a answer) float64 { return milliseconds(a.Requests.P99NS) }},
			},
		})
	}
	return plan
}

// requestsOrder asks for waits of one length, one after another, for as long as the window.
type requestsOrder struct {
	Arm    string        `json:"arm"`
	Asked  time.Duration `json:"asked_ns"`
	Window time.Duration `json:"window_ns"`
}

// requestsAnswer is by how much the waits were longer than asked, in nanoseconds.
type requestsAnswer struct {
	Waits  int     `json:"waits"`
	MeanNS float64 `json:"mean_ns"`
	P99NS  int64   `json:"p99_ns"`
}

func (o requestsOrder) measure() (requestsAnswer, error) {
	clock, closeClock, err := openClock(o.Arm)
	if err != nil {
		return requestsAnswer{}, err
	}
	errorsNS := make([]int64, 0, o.Window/o.Asked)
	ended := make(chan timing.Instant, 1)
	for end := clock.Now().Add(o.Window); ; {
		began := clock.Now()
		if began >= end && len(errorsNS) > 0 {
			break
		}
		clock.AfterFunc(o.Asked, func() { ended <- clock.Now() })
		errorsNS = append(errorsNS, int64((<-ended).Sub(began)-o.Asked))
	}
	slices.Sort(errorsNS)
	return requestsAnswer{len(errorsNS), mean(errorsNS), perMille(errorsNS, 990)}, closeClock()
}
