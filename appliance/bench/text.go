//go:build linux

package bench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// writeText prints everything that was measured, for people.
func writeText(w io.Writer, b *bench) error {
	t := &text{tabs: tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.DiscardEmptyColumns)}
	t.line("%s", b.report.Host)
	if b.report.Table != nil {
		t.table(*b.report.Table)
	}
	groups := b.groups()
	for _, group := range groups {
		t.group(b, group)
	}
	if len(groups) > 0 {
		t.line("\nMedians of the runs, with their range in brackets; ratios are to %s, for arms that send to %s, within a run.",
			armRuntime, armRuntimeSend)
	}
	t.soaks(b.report.Soak)
	t.suite(b.report.Suite)
	t.floor(b.report.Floor)
	return t.end()
}

func (h Host) String() string {
	quota := "no CPU quota"
	if h.QuotaMillicores > 0 {
		quota = fmt.Sprintf("CPU quota %dm", h.QuotaMillicores)
	}
	return fmt.Sprintf("%s, %d CPUs, clock source %s, %s, %s, GOMAXPROCS %d, tourbillon %s",
		h.Kernel, h.CPUs, h.ClockSource, quota, h.Go, h.GOMAXPROCS, h.Version)
}

// groups are the measured trials that are to be compared with one another, in the order in which they ran.
func (b *bench) groups() [][]measured {
	var groups [][]measured
	place := map[trial]int{}
	for _, m := range b.measured {
		setting := m.trial
		setting.Arm, setting.Slack = "", 0
		at, ok := place[setting]
		if !ok {
			at = len(groups)
			place[setting] = at
			groups = append(groups, nil)
		}
		if len(m.runs) > 0 {
			groups[at] = append(groups[at], m)
		}
	}
	return slices.DeleteFunc(groups, func(g []measured) bool { return len(g) == 0 })
}

// text writes tables whose columns line up. The first failure to write stays.
type text struct {
	tabs *tabwriter.Writer
	err  error
}

// line writes a line outside any table, which ends the table before it.
func (t *text) line(format string, args ...any) {
	t.keep(t.tabs.Flush())
	_, err := fmt.Fprintf(t.tabs, format+"\n", args...)
	t.keep(err)
	t.keep(t.tabs.Flush())
}

// row writes one row of a table.
func (t *text) row(cells ...string) {
	_, err := fmt.Fprintln(t.tabs, strings.Join(cells, "\t")+"\t")
	t.keep(err)
}

func (t *text) keep(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *text) end() error {
	t.keep(t.tabs.Flush())
	return t.err
}

func (t *text) group(b *bench, group []measured) {
	first := group[0]
	t.line("\n%s, %d × %v, %s of %v, microseconds late:", first.Load, first.Timers, first.Interval, times(len(first.runs), "run"), first.Window)
	heads := []string{"arm"}
	for _, c := range textColumns {
		heads = append(heads, c.head)
	}
	t.row(append(heads, "p50 ratio", "p99 ratio", "policy")...)
	for _, m := range group {
		t.measured(b, m)
	}
}

func times(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func (t *text) soaks(soaks []Soak) {
	for _, s := range soaks {
		t.line("%v", s)
	}
}

func (t *text) measured(b *bench, m measured) {
	name := m.Arm
	if m.Slack > 0 {
		name += fmt.Sprintf(" (slack %v)", m.Slack)
	}
	cells := []string{name}
	for _, c := range textColumns {
		cells = append(cells, c.cell(m))
	}
	reference, known := b.find(m.trial, yardstick(m.Arm))
	for _, figure := range []suiteFigure{figureP50, figureP99} {
		cell := "–"
		if known && reference.Arm != m.Arm {
			cell = fmt.Sprintf("%.3g", spreadOf(m.ratios(reference, figure.of)).median)
		}
		cells = append(cells, cell)
	}
	t.row(append(cells, m.runs[0].Policy)...)
}

// textColumn is one figure of the table.
type textColumn struct {
	head   string
	of     func(outcome) int64
	unit   time.Duration
	ranged bool
}

// textColumns show the median over the runs, and for the figures that are compared the range.
var textColumns = []textColumn{
	{"fires", func(o outcome) int64 { return o.Fires }, 1, false},
	{"early", func(o outcome) int64 { return o.Early }, 1, false},
	{"missed", func(o outcome) int64 { return o.Missed }, 1, false},
	{"p50", figureP50.of, time.Microsecond, true},
	{"p90", func(o outcome) int64 { return o.P90NS }, time.Microsecond, false},
	{"p99", figureP99.of, time.Microsecond, true},
	{"p99.9", func(o outcome) int64 { return o.P999NS }, time.Microsecond, false},
	{"max", func(o outcome) int64 { return o.MaxNS }, time.Microsecond, false},
	{"CPU ms", figureCPU.of, time.Millisecond, true},
}

func (c textColumn) cell(m measured) string {
	whole := func(n int64) string { return strconv.FormatInt((n+int64(c.unit)/2)/int64(c.unit), 10) }
	s := m.spreadOver(c.of)
	if !c.ranged || s.low == s.high {
		return whole(s.median)
	}
	return fmt.Sprintf("%s (%s–%s)", whole(s.median), whole(s.low), whole(s.high))
}

func (t *text) suite(verdicts []Verdict) {
	if len(verdicts) == 0 {
		return
	}
	t.line("\nTo reach (median of the ratios within each of %s):", times(len(verdicts[0].Runs), "run"))
	t.row("load", "timers", "what", "ratio", "bound", "")
	for _, v := range verdicts {
		reached := "reached"
		if !v.Reached {
			reached = "NOT reached"
		}
		timers := fmt.Sprintf("%d × %v", v.Timers, time.Duration(v.IntervalNS))
		t.row(v.Load, timers, v.What, withRange(spreadOf(v.Runs)), fmt.Sprintf("≤ %g", v.Bound), reached)
	}
}

func withRange(s spread[float64]) string {
	return fmt.Sprintf("%.3g (%.3g–%.3g)", s.median, s.low, s.high)
}

func (t *text) floor(f *Floor) {
	if f == nil {
		return
	}
	us := func(ns int64) int64 { return ns / int64(time.Microsecond) }
	t.line("\ncyclictest, the machine's floor when idle, microseconds late: min %d, avg %d, max %d in %d cycles (%s)",
		us(f.MinNS), us(f.AvgNS), us(f.MaxNS), f.Cycles, f.Policy)
}

func (t *text) table(table Table) {
	t.line("\n%s\n%s\n", table.Name, table.Note)
	t.row("", "", "unit", "origin", "package time", "hrtimer")
	for _, r := range table.Rows {
		t.row(r.Case, r.Figure, r.Unit, figure(r.Origin), figure(r.PackageTime), figure(r.HRTimer))
	}
}

// figure prints three significant digits, and whole numbers whole.
func figure(f *float64) string {
	switch {
	case f == nil:
		return "–"
	case *f >= 100 || *f <= -100:
		return strconv.FormatFloat(*f, 'f', 0, 64)
	}
	return strconv.FormatFloat(*f, 'g', 3, 64)
}
