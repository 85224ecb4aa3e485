package signaling

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// bench is a server on the manual clock whose connections have fake sockets.
type bench struct {
	t      *testing.T
	clock  *timingtest.Manual
	server *Server
}

func newBench(t *testing.T, config Config) *bench {
	b := &bench{t: t, clock: timingtest.NewManual()}
	config.Clock, config.Now, config.OpenRooms = b.clock, b.clock.Time, config.Tokens == nil
	b.server = New(config)
	t.Cleanup(func() {
		b.server.hub.stop()
		b.server.hub.tasks.Wait()
		if n := b.clock.Pending(); n != 0 {
			t.Errorf("%d timers are armed at the end", n)
		}
	})
	return b
}

// joinAddress is where clients connect from.
var joinAddress = netip.MustParseAddrPort("192.0.2.1:4000")

// open returns a connection that ends with the test, unless the test ends it.
func (b *bench) open() (*conn, *fakeSocket) {
	sock := newFakeSocket()
	addr := joinAddress
	b.server.gate.open(addr.Addr(), b.clock.Now())
	c := b.server.attach(func() link { return sock }, addr, "tb.example")
	b.t.Cleanup(func() { b.end(c) })
	return c, sock
}

// end plays the end of the socket, once.
func (b *bench) end(c *conn) {
	c.mu.Lock()
	released := c.released
	c.mu.Unlock()
	if !released {
		b.server.detach(c, nil)
		c.sock.Cut()
		b.server.release(c)
	}
}

func (b *bench) join(room string) (*conn, *fakeSocket, map[string]any) {
	b.t.Helper()
	c, sock := b.open()
	c.receive([]byte(`{"type":"join","room":"`+room+`"}`), true)
	return c, sock, sock.message(b.t, typeJoined)
}

func TestTimersEndWithTheirConnection(t *testing.T) {
	b := newBench(t, Config{Credentials: issuer(time.Minute), Limits: Limits{JoinsPerSecond: 1e6, Unjoined: 1e6}})
	for i := range 1000 {
		c, sock := b.open()
		if i%2 == 0 {
			c.receive([]byte(`{"type":"join","room":"r`+fmt.Sprint(i/4)+`"}`), true)
			sock.message(t, typeJoined)
		}
		if b.clock.Pending() == 0 {
			t.Fatal("no timer armed for an open connection")
		}
		if i%3 == 0 {
			b.server.drop(c, ReasonTimeout, farewell{code: closePolicy})
		}
		b.end(c)
	}
	if n := b.clock.Pending(); n != 0 {
		t.Errorf("%d timers are armed after 1000 connections", n)
	}
	if rooms := b.server.Rooms(); len(rooms) != 0 || len(b.server.hub.conns) != 0 || len(b.server.hub.seats) != 0 || len(b.server.gate.networks) > 1 {
		t.Errorf("left behind: %v", rooms)
	}
}

func TestHeartbeatMeasuresAndLeads(t *testing.T) {
	b := newBench(t, Config{Heartbeat: 100 * time.Millisecond})
	c, sock, _ := b.join("demo")
	for beat := range 3 {
		b.clock.AdvanceNext()
		ping := sock.message(t, typePing)
		if ping["seq"] != float64(beat+1) {
			t.Fatalf("beat %d: %v", beat, ping)
		}
		if want := map[bool]float64{false: 0, true: 2000}[beat > 0]; ping["rtt_us"] != want {
			t.Errorf("beat %d: rtt_us %v, want %v", beat, ping["rtt_us"], want)
		}
		b.clock.Advance(2 * time.Millisecond)
		c.receive(fmt.Appendf(nil, `{"type":"pong","seq":%v}`, ping["seq"]), true)
	}
	next, _ := b.clock.Next()
	joined := timing.Instant(time.Hour)
	if want := joined.Add(400*time.Millisecond - maxLead); next != want {
		t.Errorf("next beat %v after the join, want %v", next.Sub(joined), want.Sub(joined))
	}
	peer := b.server.Rooms()[0].Peers[0]
	if peer.RTT != 2*time.Millisecond || peer.JoinedAt != time.Unix(3600, 0).UTC() || peer.Address != "192.0.2.1:4000" {
		t.Errorf("snapshot %+v", peer)
	}
}

