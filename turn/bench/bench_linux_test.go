package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"go.uber.org/goleak"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

// TestMain makes this test binary the process that Run starts by executing itself.
func TestMain(m *testing.M) {
	timingtest.Children(func() error { return Child(os.Stdin, os.Stdout, hooks()) })
	goleak.VerifyTestMain(m)
}

func hooks() Hooks {
	return Hooks{
		Host: func() (any, string) { return "host", "host" },
		OpenClock: func() (timing.Clock, string, func() error) {
			return timing.Runtime{}, "package time", func() error { return nil }
		},
		Calibrate: func() int { return 1 },
		StartLoad: func(string, int) (func(), error) { return func() {}, nil },
	}
}

// patience bounds every wait in these tests; reaching it is a failure.
const patience = 2 * time.Minute

// turnBench runs the command.
func turnBench(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs strings.Builder
	if err := Run(ctx, args, &out, &errs, hooks()); err != nil {
		t.Fatalf("bench turn %v: %v\n%s", args, err, errs.String())
	}
	return out.String(), errs.String()
}

// rowKeys are what a row has, and nothing else: others read them.
var rowKeys = []string{
	"added_jitter_p99_ns", "alloc_per_s", "arm", "clients", "cpu_ns_per_msg", "loss", "pps", "rss_bytes", "rtt_p50_ns",
	"rtt_p99_ns", "size",
}

func TestRowsOverEveryTransport(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		for _, rate := range []string{"50", "0"} {
			var out, said string
			var r struct {
				Rows []map[string]any
			}
			empty := func(row map[string]any) bool { return row["pps"] == 0. || row["alloc_per_s"] == 0. }
			for window := 800 * time.Millisecond; window < 10*time.Second; window *= 2 { // For a machine that stands still.
				out, said = turnBench(t, "--arm", "tourbillon,pion", "--clients", "3", "--size", "100", "--rate", rate, "--duration", window.String(),
					"--warm-up", "100ms", "--allocate", (window / 2).String(), "--transport", transport, "--json")
				r.Rows = nil
				if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Rows) != 2 {
					t.Fatalf("%v\n%s", err, out)
				}
				if !slices.ContainsFunc(r.Rows, empty) {
					break
				}
			}
			for _, row := range r.Rows {
				keys := make([]string, 0, len(row))
				for key := range row {
					keys = append(keys, key)
				}
				if slices.Sort(keys); !slices.Equal(keys, rowKeys) {
					t.Errorf("keys %v, want %v", keys, rowKeys)
				}
				for _, key := range []string{"pps", "cpu_ns_per_msg", "rtt_p50_ns", "rtt_p99_ns", "alloc_per_s", "rss_bytes"} {
					if v, _ := row[key].(float64); v <= 0 {
						t.Errorf("%s, rate %s, %v: %s is %v\n%s", transport, rate, row["arm"], key, row[key], said)
					}
				}
			}
		}
	}
}

func TestIdleAllocationsAreWeighed(t *testing.T) {
	out, _ := turnBench(t, "--arm", "tourbillon", "--idle", "200", "--json")
	var r Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Memory) != 1 {
		t.Fatalf("%v\n%s", err, out)
	}
	if m := r.Memory[0]; m.Arm != armTourbillon || m.Allocations != 200 || m.BytesPerAllocation <= 0 {
		t.Errorf("%+v", m)
	}
}

// TestServerThatRunsAlready measures one that was not started here: messages come back, although it relays to nobody on
// loopback but to its own relays.
func TestServerThatRunsAlready(t *testing.T) {
	server := running(t, turn.Config{UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}, Limits: turn.LimitsOff()})
	_, user, pass, _ := server.ICEServers("bench", time.Now(), "")
	for i, transport := range []string{"udp", "tcp"} {
		at := server.Addresses()[i].Addr
		for _, rate := range []string{"20", "0"} {
			var out, said string
			var r Report
			for window := 500 * time.Millisecond; window < 10*time.Second; window *= 2 { // A machine that stands still gets nothing through.
				out, said = turnBench(t, "--server", fmt.Sprintf("localhost:%d", at.Port()), "--user", user, "--pass", pass,
					"--transport", transport, "--clients", "2", "--rate", rate, "--duration", window.String(), "--warm-up", "50ms", "--allocate", "500ms", "--json")
				r = Report{}
				if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Rows) != 1 {
					t.Fatalf("%v\n%s", err, out)
				}
				if r.Rows[0].PPS > 0 {
					break
				}
			}
			if row := r.Rows[0]; row.Arm != armAttached || row.PPS <= 0 || row.Loss >= 1 || row.RTTP50NS <= 0 {
				t.Errorf("%s, rate %s: %+v\n%s", transport, rate, row, said)
			}
			if !strings.Contains(said, "eight packets at the server") {
				t.Errorf("said %q", said)
			}
		}
	}
	if n := len(server.Allocations()); n != 0 {
		t.Errorf("%d allocations are left", n)
	}
}

