package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// meanBound is what the mean round trip is to be of the pion arm's, at most.
const meanBound = 0.70

// Report is what --json prints.
type Report struct {
	Host any   `json:"host"`
	Rows []Row `json:"rows"`
	// Ratios are each arm's mean round trip over that of the arm pion.
	Ratios []Ratio `json:"ratios"`
}

// Row is one arm's figures: medians over the rounds, and all that was lost.
type Row struct {
	Arm         string `json:"arm"`
	Clients     int    `json:"clients"`
	MeanNS      int64  `json:"rtt_mean_ns"`
	P50NS       int64  `json:"rtt_p50_ns"`
	P95NS       int64  `json:"rtt_p95_ns"`
	P99NS       int64  `json:"rtt_p99_ns"`
	Lost        int    `json:"lost"`
	CPUNSPerReq int64  `json:"cpu_ns_per_req"`
}

// Ratio is the mean round trip of an arm divided by that of the arm pion in the same round: the median, the ends, and all.
type Ratio struct {
	Arm    string    `json:"arm"`
	Ratio  float64   `json:"ratio"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Rounds []float64 `json:"rounds"`
	// Bound is what the arm tourbillon is to reach; nil for the others.
	Bound   *float64 `json:"bound,omitempty"`
	Reached *bool    `json:"reached,omitempty"`
}

func newReport(o options, self Self, rounds []round) *Report {
	r := &Report{Host: self.Host, Rows: []Row{}, Ratios: []Ratio{}}
	for _, arm := range o.arms {
		if _, measured := rounds[0][arm]; !measured {
			continue
		}
		over := func(of func(outcome) int64) int64 {
			return int64(median(each(rounds, func(r round) float64 { return float64(of(r[arm])) })))
		}
		row := Row{Arm: arm, Clients: o.clients,
			MeanNS: over(func(o outcome) int64 { return o.MeanNS }), P50NS: over(func(o outcome) int64 { return o.P50NS }),
			P95NS: over(func(o outcome) int64 { return o.P95NS }), P99NS: over(func(o outcome) int64 { return o.P99NS }),
			CPUNSPerReq: over(func(o outcome) int64 { return o.CPUPer }),
		}
		for _, each := range rounds {
			row.Lost += each[arm].Sent - each[arm].Answered
		}
		r.Rows = append(r.Rows, row)
		if _, compared := rounds[0][ArmPion]; compared && arm != ArmPion {
			r.Ratios = append(r.Ratios, ratio(arm, rounds))
		}
	}
	return r
}

func ratio(arm string, rounds []round) Ratio {
	all := each(rounds, func(r round) float64 { return float64(r[arm].MeanNS) / float64(max(1, r[ArmPion].MeanNS)) })
	q := Ratio{Arm: arm, Ratio: median(all), Low: slices.Min(all), High: slices.Max(all), Rounds: all}
	if arm == ArmTourbillon {
		bound, reached := meanBound, q.Ratio <= meanBound
		q.Bound, q.Reached = &bound, &reached
	}
	return q
}

func each(rounds []round, of func(round) float64) []float64 {
	values := make([]float64, 0, len(rounds))
	for _, r := range rounds {
		values = append(values, of(r))
	}
	return values
}

// median is the mean of the middle two of an even count.
func median(values []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare)
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (r *Report) writeText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "arm\tclients\tmean\tp50\tp95\tp99\tlost\tCPU per request\n")
	us := func(ns int64) time.Duration { return time.Duration(ns).Round(100 * time.Nanosecond) }
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%s\t%d\t%v\t%v\t%v\t%v\t%d\t%v\n", row.Arm, row.Clients, us(row.MeanNS), us(row.P50NS), us(row.P95NS), us(row.P99NS), row.Lost, us(row.CPUNSPerReq))
	}
	if len(r.Ratios) > 0 {
		fmt.Fprintf(w, "\nmean / %s\tmedian\tlow - high\tbound\n", ArmPion)
	}
	for _, q := range r.Ratios {
		fmt.Fprintf(w, "%s\t%.3f\t%.3f - %.3f\t%s\n", q.Arm, q.Ratio, q.Low, q.High, q.verdict())
	}
	return w.Flush()
}

func (q Ratio) verdict() string {
	switch {
	case q.Bound == nil:
		return "none"
	case *q.Reached:
		return fmt.Sprintf("%.2f, reached", *q.Bound)
	}
	return fmt.Sprintf("%.2f, NOT reached", *q.Bound)
}