// TestTheServersReasonIsHeard has the client be gone as soon as it is told why: that it went is not the reason.
func TestTheServersReasonIsHeard(t *testing.T) {
	b := newBench(t, Config{})
	c, sock, _ := b.join("demo")
	_, otherSock, _ := b.join("demo")
	sock.parted = func() { b.server.detach(c, nil) }
	b.server.drop(c, ReasonSlow, slowFarewell())
	if left := otherSock.message(t, typePeerLeft); left["reason"] != string(ReasonSlow) {
		t.Errorf("the other heard %v", left)
	}
}

func TestMissedBeatsEndTheConnection(t *testing.T) {
	b := newBench(t, Config{})
	c, sock, joined := b.join("demo")
	other, otherSock, _ := b.join("demo")
	for range missedBeats + 1 {
		b.clock.Advance(time.Second)
		other.receive(fmt.Appendf(nil, `{"type":"pong","seq":%v}`, otherSock.message(t, typePing)["seq"]), true)
		c.receive([]byte(`{"type":"pong","seq":99}`), true) // Foreign: no sign of life.
	}
	left := otherSock.message(t, typePeerLeft)
	if left["peer"] != joined["peer"] || left["reason"] != "timeout" {
		t.Errorf("the other heard %v", left)
	}
	sock.closedWith(t, closePolicy, "timeout")
	b.clock.Advance(lingerTime)
	sock.await(t, "the cut", func() bool { return sock.aborted })
	if n := b.server.Stats().Timeouts; n != 1 {
		t.Errorf("%d timeouts counted, want 1", n)
	}
}

func TestBlockedWriteIsCutByTheHeartbeat(t *testing.T) {
	b := newBench(t, Config{})
	_, sock, _ := b.join("demo")
	sock.mu.Lock()
	sock.stalled = true
	sock.mu.Unlock()
	b.clock.Advance((missedBeats + 1) * time.Second)
	// The fourth beat gives up on a goroutine of its own; the cut is planned once that has run.
	ctx := patient(t)
	for b.server.Stats().Timeouts == 0 && ctx.Err() == nil {
		b.clock.Advance(time.Millisecond)
	}
	b.clock.Advance(lingerTime)
	sock.await(t, "the cut", func() bool { return sock.aborted })
}

func TestJoinTimeout(t *testing.T) {
	b := newBench(t, Config{})
	c, sock := b.open()
	b.clock.Advance(5*time.Second - 1)
	if c.isEnding() {
		t.Fatal("closed before its time")
	}
	b.clock.Advance(1)
	if m := sock.message(t, typeError); m["code"] != "join-timeout" || m["fatal"] != true {
		t.Errorf("got %v", m)
	}
	sock.closedWith(t, closePolicy, "join-timeout")
}

func TestSlowReaderGoesAndOthersStay(t *testing.T) {
	for name, limits := range map[string]Limits{
		"messages": {QueueMessages: 8},
		"bytes":    {QueueBytes: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			limits.MessagesPerSecond, limits.MessageBurst = 1e6, 1e6
			b := newBench(t, Config{Limits: limits})
			slow, slowSock, joined := b.join("demo")
			fast, fastSock, _ := b.join("demo")
			_, thirdSock, third := b.join("demo")
			slowSock.mu.Lock()
			slowSock.stalled = true
			slowSock.mu.Unlock()
			offer := `{"type":"offer","sdp":"` + long(100) + `","to":"`
			for range 12 {
				fast.receive([]byte(offer+joined["peer"].(string)+`"}`), true)
			}
			for _, sock := range []*fakeSocket{fastSock, thirdSock} {
				if m := sock.message(t, typePeerLeft); m["peer"] != joined["peer"] || m["reason"] != "slow" {
					t.Errorf("the others heard %v", m)
				}
			}
			fast.receive([]byte(offer+third["peer"].(string)+`"}`), true)
			thirdSock.message(t, typeOffer)
			if m := fastSock.message(t, typeError); m["code"] != "unknown-peer" {
				t.Errorf("the sender heard %v", m)
			}
			if !slow.isEnding() || b.server.Stats().SlowConsumers != 1 {
				t.Errorf("stats %+v", b.server.Stats())
			}
			b.clock.Advance(lingerTime)
			slowSock.await(t, "the cut", func() bool { return slowSock.aborted })
		})
	}
}

