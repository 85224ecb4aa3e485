package negotiate

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"tourbillon/timing/rounds"
)

// What the 95th percentile of the arm tourbillon is to be of the arm pion's, at most: with boundLoss percent lost and
// boundRTT of delay, and without loss.
const (
	lossyBound = 0.61
	cleanBound = 1.00
	boundLoss  = 5
	boundRTT   = 50 * time.Millisecond
)

// Report is what --json prints.
type Report struct {
	Host    any               `json:"host"`
	Modules map[string]string `json:"modules"`
	RTTNS   int64             `json:"rtt_ns"`
	Rows    []Row             `json:"rows"`
	// Ratios are each arm's figures over those of the arm pion, Clock those of the arm tourbillon over those of runtime.
	Ratios []rounds.Ratio `json:"ratios"`
	Clock  []rounds.Ratio `json:"clock_alone"`
}

// Row is one arm's figures: medians over the rounds, and all that failed and was sent again.
type Row struct {
	Arm      string  `json:"arm"`
	Sessions int     `json:"sessions"`
	Loss     float64 `json:"loss"`
	P50NS    int64   `json:"connect_p50_ns"`
	P95NS    int64   `json:"connect_p95_ns"`
	P99NS    int64   `json:"connect_p99_ns"`
	Failed   int     `json:"failed"`
	// Retransmits are of all Negotiations together.
	Retransmits     int   `json:"retransmits"`
	CPUNSPerSession int64 `json:"cpu_ns_per_session"`
	Negotiations    int   `json:"negotiations"`
	Packets         int   `json:"packets"`
	Lost            int   `json:"lost_packets"`
}

func (o options) figures() []rounds.Figure[outcome] {
	bound := 0.0
	switch {
	case o.loss == 0:
		bound = cleanBound
	case o.loss == boundLoss && o.rtt == boundRTT:
		bound = lossyBound
	}
	return []rounds.Figure[outcome]{
		{Name: "connect_p50_ns", Of: func(x outcome) float64 { return float64(x.P50NS) }},
		{Name: "connect_p95_ns", Of: func(x outcome) float64 { return float64(x.P95NS) }, Bound: bound},
		{Name: "connect_p99_ns", Of: func(x outcome) float64 { return float64(x.P99NS) }},
		{Name: "cpu_ns_per_session", Of: func(x outcome) float64 { return float64(x.CPUPer) }},
	}
}

func newReport(o options, host any, all []rounds.Round[outcome]) *Report {
	r := &Report{Host: host, Modules: rounds.PionModules(), RTTNS: int64(o.rtt), Rows: []Row{}, Ratios: []rounds.Ratio{}, Clock: []rounds.Ratio{}}
	figures := o.figures()
	for _, arm := range o.arms {
		over := func(i int) int64 { return int64(rounds.Over(all, arm, figures[i].Of)) }
		row := Row{
			Arm: arm, Sessions: o.sessions, Loss: o.loss, P50NS: over(0), P95NS: over(1), P99NS: over(2), CPUNSPerSession: over(3),
			Negotiations: o.runs * o.sessions * o.each,
		}
		for _, round := range all {
			row.Failed += round[arm].Failed
			row.Retransmits += round[arm].Link.Retransmits
			row.Packets += round[arm].Link.Packets
			row.Lost += round[arm].Link.Lost
		}
		r.Rows = append(r.Rows, row)
		for _, f := range figures {
			if arm != ArmTourbillon {
				f.Bound = 0
			}
			if arm != ArmPion && slices.Contains(o.arms, ArmPion) {
				r.Ratios = append(r.Ratios, f.Ratio(all, arm, ArmPion))
			}
			if f.Bound = 0; arm == ArmTourbillon && slices.Contains(o.arms, ArmRuntime) {
				r.Clock = append(r.Clock, f.Ratio(all, arm, ArmRuntime))
			}
		}
	}
	return r
}

func (r *Report) writeText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	first := r.Rows[0]
	fmt.Fprintf(w, "%d negotiations at a time, %v %% lost, round trip %v, pion/webrtc %s\n\n", first.Sessions, first.Loss, time.Duration(r.RTTNS), r.Modules["pion/webrtc/v4"])
	fmt.Fprintln(w, "arm\tnegotiations\tp50\tp95\tp99\tfailed\tsent again\tpackets\tlost\tCPU per session")
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%s\t%d\t%v\t%v\t%v\t%d\t%d\t%d\t%d\t%v\n", row.Arm, row.Negotiations, rounded(row.P50NS), rounded(row.P95NS), rounded(row.P99NS),
			row.Failed, row.Retransmits, row.Packets, row.Lost, rounded(row.CPUNSPerSession))
	}
	rounds.WriteRatios(w, ArmPion, r.Ratios)
	rounds.WriteRatios(w, ArmRuntime+" (the clock alone)", r.Clock)
	return w.Flush()
}

func rounded(ns int64) time.Duration { return time.Duration(ns).Round(10 * time.Microsecond) }