// TestServerThatDoesNotRelay: what can never come back is an error that names the address and the remedy, whether the
// server refuses the channel or drops what goes through it.
func TestServerThatDoesNotRelay(t *testing.T) {
	server := running(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Limits: turn.LimitsOff()})
	_, user, pass, _ := server.ICEServers("bench", time.Now(), "")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{program: program}
	peer, err := b.peer() // A plain socket on loopback, which no server admits that knows nothing of it.
	if err != nil {
		t.Fatal(err)
	}
	var o outcome
	for window := 200 * time.Millisecond; window < time.Minute; window *= 2 { // Until something is sent.
		o, err = b.generate(t.Context(), workload{
			Server: server.Addresses()[0].Addr, Transport: "udp", Login: login{user, pass}, Peer: peer,
			Clients: 1, Size: 100, Rate: 20, Window: window,
		})
		if err != nil || o.Sent > 0 {
			break
		}
	}
	if err == nil {
		err = o.nothingBack()
	}
	if err == nil {
		t.Fatalf("%d of %d messages came back", o.Received, o.Sent)
	}
	for _, want := range []string{"does not relay to 127.0.0.1", "turn.allow_peers", "leave out --server"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if some := (&outcome{Sent: 2, Received: 1}).nothingBack(); some != nil {
		t.Errorf("half of the messages: %v", some)
	}
}

// running is a server on loopback until the test ends.
func running(t *testing.T, c turn.Config) *turn.Server {
	t.Helper()
	c.Secrets = [][]byte{[]byte("secret")}
	server, err := turn.Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return server
}

// TestDeniedChannel: a server that refuses the echo at once is told of in the same words as one that drops.
func TestDeniedChannel(t *testing.T) {
	s := session{step: stepBind, peer: netip.MustParseAddrPort("192.0.2.9:9"), waiting: true}
	refusal := stun.MustBuild(
		stun.TransactionID, stun.NewType(stun.MethodChannelBind, stun.ClassErrorResponse), stun.CodeForbidden)
	s.asked.TransactionID = refusal.TransactionID
	if _, err := s.answer(refusal.Raw); err == nil || err.Error() != errNotRelayed(s.peer.Addr()).Error() {
		t.Errorf("403 is told as %v", err)
	}
}

func TestServersOfIPv4(t *testing.T) {
	login := []string{"--user", "u", "--pass", "p", "--server"}
	for _, name := range []string{"localhost:3478", "127.0.0.1:3478", "[::ffff:127.0.0.1]:3478"} {
		o, err := parseOptions(append(login, name))
		if err == nil {
			err = o.resolve(t.Context())
		}
		if err != nil || o.at != netip.MustParseAddrPort("127.0.0.1:3478") {
			t.Errorf("%s became %v: %v", name, o.at, err)
		}
	}
	for _, name := range []string{"[::1]:3478", "[2001:db8::1]:3478"} {
		if _, err := parseOptions(append(login, name)); err == nil || !strings.Contains(err.Error(), "IPv6 is not measured") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if local, err := localAddressTo(netip.MustParseAddrPort("127.0.0.9:9")); err != nil || !local.IsLoopback() {
		t.Errorf("loopback is reached from %v: %v", local, err)
	}
}

// TestCoturnThatDoesNotComeUp: the error has coturn's own last words.
func TestCoturnThatDoesNotComeUp(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "turnserver")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho first; echo 'no such option' >&2; exit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := &bench{options: options{coturn: program}, clock: timing.Runtime{}, dir: dir, errs: io.Discard, said: map[string]bool{}}
	_, err := b.startCoturn(t.Context(), trial{workload: workload{Transport: "udp"}})
	if err == nil || !strings.Contains(err.Error(), "coturn does not come up: it has ended\n  first\n  no such option") {
		t.Errorf("%v", err)
	}
}

