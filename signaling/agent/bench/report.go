package bench

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tourbillon/timing"
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
	Ratios []Ratio `json:"ratios"`
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

// Ratio is a figure of an arm divided by that of [ArmPion] in the same round: the median, the ends and all rounds.
type Ratio struct {
	Arm    string    `json:"arm"`
	Figure string    `json:"figure"`
	Ratio  float64   `json:"ratio"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Rounds []float64 `json:"rounds"`
	// Bound is what the ratio is to keep, nil for a figure that is only told; Reached says whether it does.
	Bound   *float64 `json:"bound,omitempty"`
	Reached *bool    `json:"reached,omitempty"`
}

// figure is one thing that a process measured. bound is 0 where there is none; more tells that more is better.
type figure struct {
	name  string
	of    func(Answer) float64
	bound float64
	more  bool
}

func figures() []figure {
	return []figure{
		{"connect_p50_ns", func(a Answer) float64 { return float64(a.ConnectP50NS) }, connectBound, false},
		{"throughput_bytes_per_s", func(a Answer) float64 { return a.BytesPerSec }, throughputBound, true},
		{"cpu_ns_per_connect", func(a Answer) float64 { return float64(a.CPUPerConnect) }, 0, false},
		{"cpu_ns_per_mb", func(a Answer) float64 { return float64(a.CPUPerMB) }, 0, false},
	}
}

func newReport(arms []string, rounds []round) Report {
	r := Report{Host: readHost()}
	for _, arm := range arms {
		over := func(f figure) float64 { return median(each(rounds, func(r round) float64 { return f.of(r[arm]) })) }
		fs := figures()
		r.Rows = append(r.Rows, Row{arm, len(rounds), int64(over(fs[0])), over(fs[1]), int64(over(fs[2])), int64(over(fs[3]))})
		if arm == ArmPion {
			continue
		}
		for _, f := range fs {
			r.Ratios = append(r.Ratios, f.ratio(arm, rounds))
		}
	}
	return r
}

func (f figure) ratio(arm string, rounds []round) Ratio {
	all := each(rounds, func(r round) float64 {
		if of := f.of(r[ArmPion]); of != 0 {
			return f.of(r[arm]) / of
		}
		return 0 // Nothing to compare with.
	})
	r := Ratio{Arm: arm, Figure: f.name, Ratio: median(all), Low: slices.Min(all), High: slices.Max(all), Rounds: all}
	if f.bound != 0 {
		reached := r.Ratio <= f.bound
		if f.more {
			reached = r.Ratio >= f.bound
		}
		r.Bound, r.Reached = &f.bound, &reached
	}
	return r
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

// measuredModules are those whose versions belong to the figures.
var measuredModules = []string{"webrtc/v4", "ice/v4", "dtls/v3", "sctp"}

func readHost() Host {
	h := Host{Kernel: timing.ReadHost().Kernel, CPUs: runtime.NumCPU(), Go: runtime.Version(), Modules: map[string]string{}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return h
	}
	for _, m := range info.Deps {
		if name, isPion := strings.CutPrefix(m.Path, "github.com/pion/"); isPion && slices.Contains(measuredModules, name) {
			h.Modules["pion/"+name] = m.Version
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
	fmt.Fprintf(w, "\nto %s\tmedian\tlow - high\tbound\n", ArmPion)
	for _, q := range r.Ratios {
		fmt.Fprintf(w, "%s %s\t%.3f\t%.3f - %.3f\t%s\n", q.Arm, q.Figure, q.Ratio, q.Low, q.High, q.verdict())
	}
	return w.Flush()
}

func round10(ns int64) time.Duration { return time.Duration(ns).Round(10 * time.Microsecond) }

func (q Ratio) verdict() string {
	switch {
	case q.Bound == nil:
		return "none"
	case *q.Reached:
		return fmt.Sprintf("%.2f, reached", *q.Bound)
	}
	return fmt.Sprintf("%.2f, NOT reached", *q.Bound)
}
