//go:build linux

package bench

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // The REST form of credentials prescribes it.
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
)

// restPassword is the password of the shared-secret form: HMAC-SHA1 of the user name.
func restPassword(user string) string {
	mac := hmac.New(sha1.New, []byte(benchSecret))
	mac.Write([]byte(user))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// median returns the middle figure, for an even count the mean of the middle two, 0 of none.
func median(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// figure is one column of the table.
type figure struct {
	head string
	of   func(row) float64
	unit float64
	prec int
}

var (
	figureCPU    = figure{"CPU µs/msg", func(r row) float64 { return float64(r.CPUNSPerMsg) }, 1e3, 2}
	figurePPS    = figure{"msg/s", func(r row) float64 { return r.PPS }, 1, 0}
	figureLoss   = figure{"loss %", func(r row) float64 { return r.Loss }, 0.01, 3}
	figureP99    = figure{"rtt p99 µs", func(r row) float64 { return float64(r.RTTP99NS) }, 1e3, 0}
	figureJitter = figure{"added jitter p99 µs", func(r row) float64 { return float64(r.AddedJitterP99NS) }, 1e3, 0}
	figureAlloc  = figure{"alloc/s", func(r row) float64 { return r.AllocPerS }, 1, 0}
	figureIdle   = figure{"KiB/idle allocation", func(r row) float64 {
		return float64(r.outcome.IdleBytes) / float64(max(r.outcome.IdleGranted, 1))
	}, 1024, 1}
)

var textColumns = []figure{
	figurePPS, figureLoss, figureCPU,
	{"rtt p50 µs", func(r row) float64 { return float64(r.RTTP50NS) }, 1e3, 0}, figureP99, figureJitter, figureAlloc,
	{"CPU µs/alloc", func(r row) float64 { return float64(r.outcome.CPUPerAlloc) }, 1e3, 1},
	{"RSS MiB", func(r row) float64 { return float64(r.RSSBytes) }, 1 << 20, 1},
	{"generator CPU %", func(r row) float64 { return 100 * r.outcome.Own.Seconds() / max(r.outcome.Seconds, 1e-9) }, 1, 0},
}

// values are a figure of every run.
func (m measured) values(f figure) []float64 {
	var all []float64
	for _, r := range m.runs {
		all = append(all, f.of(r))
	}
	return all
}

// cell is the median, and the range where there is one.
func (m measured) cell(f figure) string {
	values := m.values(f)
	if len(values) == 0 {
		return "–"
	}
	show := func(v float64) string { return strconv.FormatFloat(v/f.unit, 'f', f.prec, 64) }
	low, high := show(slices.Min(values)), show(slices.Max(values))
	if low == high {
		return low
	}
	return fmt.Sprintf("%s (%s–%s)", show(median(values)), low, high)
}

// writeText prints everything that was measured, for people.
func writeText(w io.Writer, b *bench) error {
	tabs := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tabs, "%s, pion/turn %s, coturn %s\n", b.hostLine, b.report.Versions[armPion], b.report.Versions[armCoturn])
	var last trial
	for _, m := range b.measured {
		columns := textColumns
		if m.Idle > 0 {
			columns = []figure{figureIdle}
		}
		if m.trial != last {
			last = m.trial
			fmt.Fprintf(tabs, "\n%s\narm\t", m.trial)
			for _, c := range columns {
				fmt.Fprintf(tabs, "%s\t", c.head)
			}
			fmt.Fprintln(tabs)
		}
		fmt.Fprintf(tabs, "%s\t", m.arm)
		for _, c := range columns {
			fmt.Fprintf(tabs, "%s\t", m.cell(c))
		}
		fmt.Fprintln(tabs)
	}
	writeVerdicts(tabs, b.report.Suite)
	return tabs.Flush()
}

func (t trial) String() string {
	if t.Idle > 0 {
		return fmt.Sprintf("%d idle allocations:", t.Idle)
	}
	rate := fmt.Sprintf("%d/s each", t.Rate)
	if t.Rate == 0 {
		rate = fmt.Sprintf("as fast as it goes, %d under way each", t.InFlight)
	}
	return fmt.Sprintf("%s, %d clients × %d bytes, %s, load %s, %v:", t.Transport, t.Clients, t.Size, rate, t.load, t.Window)
}