// TestCoturnOverTLSWantsOnePort: one more could be another program's, and coturn would wait for it for ever.
func TestCoturnOverTLSWantsOnePort(t *testing.T) {
	b := &bench{dir: "/nowhere"}
	line := strings.Join(b.coturnArguments(trial{workload: workload{Transport: "tls"}}, 5000), " ")
	if !strings.Contains(line, "--no-udp --no-tcp --tls-listening-port 5000") ||
		strings.Contains(line, "--listening-port 5001") {
		t.Errorf("coturn is told %s", line)
	}
	if !strings.Contains(line, "--log-file /nowhere/") {
		t.Errorf("coturn's log is lost: %s", line)
	}
}

// TestOurArmHasTheProcessorsOfServe: the processor that serve adds is there.
func TestOurArmHasTheProcessorsOfServe(t *testing.T) {
	_, said := turnBench(t, "--arm", "tourbillon", "--idle", "1", "--json")
	if want := fmt.Sprintf("Go processors: %d\n", timing.AddProcessor()); !strings.Contains(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, args := range []string{
		"--clients 0", "--size 3", "--size 1401", "--rate -1", "--runs 0", "--duration -1s", "--duration 2h", "--arm rival",
		"--transport sctp", "--load heavy", "--server nowhere", "--server 127.0.0.1:1", "--arm server", "extra", "--no-such",
		"--clients 10000 --rate 100000 --duration 1m", "--duration 4m", "--suite --server 127.0.0.1:1 --user u --pass p",
	} {
		_, err := parseOptions(strings.Fields(args))
		if usage := (*UsageError)(nil); !errors.As(err, &usage) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if _, err := parseOptions([]string{"--duration", "3m58s"}); err != nil {
		t.Errorf("as long as permissions last: %v", err)
	}
	o, err := parseOptions(nil)
	if err != nil || o.clients != 50 || o.size != 1000 || o.rate != 200 || o.duration != 20*time.Second {
		t.Errorf("defaults %+v: %v", o, err)
	}
}

func TestGoalsJudge(t *testing.T) {
	with := func(arm string, figures ...int64) measured {
		m := measured{arm: arm}
		for _, f := range figures {
			m.runs = append(m.runs, row{Row: Row{CPUNSPerMsg: f, PPS: float64(f), Loss: float64(f) / 1000}})
		}
		return m
	}
	for _, c := range []struct {
		goal         goal
		ours, theirs []int64
		figure       float64
		reached      bool
	}{
		{goal{figureCPU, armCoturn, 0.9, false, 0}, []int64{80, 90, 300}, []int64{100, 100, 100}, 0.9, true},
		{goal{figureCPU, armCoturn, 0.8, false, 0}, []int64{80, 90, 300}, []int64{100, 100, 100}, 0.9, false},
		{goal{figurePPS, armCoturn, 1.2, true, 0}, []int64{120, 130}, []int64{100, 100}, 1.25, true},
		{goal{figurePPS, armCoturn, 1.2, true, 0}, nil, nil, 0, false},
		{goal{figureLoss, armCoturn, 1, false, 0.0005}, []int64{0}, []int64{0}, 1, true},
		{goal{figureLoss, armCoturn, 1, false, 0.0005}, []int64{5}, []int64{1}, 5.5 / 1.5, false},
		{goal{figureCPU, "", 50, false, 0}, []int64{10, 20, 30}, nil, 20, true},
	} {
		v := c.goal.judge(suiteTrial{}, []measured{with(armTourbillon, c.ours...), with(armCoturn, c.theirs...)})
		if v.Reached != c.reached || v.Figure < c.figure-0.001 || v.Figure > c.figure+0.001 {
			t.Errorf("%+v gives %+v", c, v)
		}
	}
}

func TestPerMille(t *testing.T) {
	set := make([]int64, 1000)
	for i := range set {
		set[i] = int64(1000 - i)
	}
	if a, b, c := perMille(set, 500), perMille(set, 990), perMille(nil, 990); a != 500 || b != 990 || c != 0 {
		t.Errorf("%d %d %d", a, b, c)
	}
}

// TestSourcesAreNumbered: the sources of clients are told apart by their number alone.
func TestSourcesAreNumbered(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, maxClients, maxClients + 2*maxAllocs} {
		if a := sourceAddr(n); sourceNumber(a.As4()) != n || !a.IsLoopback() || a.As4()[1] == 0 {
			t.Errorf("%d became %v", n, a)
		}
	}
}
