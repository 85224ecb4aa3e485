package bench

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/rounds"
)

// The bounds: within a tenth of pion as published, or better.
const (
	connectBound    = 1.10
	throughputBound = 0.90
)

// Report is what --json prints.
type Report struct {
	Host Host  `json:"host"`
	Rows []Row `json:"rows"`
	// Ratios compare each arm with [ArmPion].
	Ratios []rounds.Ratio `json:"ratios"`
}

// Host is where it was measured, and with what.
type Host struct {
	Kernel  string            `json:"kernel"`
	CPUs    int               `json:"cpus"`
	Go      string            `json:"go"`
	Modules map[string]string `json:"modules"`
}

// Row is one arm's figures, each the median over the rounds.
type Row struct {
	Arm           string  `json:"arm"`
	Pairs         int     `json:"pairs"`
	ConnectP50NS  int64   `json:"connect_p50_ns"`
	BytesPerSec   float64 `json:"throughput_bytes_per_s"`
	CPUPerConnect int64   `json:"cpu_ns_per_connect"`
	CPUPerMB      int64   `json:"cpu_ns_per_mb"`
}

func figures() []rounds.Figure[Answer] {
	return []rounds.Figure[Answer]{
		{Name: "connect_p50_ns", Of: func(a Answer) float64 { return float64(a.ConnectP50NS) }, Bound: connectBound},
		{Name: "throughput_bytes_per_s", Of: func(a Answer) float64 { return a.BytesPerSec }, Bound: throughputBound, More: true},
		{Name: "cpu_ns_per_connect", Of: func(a Answer) float64 { return float64(a.CPUPerConnect) }},
		{Name: "cpu_ns_per_mb", Of: func(a Answer) float64 { return float64(a.CPUPerMB) }},
	}
}

func newReport(arms []string, all []rounds.Round[Answer]) Report {
	r := Report{Host: readHost()}
	for _, arm := range arms {
		over := func(f rounds.Figure[Answer]) float64 { return rounds.Over(all, arm, f.Of) }
		fs := figures()
		r.Rows = append(r.Rows, Row{arm, len(all), int64(over(fs[0])), over(fs[1]), int64(over(fs[2])), int64(over(fs[3]))})
		if arm == ArmPion {
			continue
		}
		for _, f := range fs {
			r.Ratios = append(r.Ratios, f.Ratio(all, arm, ArmPion))
		}
	}
	return r
}

// measuredModules are those whose versions belong to the figures.
var measuredModules = []string{"pion/webrtc/v4", "pion/ice/v4", "pion/dtls/v3", "pion/sctp"}

func readHost() Host {
	h := Host{Kernel: timing.ReadHost().Kernel, CPUs: runtime.NumCPU(), Go: runtime.Version(), Modules: map[string]string{}}
	for name, version := range rounds.PionModules() {
		if slices.Contains(measuredModules, name) {
			h.Modules[name] = version
		}
	}
	return h
}

func (r Report) writeText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s, %d CPUs, %s, pion/webrtc %s, median of %d rounds\n\n", r.Host.Kernel, r.Host.CPUs, r.Host.Go, r.Host.Modules["pion/webrtc/v4"], r.Rows[0].Pairs)
	fmt.Fprintln(w, "arm\tconnect p50\tthroughput\tCPU per connect\tCPU per MB")
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%s\t%v\t%.1f MB/s\t%v\t%v\n", row.Arm, round10(row.ConnectP50NS), row.BytesPerSec/1e6, round10(row.CPUPerConnect), round10(row.CPUPerMB))
	}
	rounds.WriteRatios(w, ArmPion, r.Ratios)
	return w.Flush()
}

func round10(ns int64) time.Duration { return time.Duration(ns).Round(10 * time.Microsecond) }
