package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"tourbillon/timing/rounds"
)

// meanBound is what the mean round trip is to be of the pion arm's, at most.
const meanBound = 0.70

// Report is what --json prints.
type Report struct {
	Host any   `json:"host"`
	Rows []Row `json:"rows"`
	// Ratios are each arm's mean round trip over that of the arm pion.
	Ratios []rounds.Ratio `json:"ratios"`
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

func newReport(o options, self Self, all []rounds.Round[outcome]) *Report {
	r := &Report{Host: self.Host, Rows: []Row{}, Ratios: []rounds.Ratio{}}
	for _, arm := range o.arms {
		if _, measured := all[0][arm]; !measured {
			continue
		}
		over := func(of func(outcome) int64) int64 {
			return int64(rounds.Over(all, arm, func(o outcome) float64 { return float64(of(o)) }))
		}
		row := Row{Arm: arm, Clients: o.clients,
			MeanNS: over(func(o outcome) int64 { return o.MeanNS }), P50NS: over(func(o outcome) int64 { return o.P50NS }),
			P95NS: over(func(o outcome) int64 { return o.P95NS }), P99NS: over(func(o outcome) int64 { return o.P99NS }),
			CPUNSPerReq: over(func(o outcome) int64 { return o.CPUPer }),
		}
		for _, each := range all {
			row.Lost += each[arm].Sent - each[arm].Answered
		}
		r.Rows = append(r.Rows, row)
		if _, compared := all[0][ArmPion]; compared && arm != ArmPion {
			r.Ratios = append(r.Ratios, meanOf(arm).Ratio(all, arm, ArmPion))
		}
	}
	return r
}

// meanOf is the mean round trip, which the arm tourbillon is to keep bounded.
func meanOf(arm string) rounds.Figure[outcome] {
	f := rounds.Figure[outcome]{Name: "rtt_mean_ns", Of: func(o outcome) float64 { return float64(o.MeanNS) }}
	if arm == ArmTourbillon {
		f.Bound = meanBound
	}
	return f
}

func (r *Report) writeText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "arm\tclients\tmean\tp50\tp95\tp99\tlost\tCPU per request\n")
	us := func(ns int64) time.Duration { return time.Duration(ns).Round(100 * time.Nanosecond) }
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%s\t%d\t%v\t%v\t%v\t%v\t%d\t%v\n", row.Arm, row.Clients, us(row.MeanNS), us(row.P50NS), us(row.P95NS), us(row.P99NS), row.Lost, us(row.CPUNSPerReq))
	}
	rounds.WriteRatios(w, ArmPion, r.Ratios)
	return w.Flush()
}
