//go:build linux

package bench

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// brief is a run that a test can wait for: one second is the warm-up.
var brief = []string{"--timers", "5", "--interval", "10ms", "--duration", "200ms"}

func TestJSONShape(t *testing.T) {
	out, _ := timers(t, append(brief, "--arm", "runtime,hrtimer", "--runs", "2", "--json")...)
	var shape struct {
		Host map[string]json.RawMessage
		Rows []map[string]json.RawMessage
	}
	decode(t, out, &shape)
	want := []string{
		"arm", "cpu_ns", "early", "fires", "gomaxprocs", "interval_ns", "load", "max_ns", "missed", "p50_ns", "p90_ns",
		"p999_ns", "p99_ns", "policy", "slack_ns", "timers",
	}
	for _, row := range shape.Rows {
		if got := slices.Sorted(maps.Keys(row)); !slices.Equal(got, want) {
			t.Errorf("a row has %v, want %v", got, want)
		}
	}
	wantHost := []string{"clock_source", "cpus", "go", "gomaxprocs", "kernel", "quota_millicores", "version"}
	if got := slices.Sorted(maps.Keys(shape.Host)); !slices.Equal(got, wantHost) {
		t.Errorf("host has %v, want %v", got, wantHost)
	}
	var r Report
	decode(t, out, &r)
	var arms []string
	for _, row := range r.Rows {
		arms = append(arms, row.Arm)
		if row.Fires != 100 || row.Early != 0 {
			t.Errorf("%s: %d fires, %d early, want 100 and none", row.Arm, row.Fires, row.Early)
		}
	}
	if want := []string{armRuntime, armHRTimer, armRuntime, armHRTimer}; !slices.Equal(arms, want) {
		t.Errorf("the arms ran as %v, want them interleaved: %v", arms, want)
	}
}

func TestTextAndPlot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "late.html")
	out, said := timers(t, append(brief, "--arm", "runtime-send,wire", "--plot", file)...)
	for _, want := range []string{"Linux", "idle, 5 × 10ms, 1 run of 200ms", "p99 ratio", armRuntimeSend, armWire} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	if !strings.Contains(said, "2 processes") {
		t.Errorf("how long it takes is not said: %q", said)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(page), "<polyline"); got != 2 {
		t.Errorf("%d curves, want 2", got)
	}
}

func TestTableText(t *testing.T) {
	out, _ := timers(t, "--table", "poller")
	for _, want := range []string{"origin", "package time", "hrtimer", "register a connection", "1200", "450", "–"} {
		if !strings.Contains(out, want) {
			t.Errorf("the table lacks %q:\n%s", want, out)
		}
	}
}

func TestTableJSON(t *testing.T) {
	out, _ := timers(t, "--table", "afterfunc", "--duration", "200ms", "--json")
	var r Report
	decode(t, out, &r)
	if r.Table == nil || r.Table.Name != "afterfunc" || len(r.Table.Rows) != 6 || len(r.Rows) != 0 {
		t.Fatalf("report %s", out)
	}
	for _, row := range r.Table.Rows {
		if row.Origin == nil || row.PackageTime == nil || row.HRTimer == nil {
			t.Errorf("%s, %s: a column is empty", row.Case, row.Figure)
		}
	}
}

func TestSuiteText(t *testing.T) {
	b := &bench{report: Report{Suite: []Verdict{
		{Load: loadGC, Timers: 50, IntervalNS: 20_000_000, What: "hrtimer/runtime p99", Ratio: 0.3, Bound: 0.4, Reached: true, Runs: []float64{0.3}},
		{Load: loadGC, Timers: 50, IntervalNS: 20_000_000, What: "wire/runtime-send p99", Ratio: 0.3, Bound: 0.02, Runs: []float64{0.3}},
	}}}
	var out strings.Builder
	if err := writeText(&out, b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"≤ 0.4", " reached", "≤ 0.02", "NOT reached", "50 × 20ms"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, out.String())
		}
	}
}

func TestTimersTellsWrongUsage(t *testing.T) {
	err := Timers(t.Context(), []string{"--arm", "sundial"}, &strings.Builder{}, &strings.Builder{})
	if !errors.As(err, new(*UsageError)) {
		t.Errorf("%v, want a UsageError", err)
	}
}
