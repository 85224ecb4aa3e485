package negotiate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tourbillon/timing"
	"tourbillon/timing/rounds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"--sessions", "7", "--loss", "2.5", "--rtt", "80ms", "--arm", "pion,answerer", "--json"})
	if err != nil || o.sessions != 7 || o.loss != 2.5 || o.rtt != 80*time.Millisecond || strings.Join(o.arms, " ") != "pion answerer" || !o.asJSON {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parseOptions(nil); err != nil || strings.Join(o.arms, " ") != "tourbillon runtime pion answerer" {
		t.Errorf("without options: %+v, %v", o, err)
	}
	for args, want := range map[string]string{
		"--sessions 0": "from 1 to 1000", "--each 0": "from 1", "--runs 101": "to 100", "--loss 51": "percent, from 0 to 50",
		"--loss NaN": "percent", "--loss -1": "percent", "--rtt -1ms": "from 0 to 2s", "--rtt 3s": "from 0 to 2s",
		"--arm tea": "some of", "x": "options begin", "--tea": "see `tourbillon help`",
	} {
		var usage *rounds.UsageError
		if _, err := parseOptions(strings.Fields(args)); !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a usage error with %q", args, err, want)
		}
	}
}

func TestReport(t *testing.T) {
	of := func(p95 int64, failed int) outcome {
		return outcome{P50NS: p95 / 2, P95NS: p95, P99NS: 2 * p95, Failed: failed, CPUPer: 7, Link: linkCounts{100, 5, 3}}
	}
	o := options{arms: allArms[:3], sessions: 10, each: 2, loss: 5, rtt: 50 * time.Millisecond, runs: 3}
	all := []rounds.Round[outcome]{
		{ArmTourbillon: of(50, 0), ArmRuntime: of(40, 0), ArmPion: of(100, 1)},
		{ArmTourbillon: of(60, 0), ArmRuntime: of(60, 0), ArmPion: of(100, 0)},
		{ArmTourbillon: of(90, 1), ArmRuntime: of(45, 0), ArmPion: of(100, 1)},
	}
	r := newReport(o, nil, all)
	row, err := json.Marshal(r.Rows[0])
	const want = `{"arm":"tourbillon","sessions":10,"loss":5,"connect_p50_ns":30,"connect_p95_ns":60,"connect_p99_ns":120,"failed":1,` +
		`"retransmits":9,"cpu_ns_per_session":7,"negotiations":60,"packets":300,"lost_packets":15}`
	if err != nil || string(row) != want {
		t.Errorf("row %s, want %s (%v)", row, want, err)
	}
	p95 := r.Ratios[1]
	if p95.Arm != ArmTourbillon || p95.Figure != "connect_p95_ns" || p95.Ratio != 0.6 || p95.Low != 0.5 || p95.High != 0.9 || !*p95.Reached {
		t.Errorf("%+v", p95)
	}
	if len(r.Ratios) != 8 || r.Ratios[5].Bound != nil || len(r.Clock) != 4 || r.Clock[1].Ratio != 1.25 || r.Clock[1].Bound != nil {
		t.Errorf("%+v, the clock alone %+v", r.Ratios, r.Clock)
	}
	var text strings.Builder
	if err := r.writeText(&text); err != nil || !strings.Contains(text.String(), "0.61, reached") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if o.loss = 0; *newReport(o, nil, all).Ratios[1].Bound != cleanBound {
		t.Error("without loss the bound is another")
	}
	if o.loss = 3; newReport(o, nil, all).Ratios[1].Bound != nil {
		t.Error("a bound for a link that has none")
	}
}

func TestSummarise(t *testing.T) {
	var x outcome
	x.summarise([]time.Duration{limit, 3, 1, 2})
	if x.Failed != 1 || x.P50NS != 2 || x.P95NS != int64(limit) {
		t.Errorf("%+v", x)
	}
}

