//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait in these tests; reaching it is a failure.
const patience = 2 * time.Minute

func command(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs strings.Builder
	if err := Command(ctx, args, Environment{Out: &out, Errs: &errs, Host: "a machine"}); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, errs.String())
	}
	return out.String(), errs.String()
}

// rowKeys are the row's keys, in order, as others read them.
var rowKeys = []string{
	"arm", "conns", "msgs_per_s", "rtt_p50_ns", "rtt_p95_ns", "rtt_p99_ns", "hb_late_p50_ns", "hb_late_p99_ns",
	"cpu_ns_per_msg", "rss_bytes_per_conn", "accepts_per_s", "connect_p99_ns",
}

func TestRowsOfBothProtocols(t *testing.T) {
	for _, protocol := range []string{protocolTourbillon, protocolPeerJS} {
		out, _ := command(t, "--protocol", protocol, "--arm", "hrtimer,runtime", "--conns", "20", "--rate", "500", "--duration", "1s", "--heartbeat", "1s", "--settle", "10ms", "--json")
		var report struct {
			Host string
			Rows []map[string]any
			Lost int
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if report.Host != "a machine" || len(report.Rows) != 2 || report.Lost != 0 {
			t.Fatalf("%s", out)
		}
		for i, row := range report.Rows {
			if row["arm"] != []string{armHRTimer, armRuntime}[i] || len(row) != len(rowKeys) {
				t.Errorf("row %v", row)
			}
			for _, key := range rowKeys {
				value, there := row[key].(float64)
				beat := strings.HasPrefix(key, "hb_late")
				switch {
				case key == "arm" || key == "rss_bytes_per_conn":
				case beat && row[key] != nil: // The stand-in for the server recorded none in the window.
					t.Errorf("%s: %s is %v", protocol, key, row[key])
				case !beat && (!there || value <= 0):
					t.Errorf("%s: %s is %v", protocol, key, row[key])
				}
			}
		}
	}
}

func TestTextAndIdle(t *testing.T) {
	out, errs := command(t, "--conns", "4", "--rate", "0", "--duration", "100ms", "--heartbeat", "1s", "--runs", "2", "--settle", "0s")
	for _, want := range []string{"a machine", "hrtimer/runtime", "–", "2 × 100ms"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if errs != "" {
		t.Errorf("it said %q", errs)
	}
}

func TestBadCommandLines(t *testing.T) {
	for _, line := range []string{
		"--conns 3", "--conns 0", "--conns 100000000", "--rate -1", "--rate 1000000", "--runs 0", "--heartbeat 1us", "--duration 1h", "--settle -1s",
		"--protocol smoke", "--arm peerjs-server", "--arm x", "--search --protocol peerjs", "rest", "--nothing",
	} {
		var wrong *UsageError
		err := Command(t.Context(), strings.Fields(line), Environment{})
		if !errors.As(err, &wrong) || wrong.Remedy == "" {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestArmsOfAProtocol(t *testing.T) {
	o, err := parseOptions(strings.Fields("--protocol peerjs --arm peerjs-server,runtime,runtime"))
	if err != nil || !slices.Equal(o.arms, []string{armPeerJS, armRuntime}) {
		t.Errorf("%v, %v", o.arms, err)
	}
}

func TestSearchMost(t *testing.T) {
	for _, c := range []struct{ limit, capacity, least, most int }{
		{10000, 20000, 10000, 10000}, {10000, 3333, 3000, 3332}, {10000, 500, 450, 500}, {10000, 100, 80, 100}, {100, 100, 100, 100}, {1000, 0, 0, 0},
	} {
		trials := 0
		got, err := searchMost(c.limit, func(conns int) (bool, error) {
			if trials++; trials > 20 || conns%2 != 0 || conns > c.limit {
				t.Fatalf("trial %d with %d connections", trials, conns)
			}
			return conns <= c.capacity, nil
		})
		if err != nil || got < c.least || got > c.most {
			t.Errorf("limit %d, capacity %d: %d, %v", c.limit, c.capacity, got, err)
		}
	}
}

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		beats int64
		lost  int
		want  bool
	}{{1000, 0, true}, {990, 0, true}, {989, 0, false}, {1000, 1, false}} {
		o := outcome{measured: measured{Beats: c.beats, Lost: c.lost}}
		if o.holds(100, 10) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

func TestNewRow(t *testing.T) {
	o := order{Conns: 10}
	m := measured{WindowNS: 2e9, RoundTrips: 100, Messages: 200, P50NS: 5, P95NS: 6, P99NS: 7}
	row := newRow("x", o, connected{TookNS: 5e8, P99NS: 9}, m, watched{residentBefore: 1000, residentAfter: 21000, cpu: 2000})
	if row.MsgsPerS != 100 || *row.RTTP99NS != 7 || *row.CPUNSPerMsg != 10 || row.RSSBytesPerConn != 2000 || row.AcceptsPerS != 20 || row.HBLateP50NS != nil {
		t.Errorf("%+v", row)
	}
	idle := newRow("x", o, connected{TookNS: 1}, measured{WindowNS: 1}, watched{})
	if idle.CPUNSPerMsg != nil || idle.RTTP50NS != nil {
		t.Errorf("%+v", idle)
	}
}