func TestSlowBroadcastTellsEverybodyInOrder(t *testing.T) {
	b := newBench(t, Config{Limits: Limits{QueueMessages: 5}})
	slow, slowSock, joined := b.join("demo")
	_, otherSock, _ := b.join("demo")
	slowSock.message(t, typePeerJoined)
	slowSock.mu.Lock()
	slowSock.stalled = true
	slowSock.mu.Unlock()
	for !slow.isEnding() { // One message blocks in Send, five wait, and one is too many.
		b.join("demo")
		otherSock.message(t, typePeerJoined)
	}
	if m := otherSock.message(t, typePeerLeft); m["peer"] != joined["peer"] {
		t.Errorf("got %v", m)
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		code Code
	}{
		"not JSON":       {`{"type":`, CodeBadMessage},
		"unknown type":   {`{"type":"dance"}`, CodeUnknownType},
		"join twice":     {`{"type":"join","room":"demo"}`, CodeAlreadyJoined},
		"unknown peer":   {`{"type":"offer","to":"nobody","sdp":"v=0"}`, CodeUnknownPeer},
		"large SDP":      {`{"type":"offer","to":"x","sdp":"` + long(40000) + `"}`, CodeTooLarge},
		"deep candidate": {`{"type":"candidate","to":"x","candidate":{"a":` + strings.Repeat("[", 60000) + `}}`, CodeBadMessage},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Config{})
			c, sock, _ := b.join("demo")
			c.receive([]byte(test.text), true)
			m := sock.message(t, typeError)
			if m["code"] != string(test.code) || m["fatal"] != false || m["remedy"] == "" {
				t.Errorf("got %v, want %s", m, test.code)
			}
			c.receive([]byte(`{"type":"ice-servers"}`), true)
			sock.message(t, typeICEServers)
		})
	}
}

func TestBinaryFramesAreRefused(t *testing.T) {
	b := newBench(t, Config{})
	c, sock := b.open()
	c.receive([]byte(`{"type":"join","room":"demo"}`), false)
	if m := sock.message(t, typeError); m["code"] != "bad-message" {
		t.Errorf("got %v", m)
	}
}

func TestBeforeTheJoin(t *testing.T) {
	for text, code := range map[string]Code{
		`{"type":"offer","to":"x","sdp":"v=0"}`: CodeNotJoined,
		`{"type":"ice-servers"}`:                CodeNotJoined,
		`{"type":"leave"}`:                      CodeNotJoined,
		`{"type":"join","room":"a b"}`:          CodeBadRoom,
		`{"type":"join"}`:                       CodeBadRoom,
	} {
		b := newBench(t, Config{})
		c, sock := b.open()
		c.receive([]byte(text), true)
		if m := sock.message(t, typeError); m["code"] != string(code) || m["fatal"] != false {
			t.Errorf("%s: got %v, want %s", text, m, code)
		}
	}
}