// TestLose holds that as many datagrams are lost as asked for, that a caller's port, the direction and the number
// matter, and that who answers does not.
func TestLose(t *testing.T) {
	o := &linkOrder{Loss: 5, Seed: 1}
	a := netip.AddrPortFrom(hostOf(callers, 0), 1024)
	b, other := netip.AddrPortFrom(hostOf(callees, 0), 1024), netip.AddrPortFrom(hostOf(callees, 9), 77)
	fates := func(f flow) (s string, lost int) {
		var text strings.Builder
		for n := range uint64(20_000) {
			if o.lose(f, n) {
				lost++
				text.WriteByte('x')
			} else {
				text.WriteByte('.')
			}
		}
		return text.String(), lost
	}
	there, lost := fates(flow{a, b})
	if math.Abs(float64(lost)/20_000-0.05) > 0.01 {
		t.Errorf("%d of 20000 lost, want 5 %%", lost)
	}
	if same, _ := fates(flow{a, other}); same != there {
		t.Error("another callee loses others")
	}
	for _, f := range []flow{{b, a}, {netip.AddrPortFrom(a.Addr(), 1025), b}, {netip.AddrPortFrom(hostOf(callers, 1), 1024), b}} {
		if s, _ := fates(f); s == there {
			t.Errorf("%v loses the same as %v", f, flow{a, b})
		}
	}
	if (&linkOrder{}).lose(flow{a, b}, 1) {
		t.Error("a link without loss loses")
	}
}

// TestCounter counts repeated checks and handshake messages, and nothing else.
func TestCounter(t *testing.T) {
	f := flow{netip.MustParseAddrPort("198.18.0.1:1024"), netip.MustParseAddrPort("198.19.0.1:1024")}
	request, response := append([]byte{0, 1}, make([]byte, 18)...), append([]byte{1, 1}, make([]byte, 18)...)
	record := func(kind, epoch, message byte) []byte {
		r := []byte{kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, 0, 20}
		return append(r, append([]byte{1, 0, 0, 8, 0, message}, make([]byte, 14)...)...)
	}
	c := newCounter()
	for _, step := range []struct {
		what string
		do   func()
		want int
	}{
		{"a check", func() { c.sent(f, request) }, 0},
		{"its answer", func() { c.sent(f.back(), response); c.delivered(f.back(), response) }, 0},
		{"the next", func() { c.sent(f, request) }, 0},
		{"again without an answer", func() { c.sent(f, request) }, 1},
		{"the peer's own", func() { c.sent(f.back(), request) }, 1},
		{"a hello", func() { c.sent(f, record(22, 0, 0)) }, 1},
		{"another message", func() { c.sent(f, record(22, 0, 1)) }, 1},
		{"a flight of two, both again", func() { c.sent(f, append(record(22, 0, 0), record(22, 0, 1)...)) }, 2},
		{"Finished", func() { c.sent(f, record(22, 1, 200)) }, 2},
		{"Finished again", func() { c.sent(f, record(22, 1, 9)) }, 3},
		{"data twice", func() { c.sent(f, record(23, 1, 0)); c.sent(f, record(23, 1, 0)) }, 3},
		{"cut short", func() { c.sent(f, record(22, 0, 0)[:15]); c.sent(f, nil); c.sent(f, []byte{22}) }, 3},
	} {
		if step.do(); c.retransmits != step.want {
			t.Errorf("%s: %d sent again, want %d", step.what, c.retransmits, step.want)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9})
	f.Add([]byte{0, 1, 0, 0})
	f.Fuzz(func(_ *testing.T, data []byte) {
		c := newCounter()
		c.sent(flow{}, data)
		c.delivered(flow{}, data)
		if from, to, err := head(data); err == nil {
			putHead(data, from, to)
		}
	})
}

// exchange is signaling in memory: each room hands what is sent to the other end.
type exchange struct {
	mu    sync.Mutex
	rooms map[string]*place
}

type place struct {
	id   string
	in   chan Signal
	peer *place
	end  context.CancelFunc
	ctx  context.Context
}

func (e *exchange) join(ctx context.Context, _, room string) (Room, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &place{id: room + "-second", in: make(chan Signal, 10)}
	p.ctx, p.end = context.WithCancel(context.Background())
	if first := e.rooms[room]; first != nil {
		p.peer, first.peer = first, p
		return p, nil
	}
	p.id = room + "-first"
	e.rooms[room] = p
	return p, nil
}

func (p *place) ID() string { return p.id }
func (p *place) Close()     { p.end() }

func (p *place) Send(to, kind, sdp string) error {
	if to != p.peer.id {
		return errors.New("nobody is " + to)
	}
	p.peer.in <- Signal{p.id, kind, sdp}
	return nil
}

func (p *place) Next(ctx context.Context) (Signal, error) {
	select {
	case s := <-p.in:
		return s, nil
	case <-p.ctx.Done():
		return Signal{}, p.ctx.Err()
	case <-ctx.Done():
		return Signal{}, ctx.Err()
	}
}

