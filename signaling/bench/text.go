//go:build linux

package bench

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// column is one figure of the table.
type column struct {
	head string
	unit float64
	of   func(Row) *float64
}

func whole(of func(Row) int64) func(Row) *float64 {
	return func(r Row) *float64 {
		f := float64(of(r))
		return &f
	}
}

func maybe(of func(Row) *int64) func(Row) *float64 {
	return func(r Row) *float64 {
		n := of(r)
		if n == nil {
			return nil
		}
		f := float64(*n)
		return &f
	}
}

var columns = []column{
	{"conns", 1, whole(func(r Row) int64 { return int64(r.Conns) })},
	{"msgs/s", 1, whole(func(r Row) int64 { return int64(r.MsgsPerS) })},
	{"rtt p50 µs", 1e3, maybe(func(r Row) *int64 { return r.RTTP50NS })},
	{"p95", 1e3, maybe(func(r Row) *int64 { return r.RTTP95NS })},
	{"p99", 1e3, maybe(func(r Row) *int64 { return r.RTTP99NS })},
	{"beat late p50 µs", 1e3, maybe(func(r Row) *int64 { return r.HBLateP50NS })},
	{"p99", 1e3, maybe(func(r Row) *int64 { return r.HBLateP99NS })},
	{"CPU µs/msg", 1e3, maybe(func(r Row) *int64 { return r.CPUNSPerMsg })},
	{"bytes/conn", 1, whole(func(r Row) int64 { return r.RSSBytesPerConn })},
	{"accepts/s", 1, whole(func(r Row) int64 { return int64(r.AcceptsPerS) })},
	{"connect p99 ms", 1e6, whole(func(r Row) int64 { return r.ConnectP99NS })},
}

// writeText prints the medians of each arm's runs and, below, their ratios to the last arm's within each run.
func (b *bench) writeText() error {
	tabs := tabwriter.NewWriter(b.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tabs, "%v\n%s, heartbeat %v, %d round trips/s asked for, %d × %v\n\n", b.Host, b.protocol, b.heartbeat, b.rate, b.runs, b.duration)
	if b.search {
		return b.writeSearch(tabs)
	}
	heads := []string{"arm"}
	for _, c := range columns {
		heads = append(heads, c.head)
	}
	fmt.Fprintln(tabs, strings.Join(heads, "\t")+"\t")
	for _, arm := range b.arms {
		b.textRow(tabs, arm, func(c column, i int, rows []Row) *float64 { return divide(c.of(rows[i]), &c.unit) })
	}
	reference := b.arms[len(b.arms)-1]
	for _, arm := range b.arms[:len(b.arms)-1] {
		others := b.rowsOf(reference)
		b.textRow(tabs, arm+"/"+reference, func(c column, i int, rows []Row) *float64 { return divide(c.of(rows[i]), c.of(others[i])) }, arm)
	}
	fmt.Fprintf(tabs, "\nMedians of the runs with their range in brackets; ratios within a run.\n")
	return tabs.Flush()
}

func divide(a, b *float64) *float64 {
	if a == nil || b == nil || *b == 0 {
		return nil
	}
	q := *a / *b
	return &q
}

func (b *bench) rowsOf(arm string) (rows []Row) {
	for _, r := range b.report.Rows {
		if r.Arm == arm {
			rows = append(rows, r)
		}
	}
	return rows
}

// textRow prints one line: figure gives a column's figure of each of the arm's runs.
func (b *bench) textRow(tabs *tabwriter.Writer, name string, figure func(c column, i int, rows []Row) *float64, arm ...string) {
	rows := b.rowsOf(append(arm, name)[0])
	cells := []string{name}
	for _, c := range columns {
		var figures []float64
		for i := range rows {
			if f := figure(c, i, rows); f != nil {
				figures = append(figures, *f)
			}
		}
		cells = append(cells, cell(figures))
	}
	fmt.Fprintln(tabs, strings.Join(cells, "\t")+"\t")
}

// cell prints three significant digits, and whole numbers whole.
func cell(figures []float64) string {
	if len(figures) == 0 {
		return "–"
	}
	text := func(f float64) string {
		if f >= 100 {
			return fmt.Sprintf("%.0f", f)
		}
		return fmt.Sprintf("%.3g", f)
	}
	s := spreadOf(figures)
	if text(s.low) == text(s.high) {
		return text(s.median)
	}
	return fmt.Sprintf("%s (%s–%s)", text(s.median), text(s.low), text(s.high))
}

func (b *bench) writeSearch(tabs *tabwriter.Writer) error {
	for _, h := range b.report.Held {
		end := ""
		if h.Limited {
			end = ", where the search ended"
		}
		fmt.Fprintf(tabs, "%s holds heartbeats of %v on %d connections%s\n", h.Arm, time.Duration(h.HeartbeatNS), h.Conns, end)
	}
	return tabs.Flush()
}