func TestTokensGuardTheJoin(t *testing.T) {
	verifier, err := NewVerifier(VerifierConfig{Secrets: [][]byte{tokenKey}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Config{Tokens: verifier})
	token, err := IssueToken(tokenKey, TokenRequest{Room: "demo", Can: CanAll, TTL: time.Minute}, b.clock.Time())
	if err != nil {
		t.Fatal(err)
	}
	c, sock := b.open()
	c.receive([]byte(`{"type":"join","room":"demo"}`), true)
	if m := sock.message(t, typeError); m["code"] != "token-required" || m["fatal"] != false {
		t.Errorf("got %v", m)
	}
	c.receive([]byte(`{"type":"join","room":"demo","token":"`+token+`"}`), true)
	sock.message(t, typeJoined)

	c, sock = b.open()
	c.receive([]byte(`{"type":"join","room":"other","token":"`+token+`"}`), true)
	if m := sock.message(t, typeError); m["code"] != "bad-token" || m["fatal"] != true {
		t.Errorf("got %v", m)
	}
	sock.closedWith(t, closePolicy, "bad-token")
}

func TestFloodIsAnsweredOnceAndThenEnded(t *testing.T) {
	b := newBench(t, Config{Heartbeat: time.Millisecond})
	c, sock, _ := b.join("demo")
	for range 59 { // The join was the first of 60.
		c.receive([]byte(`{"type":"ice-servers"}`), true)
		sock.message(t, typeICEServers)
	}
	c.receive([]byte(`{"type":"ice-servers"}`), true)
	if m := sock.message(t, typeError); m["code"] != "rate-limited" || m["fatal"] != false {
		t.Fatalf("got %v", m)
	}
	for range 20 {
		b.clock.Advance(time.Millisecond)
		c.receive(fmt.Appendf(nil, `{"type":"pong","seq":%v}`, sock.message(t, typePing)["seq"]), true)
	}
	if c.dropped != 1 {
		t.Errorf("%d messages dropped in a row: the answers to pings were counted", c.dropped)
	}
	c.receive([]byte(`{"type":"pong","seq":1}`), true)
	if c.dropped != 2 {
		t.Errorf("%d messages dropped in a row: a pong that nobody asked for was not counted", c.dropped)
	}
	b.clock.Advance(50 * time.Millisecond)
	c.receive([]byte(`{"type":"ice-servers"}`), true)
	sock.message(t, typeICEServers)
	for range 60*floodFactor + 1 {
		c.receive([]byte(`{"type":"ice-servers"}`), true)
	}
	sock.closedWith(t, closePolicy, "rate-limited")
}

func TestJoinsAreLimitedPerAddress(t *testing.T) {
	b := newBench(t, Config{})
	for range 10 {
		b.join("demo")
	}
	c, sock := b.open()
	c.receive([]byte(`{"type":"join","room":"demo"}`), true)
	if m := sock.message(t, typeError); m["code"] != "rate-limited" {
		t.Errorf("got %v", m)
	}
}

// issuer issues one server that names whom it was issued for.
type issuer time.Duration

func (ttl issuer) ICEServers(peer, host string) ([]ICEServer, time.Duration) {
	return []ICEServer{{URLs: []string{"turn:" + host + ":3478"}, Username: peer, Credential: "secret"}}, time.Duration(ttl)
}

func TestICEServersAreRefreshed(t *testing.T) {
	b := newBench(t, Config{Credentials: issuer(10 * time.Second), Heartbeat: 5 * time.Second})
	c, sock, joined := b.join("demo")
	want := fmt.Sprint([]any{map[string]any{
		"urls": []any{"turn:tb.example:3478"}, "username": joined["peer"], "credential": "secret",
	}})
	if fmt.Sprint(joined["ice_servers"]) != want || joined["ice_ttl_ms"] != 10000.0 {
		t.Errorf("joined with %v", joined)
	}
	b.clock.Advance(4 * time.Second)
	c.receive([]byte(`{"type":"ice-servers"}`), true)
	sock.message(t, typeICEServers)
	var due timing.Instant
	for range 3 { // Two beats, then the refresh: 0.8 of the lifetime after the request, not after the join.
		due, _ = b.clock.Next()
		b.clock.AdvanceNext()
	}
	if want := timing.Instant(time.Hour).Add(12 * time.Second); due != want {
		t.Errorf("refreshed %v late", due.Sub(want))
	}
	if m := sock.message(t, typeICEServers); fmt.Sprint(m["ice_servers"]) != want {
		t.Errorf("refreshed with %v", m)
	}
}

// faulty panics for its first caller.
type faulty struct{ calls int }

func (f *faulty) ICEServers(string, string) ([]ICEServer, time.Duration) {
	if f.calls++; f.calls == 1 {
		panic("no credentials today")
	}
	return nil, 0
}

func TestPanicCostsOneConnection(t *testing.T) {
	b := newBench(t, Config{Credentials: &faulty{}})
	c, sock := b.open()
	c.receive([]byte(`{"type":"join","room":"demo"}`), true)
	sock.closedWith(t, closeInternal, "closed")
	_, _, joined := b.join("demo")
	if peers := joined["peers"].([]any); len(peers) != 0 || b.server.Stats().Panics != 1 {
		t.Errorf("joined %v, stats %+v", joined, b.server.Stats())
	}
}

func TestNamesAreCleaned(t *testing.T) {
	b := newBench(t, Config{})
	c, sock := b.open()
	c.receive([]byte(`{"type":"join","room":"demo","name":" Ada\u0000\u202e\n`+long(100)+`"}`), true)
	sock.message(t, typeJoined)
	if name := b.server.Rooms()[0].Peers[0].Name; name != "Ada"+long(61) {
		t.Errorf("name %q", name)
	}
}