// openTestLink runs a link, with a way to nowhere for signaling, until the returned function is called.
func openTestLink(t *testing.T, o linkOrder) (places linkPlaces, end func() linkCounts) {
	t.Helper()
	in, hold := io.Pipe()
	said, out := io.Pipe()
	done := make(chan error, 1)
	o.Signaling = "127.0.0.1:9"
	go func() { done <- o.run(in, out) }()
	decoder := json.NewDecoder(said)
	if err := decoder.Decode(&places); err != nil {
		t.Fatal(err)
	}
	return places, func() (counts linkCounts) {
		hold.Close()
		if err := errors.Join(decoder.Decode(&counts), <-done); err != nil {
			t.Error(err)
		}
		return counts
	}
}

// TestArms has every kind of arm negotiate for real over a link of ten milliseconds.
func TestArms(t *testing.T) {
	for _, name := range []string{ArmTourbillon, ArmAnswerer, ArmPion} {
		places, end := openTestLink(t, linkOrder{Delay: 5 * time.Millisecond, Seed: 1})
		o := armOrder{Arm: name, Clock: "runtime", Link: places.Datagrams, Sessions: 2, Each: 2}
		hooks := Hooks{
			Clock: func(clock string) (timing.Clock, Build, func() error, error) {
				return timing.Runtime{}, Build{Clock: clock}, func() error { return nil }, nil
			},
			Join: (&exchange{rooms: map[string]*place{}}).join,
		}
		order, err := json.Marshal(order{Arm: &o})
		var out bytes.Buffer
		if err == nil {
			err = Child(t.Context(), bytes.NewReader(append(order, '\n')), &out, hooks)
		}
		var got outcome
		if err := errors.Join(err, json.Unmarshal(out.Bytes(), &got)); err != nil {
			t.Errorf("arm %s: %v", name, err)
		}
		// Four ways at least, for checks and handshakes.
		if got.P50NS < int64(20*time.Millisecond) || got.P99NS < got.P50NS || got.Failed != 0 || got.CPUPer <= 0 || got.Build.Clock != "runtime" {
			t.Errorf("arm %s: %+v", name, got)
		}
		if counts := end(); counts.Packets < 4*8 || counts.Lost != 0 {
			t.Errorf("arm %s: %+v", name, counts)
		}
	}
}

// TestProxy delays what is said both ways, and ends with either end.
func TestProxy(t *testing.T) {
	far, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	const delay = 20 * time.Millisecond
	clock := timing.Runtime{}
	p, err := openProxy(clock, delay, far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.Dial("tcp4", p.address())
	if err != nil {
		t.Fatal(err)
	}
	end, err := far.Accept()
	if err != nil {
		t.Fatal(err)
	}
	start, word := clock.Now(), make([]byte, 4)
	for _, way := range [][2]net.Conn{{near, end}, {end, near}} {
		if _, err := way[0].Write([]byte("word")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(way[1], word); err != nil || string(word) != "word" {
			t.Fatalf("%q, %v", word, err)
		}
	}
	if took := clock.Now().Sub(start); took < 2*delay {
		t.Errorf("there and back in %v, want %v at least", took, 2*delay)
	}
	near.Close()
	if _, err := end.Read(word); !errors.Is(err, io.EOF) {
		t.Errorf("after the near end: %v", err)
	}
	end.Close()
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

// TestAccept holds that each arm's process has to be what the arm claims.
func TestAccept(t *testing.T) {
	own := Build{Retimed: true, Revision: "r"}
	good := outcome{Build: Build{Retimed: true, Clock: "hrtimer", Revision: "r"}}
	if err := good.accept(ArmTourbillon, "hrtimer", own); err != nil {
		t.Error(err)
	}
	for what, b := range map[string]Build{
		"plain": {Clock: "hrtimer", Revision: "r"}, "clock": {Retimed: true, Clock: "runtime", Revision: "r"},
		"revision": {Retimed: true, Clock: "hrtimer", Revision: "s"},
	} {
		if (&outcome{Build: b}).accept(ArmTourbillon, "hrtimer", own) == nil {
			t.Errorf("another %s was accepted", what)
		}
	}
	if good.accept(ArmPion, "hrtimer", own) == nil {
		t.Error("re-timed pion was accepted as pion as published")
	}
}

// TestChild refuses to be started by hand.
func TestChild(t *testing.T) {
	for _, text := range []string{"", "hello\n", "{}\n"} {
		if err := Child(t.Context(), strings.NewReader(text), io.Discard, Hooks{}); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
