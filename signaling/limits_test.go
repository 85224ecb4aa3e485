package signaling

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCapabilities(t *testing.T) {
	can, err := ParseCapabilities([]string{"restart", "join"})
	if err != nil || can != CanJoin|CanRestart || can.String() != "join,restart" {
		t.Errorf("got %v, %v", can, err)
	}
	if _, err := ParseCapabilities([]string{"fly"}); err == nil {
		t.Error("an unknown capability was read")
	}
	var read Capabilities
	if err := read.UnmarshalJSON([]byte(`["publish","fly"]`)); err != nil || read != CanPublish {
		t.Errorf("got %v, %v", read, err)
	}
	if text, _ := Capabilities(0).MarshalJSON(); string(text) != "[]" {
		t.Errorf("nothing is written as %s", text)
	}
}

// withToken is a server that wants tokens, and a token of it.
func withToken(t *testing.T, limits Limits, r TokenRequest) (*bench, string) {
	t.Helper()
	verifier, err := NewVerifier(VerifierConfig{Secrets: [][]byte{tokenKey}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Config{Tokens: verifier, Limits: limits})
	r.Room, r.TTL = "demo", time.Minute
	token, err := IssueToken(tokenKey, r, b.clock.Time())
	if err != nil {
		t.Fatal(err)
	}
	return b, token
}

func (b *bench) joinBy(token string) (*conn, *fakeSocket) {
	c, sock := b.open()
	c.receive([]byte(`{"type":"join","room":"demo","token":"`+token+`"}`), true)
	return c, sock
}

func TestATokenAllowsWhatItSays(t *testing.T) {
	b, token := withToken(t, Limits{}, TokenRequest{Can: CanJoin})
	c, sock := b.joinBy(token)
	if m := sock.message(t, typeJoined); fmt.Sprint(m["can"]) != "[join]" {
		t.Errorf("joined with %v", m["can"])
	}
	_, otherSock := b.joinBy(token)
	other := otherSock.message(t, typeJoined)["peer"].(string)
	for _, text := range []string{`{"type":"message","data":1}`, `{"type":"update","name":"x"}`, `{"type":"restart","to":"` + other + `"}`} {
		c.receive([]byte(text), true)
		if m := sock.message(t, typeError); m["code"] != string(CodeNotAllowed) || m["fatal"] != false {
			t.Errorf("%s: %v", text, m)
		}
	}
	c.receive([]byte(`{"type":"offer","to":"`+other+`","sdp":"v=0"}`), true)
	otherSock.message(t, typeOffer)
}

func TestATokenOfOneUse(t *testing.T) {
	b, token := withToken(t, Limits{}, TokenRequest{Can: CanAll, Once: true})
	c, sock := b.open()
	c.receive([]byte(`{"type":"join","room":"a b","token":"`+token+`"}`), true) // Does not use it up.
	sock.message(t, typeError)
	c.receive([]byte(`{"type":"join","room":"demo","token":"`+token+`"}`), true)
	session := sock.message(t, typeJoined)["session"].(string)
	_, sock = b.joinBy(token)
	if m := sock.message(t, typeError); m["code"] != string(CodeBadToken) || !strings.Contains(m["message"].(string), "used") {
		t.Errorf("a second join got %v", m)
	}
	b.end(c)
	again, sock := b.open()
	again.receive([]byte(`{"type":"join","room":"demo","session":"`+session+`","token":"`+token+`"}`), true)
	sock.message(t, typeJoined)
}

func TestATokenOfOneUseOutlivesARefusedJoin(t *testing.T) {
	b, token := withToken(t, Limits{RoomPeers: 1}, TokenRequest{Can: CanAll, Once: true})
	other, err := IssueToken(tokenKey, TokenRequest{Room: "demo", Can: CanAll, TTL: time.Minute}, b.clock.Time())
	if err != nil {
		t.Fatal(err)
	}
	first, sock := b.joinBy(other)
	sock.message(t, typeJoined)
	_, sock = b.joinBy(token)
	if m := sock.message(t, typeError); m["code"] != string(CodeRoomFull) {
		t.Errorf("got %v", m)
	}
	b.end(first)
	_, sock = b.joinBy(token)
	sock.message(t, typeJoined)
}

func TestSpentTokensAreBounded(t *testing.T) {
	var s spent
	for i := range maxSpent {
		if !s.spend(fmt.Sprint(i), noon, noon) {
			t.Fatalf("token %d refused", i)
		}
	}
	if s.spend("one more", noon, noon) {
		t.Error("more are remembered than allowed")
	}
	if !s.spend("later", noon, noon.Add(tokenLeeway+1)) || len(s.until) != 1 {
		t.Errorf("%d tokens remembered after they expired", len(s.until))
	}
}

func TestSeatsPerToken(t *testing.T) {
	b, token := withToken(t, Limits{TokenPeers: 2}, TokenRequest{Can: CanAll})
	first, sock := b.joinBy(token)
	sock.message(t, typeJoined)
	second, sock := b.joinBy(token)
	session := sock.message(t, typeJoined)["session"].(string)
	_, sock = b.joinBy(token)
	if m := sock.message(t, typeError); m["code"] != string(CodeTokenFull) || m["fatal"] != false {
		t.Errorf("a third got %v", m)
	}
	c, sock := b.open() // Takes the second one's seat over, so none is added.
	c.receive([]byte(`{"type":"join","room":"demo","session":"`+session+`","token":"`+token+`"}`), true)
	sock.message(t, typeJoined)
	if !second.isEnding() {
		t.Error("the second was not replaced")
	}
	b.end(first)
	_, sock = b.joinBy(token)
	sock.message(t, typeJoined)
}

func TestDeliveriesPerRoom(t *testing.T) {
	b := newBench(t, Config{Limits: Limits{RoomDeliveriesPerSecond: 4}})
	c, sock, _ := b.join("demo")
	_, otherSock, _ := b.join("demo")
	b.join("demo")
	for range 4 {
		say(c, "hello") // Two copies each: 8 at once.
		otherSock.message(t, typeMessage)
	}
	c.receive([]byte(`{"type":"message","id":"m5","data":1}`), true)
	if m := sock.message(t, typeError); m["code"] != string(CodeRateLimited) || m["re"] != "m5" {
		t.Errorf("got %v", m)
	}
	b.clock.Advance(500 * time.Millisecond)
	say(c, "again")
	otherSock.message(t, typeMessage)
}

func TestHeartbeatIsNegotiated(t *testing.T) {
	for hello, want := range map[string]float64{
		`{"type":"hello"}`:                                        1000,
		`{"type":"hello","class":"browser"}`:                      1000,
		`{"type":"hello","class":"native"}`:                       100,
		`{"type":"hello","heartbeat_ms":1}`:                       20,
		`{"type":"hello","heartbeat_ms":250}`:                     250,
		`{"type":"hello","heartbeat_ms":-1}`:                      1000,
		`{"type":"hello","heartbeat_ms":9223372036854775807}`:     5000,
		`{"type":"hello","class":"native","heartbeat_ms":100000}`: 5000,
	} {
		b := newBench(t, Config{})
		c, sock := b.open()
		c.receive([]byte(hello), true)
		if m := sock.message(t, typeWelcome); m["heartbeat_ms"] != want || m["seat_ms"] != 30000.0 {
			t.Errorf("%s: %v, want %v", hello, m, want)
		}
		c.receive([]byte(`{"type":"join","room":"demo"}`), true)
		if m := sock.message(t, typeJoined); m["heartbeat_ms"] != want {
			t.Errorf("%s: joined with %v", hello, m)
		}
		before := b.clock.Now()
		b.clock.AdvanceNext()
		sock.message(t, typePing)
		if passed := b.clock.Now().Sub(before); passed != time.Duration(want)*time.Millisecond {
			t.Errorf("%s: first ping after %v", hello, passed)
		}
	}
}

func TestHeartbeatOfAClassChanges(t *testing.T) {
	b := newBench(t, Config{})
	page, pageSock, _ := b.enter("demo")
	program, programSock := b.open()
	program.receive([]byte(`{"type":"hello","class":"native"}`), true)
	program.receive([]byte(`{"type":"join","room":"demo"}`), true)
	if n, err := b.server.SetHeartbeat(ClassNative, 300*time.Millisecond); n != 1 || err != nil {
		t.Errorf("changed %d, %v", n, err)
	}
	if m := programSock.message(t, typeHeartbeat); m["heartbeat_ms"] != 300.0 || page.currentPace() != time.Second {
		t.Errorf("got %v, the page has %v", m, page.currentPace())
	}
	if n, err := b.server.SetHeartbeat(ClassAll, 500*time.Millisecond); n != 2 || err != nil {
		t.Errorf("changed %d, %v", n, err)
	}
	pageSock.message(t, typeHeartbeat)
	programSock.message(t, typeHeartbeat)
	start := b.clock.Now()
	for beat := range 3 {
		b.clock.AdvanceNext() // Both have one grid: they joined at one instant.
		if at := b.clock.Now().Sub(start); at != time.Duration(beat+1)*500*time.Millisecond {
			t.Errorf("beat %d came after %v", beat+1, at)
		}
		for _, end := range []struct {
			c    *conn
			sock *fakeSocket
		}{{page, pageSock}, {program, programSock}} {
			end.c.receive(fmt.Appendf(nil, `{"type":"pong","seq":%v}`, end.sock.message(t, typePing)["seq"]), true)
		}
	}
	late, lateSock := b.open()
	late.receive([]byte(`{"type":"hello","class":"native"}`), true)
	if m := lateSock.message(t, typeWelcome); m["heartbeat_ms"] != 500.0 {
		t.Errorf("a later client got %v", m)
	}
	for class, interval := range map[Class]time.Duration{"toaster": time.Second, ClassAll: 0, ClassBrowser: 6 * time.Second} {
		if _, err := b.server.SetHeartbeat(class, interval); err == nil {
			t.Errorf("%s got %v", class, interval)
		}
	}
}

func TestAClientAsksForAnotherHeartbeat(t *testing.T) {
	b := newBench(t, Config{})
	c, sock, _ := b.enter("demo")
	c.receive([]byte(`{"type":"heartbeat","heartbeat_ms":2}`), true)
	if m := sock.message(t, typeHeartbeat); m["heartbeat_ms"] != 20.0 || c.currentPace() != 20*time.Millisecond {
		t.Errorf("got %v", m)
	}
	next, _ := b.clock.Next()
	if next.Sub(b.clock.Now()) != 20*time.Millisecond {
		t.Errorf("the next ping comes after %v", next.Sub(b.clock.Now()))
	}
}

func TestBeatsTellTheirLateness(t *testing.T) {
	told := make(chan time.Duration, 1)
	b := newBench(t, Config{BeatWritten: func(late time.Duration) { told <- late }})
	_, sock, _ := b.join("demo")
	b.clock.AdvanceNext()
	sock.message(t, typePing)
	if late := <-told; late != 0 {
		t.Errorf("late by %v on the manual clock", late)
	}
}

func TestDrainIsSpread(t *testing.T) {
	b := newBench(t, Config{DrainSpread: time.Second, Heartbeat: 5 * time.Second})
	var conns []*conn
	var socks []*fakeSocket
	for range 5 {
		c, sock, _ := b.enter("demo")
		conns, socks = append(conns, c), append(socks, sock)
	}
	done := make(chan error)
	start := b.clock.Now()
	go func() { done <- b.server.Shutdown(patient(t)) }()
	for i, sock := range socks {
		m := sock.message(t, typeBye)
		if m["closing_in_ms"] != float64(250*i) || m["retry_after_ms"] != 1000.0 || m["reason"] != "shutdown" {
			t.Errorf("client %d was told %v", i, m)
		}
	}
	say(conns[4], "still there?")
	for i, sock := range socks {
		if i < 4 {
			sock.message(t, typeMessage)
		}
		b.clock.AdvanceTo(start.Add(time.Duration(i) * 250 * time.Millisecond))
		sock.closedWith(t, closeRestart, "shutdown")
		if i < 4 && conns[i+1].isEnding() {
			t.Errorf("client %d ends too early", i+1)
		}
		b.end(conns[i])
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, sock := range socks {
		sock.mu.Lock()
		for _, text := range sock.sent {
			if kind := object(text)["type"]; kind == typePeerAway || kind == typePeerLeft {
				t.Errorf("heard of the others' going: %s", text)
			}
		}
		sock.mu.Unlock()
	}
}

// TestTimersAreReleasedOver100000Connections opens, joins, beats and closes, in every way in which a connection ends.
func TestTimersAreReleasedOver100000Connections(t *testing.T) {
	const connections, rooms = 100_000 / raceFactor, 16
	b := newBench(t, Config{Credentials: issuer(time.Minute), Limits: Limits{Off: true, SeatHold: time.Second}})
	addr := joinAddress
	for i := range connections {
		b.server.gate.open(addr.Addr(), b.clock.Now())
		c := b.server.attach(func() link { return quietSocket{} }, addr, "tb.example")
		if i%5 > 0 {
			c.receive([]byte(`{"type":"hello","class":"native"}`), true)
		}
		if i%5 > 1 {
			c.receive(fmt.Appendf(nil, `{"type":"join","room":"r%d"}`, i%rooms), true)
		}
		if i%7 == 0 {
			b.clock.Advance(100 * time.Millisecond)
		}
		switch i % 3 {
		case 0:
			b.server.drop(c, ReasonTimeout, farewell{code: closePolicy})
		case 1:
			c.receive([]byte(`{"type":"leave"}`), true)
		}
		b.server.detach(c, nil)
		b.server.release(c)
	}
	b.clock.Advance(2 * time.Second)
	if n := b.clock.Pending(); n != 0 {
		t.Errorf("%d timers are armed after %d connections", n, connections)
	}
	h := b.server.hub
	if len(h.conns) != 0 || len(h.seats) != 0 || len(h.rooms) != 0 || len(h.tokens) != 0 || len(b.server.gate.networks) != 0 {
		t.Errorf("left behind: %d connections, %d seats, %d rooms, %d tokens, %d networks",
			len(h.conns), len(h.seats), len(h.rooms), len(h.tokens), len(b.server.gate.networks))
	}
}

// quietSocket takes everything and keeps nothing.
type quietSocket struct{}

func (quietSocket) TryWrite(frames []byte) (int, error) { return len(frames), nil }
func (quietSocket) Write([]byte) error                  { return nil }
func (quietSocket) CloseWrite()                         {}
func (quietSocket) Cut()                                {}
