package signaling

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// enter opens a connection whose client says hello, and joins.
func (b *bench) enter(room string) (*conn, *fakeSocket, map[string]any) {
	b.t.Helper()
	c, sock := b.hello()
	c.receive([]byte(`{"type":"join","room":"`+room+`"}`), true)
	return c, sock, sock.message(b.t, typeJoined)
}

func (b *bench) hello() (*conn, *fakeSocket) {
	b.t.Helper()
	c, sock := b.open()
	c.receive([]byte(`{"type":"hello"}`), true)
	sock.message(b.t, typeWelcome)
	return c, sock
}

// resume asks for a session on a connection of its own and returns the answer.
func (b *bench) resume(session any, last int) (*conn, *fakeSocket, map[string]any) {
	b.t.Helper()
	c, sock := b.hello()
	c.receive(fmt.Appendf(nil, `{"type":"resume","id":"r","session":%q,"last":%d}`, session, last), true)
	var answer map[string]any
	sock.await(b.t, "the answer to a resume", func() bool {
		if len(sock.sent) > 0 {
			answer = object(sock.sent[0])
			sock.sent = sock.sent[1:]
			return true
		}
		return false
	})
	return c, sock, answer
}

// say sends a room message with some text.
func say(c *conn, text string) { c.receive([]byte(`{"type":"message","data":"`+text+`"}`), true) }

func TestADroppedSocketKeepsItsSeat(t *testing.T) {
	b := newBench(t, Config{})
	ada, adaSock, adaJoined := b.enter("demo")
	bob, bobSock, _ := b.enter("demo")
	if n := adaSock.message(t, typePeerJoined)["n"]; n != 1.0 {
		t.Errorf("the first news has number %v", n)
	}
	b.end(ada)
	away := bobSock.message(t, typePeerAway)
	if away["peer"] != adaJoined["peer"] || away["reason"] != "closed" || away["seat_ms"] != 30000.0 {
		t.Errorf("the other heard %v", away)
	}
	say(bob, "one")
	say(bob, "two")
	_, sock, resumed := b.resume(adaJoined["session"], 1)
	if resumed["type"] != typeResumed || resumed["replayed"] != 2.0 || resumed["peer"] != adaJoined["peer"] ||
		resumed["session"] == adaJoined["session"] {
		t.Fatalf("resumed with %v", resumed)
	}
	say(bob, "three")
	for i, want := range []string{"one", "two", "three"} {
		if m := sock.message(t, typeMessage); m["data"] != want || m["n"] != float64(i+2) {
			t.Errorf("got %v, want %q with number %d", m, want, i+2)
		}
	}
	if m := bobSock.message(t, typePeerBack); m["peer"] != adaJoined["peer"] {
		t.Errorf("the other heard %v", m)
	}
	if s := b.server.Stats(); s.Resumed != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestASeatIsGivenUpInTime(t *testing.T) {
	b := newBench(t, Config{Limits: Limits{SeatHold: 30 * time.Second}, Heartbeat: 5 * time.Second})
	ada, _, adaJoined := b.enter("demo")
	_, bobSock, _ := b.join("demo")
	b.end(ada)
	bobSock.message(t, typePeerAway)
	for range 29 {
		b.clock.Advance(time.Second)
		answerPings(t, b, bobSock)
	}
	if peers := b.server.Rooms()[0].Peers; len(peers) != 2 || !peers[0].Away || peers[1].Away {
		t.Fatalf("peers %+v", peers)
	}
	b.clock.Advance(time.Second)
	if left := bobSock.message(t, typePeerLeft); left["peer"] != adaJoined["peer"] || left["reason"] != "closed" {
		t.Errorf("the other heard %v", left)
	}
	_, _, refused := b.resume(adaJoined["session"], 0)
	if refused["code"] != string(CodeSessionGone) || refused["fatal"] != false || refused["re"] != "r" {
		t.Errorf("a late resume got %v", refused)
	}
}

// answerPings answers what a fake socket was asked.
func answerPings(t *testing.T, b *bench, sock *fakeSocket) {
	t.Helper()
	for _, c := range b.server.hub.open() {
		if c.sock != sock {
			continue
		}
		c.mu.Lock()
		seq := c.heart.seq
		c.mu.Unlock()
		c.receive(fmt.Appendf(nil, `{"type":"pong","seq":%d}`, seq), true)
	}
}

func TestWithoutHelloASeatEndsWithItsSocket(t *testing.T) {
	b := newBench(t, Config{})
	old, sock, joined := b.join("demo")
	_, otherSock, _ := b.enter("demo")
	if m := sock.message(t, typePeerJoined); m["n"] != nil || joined["seat_ms"] != 0.0 {
		t.Errorf("a client without a session got %v and %v", joined, m)
	}
	b.end(old)
	otherSock.message(t, typePeerLeft)
}

func TestASecondSocketTakesOver(t *testing.T) {
	b := newBench(t, Config{})
	_, firstSock, joined := b.enter("demo")
	bob, bobSock, _ := b.enter("demo")
	_, sock, resumed := b.resume(joined["session"], 1)
	if resumed["type"] != typeResumed || resumed["replayed"] != 0.0 {
		t.Fatalf("resumed with %v", resumed)
	}
	firstSock.closedWith(t, closeReplaced, "replaced")
	say(bob, "hello")
	if m := sock.message(t, typeMessage); m["n"] != 2.0 {
		t.Errorf("got %v", m)
	}
	bobSock.mu.Lock()
	defer bobSock.mu.Unlock()
	for _, text := range bobSock.sent {
		if kind := object(text)["type"]; kind != typePing {
			t.Errorf("the other noticed: %s", text)
		}
	}
}

func TestASessionServesOnce(t *testing.T) {
	b := newBench(t, Config{})
	_, _, joined := b.enter("demo")
	_, _, first := b.resume(joined["session"], 0)
	// The answer may have got lost, so the same one serves again until the next one is proved to have arrived.
	again, sock, second := b.resume(joined["session"], 0)
	if first["type"] != typeResumed || second["type"] != typeResumed {
		t.Fatalf("got %v and %v", first, second)
	}
	b.clock.Advance(time.Second)
	again.receive(fmt.Appendf(nil, `{"type":"pong","seq":%v,"last":0}`, sock.message(t, typePing)["seq"]), true)
	for name, stolen := range map[string]any{"of the join": joined["session"], "of the first resume": first["session"]} {
		_, thief, refused := b.resume(stolen, 0)
		if refused["code"] != string(CodeSessionUsed) || refused["fatal"] != false {
			t.Errorf("the session %s got %v", name, refused)
		}
		thief.mu.Lock()
		if thief.code != 0 {
			t.Errorf("closed with %d", thief.code)
		}
		thief.mu.Unlock()
	}
	if again.isEnding() {
		t.Error("the owner lost its connection")
	}
	if _, _, third := b.resume(second["session"], 0); third["type"] != typeResumed {
		t.Errorf("the latest session got %v", third)
	}
}

func TestStolenSessionsDoNotJoin(t *testing.T) {
	b := newBench(t, Config{})
	owner, sock, joined := b.enter("demo")
	stolen := joined["session"]
	owner, sock, resumed := b.resume(stolen, 0)
	b.clock.Advance(time.Second)
	owner.receive(fmt.Appendf(nil, `{"type":"pong","seq":%v,"last":0}`, sock.message(t, typePing)["seq"]), true)
	thief, thiefSock := b.open()
	thief.receive(fmt.Appendf(nil, `{"type":"join","room":"demo","session":%q}`, stolen), true)
	if m := thiefSock.message(t, typeJoined); m["peer"] == joined["peer"] || owner.isEnding() {
		t.Errorf("the thief is %v, the owner %v", m["peer"], joined["peer"])
	}
	_, _, again := b.resume(resumed["session"], 1)
	if again["type"] != typeResumed {
		t.Errorf("the owner got %v", again)
	}
}

func TestResumesThatAreRefused(t *testing.T) {
	key := []byte("session key")
	b := newBench(t, Config{SessionKey: key, Limits: Limits{ReplayMessages: 2, JoinsPerSecond: 1000}})
	ada, _, joined := b.enter("demo")
	bob, _, _ := b.enter("demo")
	old := session{room: "demo", peer: "x", expires: b.clock.Time()}.sign(key)
	foreign := session{room: "demo", peer: "x", expires: b.clock.Time().Add(time.Hour)}.sign([]byte("another"))
	for name, test := range map[string]struct {
		session any
		last    int
		code    Code
	}{
		"made up":      {"c2Vzc2lvbg.c2Vz", 0, CodeBadSession},
		"foreign":      {foreign, 0, CodeBadSession},
		"expired":      {old, 0, CodeBadSession},
		"future":       {joined["session"], 99, CodeReplayLost},
		"no text":      {"", 0, CodeBadMessage},
		"another room": {session{room: "x", peer: "x", expires: b.clock.Time().Add(time.Hour)}.sign(key), 0, CodeSessionGone},
	} {
		if _, _, m := b.resume(test.session, test.last); m["code"] != string(test.code) || m["fatal"] != false || m["remedy"] == "" {
			t.Errorf("%s: got %v, want %s", name, m, test.code)
		}
	}
	b.end(ada)
	for range 3 {
		say(bob, "missed")
	}
	c, sock, m := b.resume(joined["session"], 1)
	if m["code"] != string(CodeReplayLost) {
		t.Errorf("after too much was missed: %v", m)
	}
	c.receive(fmt.Appendf(nil, `{"type":"join","room":"demo","session":%q}`, joined["session"]), true)
	if m := sock.message(t, typeJoined); m["peer"] != joined["peer"] {
		t.Errorf("joined again as %v, was %v", m["peer"], joined["peer"])
	}
}

func TestResumeAfterTheReplayRanOver(t *testing.T) {
	b := newBench(t, Config{Limits: Limits{ReplayBytes: 1000}})
	ada, _, joined := b.enter("demo")
	bob, _, _ := b.enter("demo")
	b.end(ada)
	say(bob, long(900))
	say(bob, long(100))
	if _, _, m := b.resume(joined["session"], 1); m["code"] != string(CodeReplayLost) {
		t.Errorf("got %v", m)
	}
	if _, _, m := b.resume(joined["session"], 2); m["type"] != typeResumed || m["replayed"] != 1.0 {
		t.Errorf("what is kept was not given: %v", m)
	}
}

func TestAcknowledgedMessagesAreForgotten(t *testing.T) {
	b := newBench(t, Config{})
	c, sock, _ := b.enter("demo")
	b.enter("demo")
	if len(c.mine.replay.kept) != 1 {
		t.Fatalf("%d messages kept, want the news of the second peer", len(c.mine.replay.kept))
	}
	b.clock.Advance(time.Second)
	c.receive(fmt.Appendf(nil, `{"type":"pong","seq":%v,"last":1}`, sock.message(t, typePing)["seq"]), true)
	if c.mine.replay.kept != nil || c.mine.replay.bytes != 0 {
		t.Errorf("kept %d messages of %d bytes", len(c.mine.replay.kept), c.mine.replay.bytes)
	}
}

func TestWhatAClientSendsTwiceIsPassedOver(t *testing.T) {
	b := newBench(t, Config{})
	ada, _, joined := b.enter("demo")
	_, bobSock, _ := b.enter("demo")
	numbered := func(c *conn, n int) {
		c.receive(fmt.Appendf(nil, `{"type":"message","n":%d,"data":%d}`, n, n), true)
	}
	numbered(ada, 1)
	numbered(ada, 2)
	ada.receive([]byte(`{"type":"offer","n":3,"to":"nobody","sdp":"v=0"}`), true) // Refused, but seen.
	b.end(ada)
	again, _, resumed := b.resume(joined["session"], 1)
	if resumed["got"] != 3.0 {
		t.Errorf("got %v, want 3", resumed["got"])
	}
	numbered(again, 2)
	numbered(again, 4)
	for _, want := range []float64{1, 2, 4} {
		if m := bobSock.message(t, typeMessage); m["data"] != want {
			t.Errorf("got %v, want %v", m["data"], want)
		}
	}
}

func TestSlowReaderKeepsItsSeat(t *testing.T) {
	b := newBench(t, Config{Limits: Limits{QueueMessages: 8, MessagesPerSecond: 1e6, MessageBurst: 1e6}})
	slow, slowSock, joined := b.enter("demo")
	fast, fastSock, _ := b.enter("demo")
	slowSock.message(t, typePeerJoined)
	slowSock.mu.Lock()
	slowSock.stalled = true
	slowSock.mu.Unlock()
	for i := 0; !slow.isEnding(); i++ {
		say(fast, fmt.Sprint(i))
	}
	if m := fastSock.message(t, typePeerAway); m["peer"] != joined["peer"] || m["reason"] != "slow" {
		t.Errorf("the other heard %v", m)
	}
	b.clock.Advance(lingerTime)
	slowSock.await(t, "the cut", func() bool { return slowSock.aborted })
	if _, _, m := b.resume(joined["session"], 2); m["code"] != nil && m["code"] != string(CodeReplayLost) {
		t.Errorf("got %v", m)
	}
}

func TestSessionsAreSigned(t *testing.T) {
	key := []byte("session key")
	s := session{room: "demo", peer: "peer1", generation: 7, token: 1 << 63, can: CanAll, expires: noon.Add(time.Hour)}
	text := s.sign(key)
	if len(text) > maxSessionBytes {
		t.Errorf("%d bytes", len(text))
	}
	if got, ok := parseSession(key, text, noon); !ok || !got.expires.Equal(s.expires) || got.can != s.can ||
		got.peer != s.peer || got.room != s.room || got.generation != s.generation || got.token != s.token {
		t.Errorf("got %+v, %v", got, ok)
	}
	fields, proof, _ := strings.Cut(text, ".")
	other, _, _ := strings.Cut(session{room: "demo", peer: "peer2", expires: s.expires}.sign(key), ".")
	for name, bad := range map[string]struct {
		key  []byte
		text string
		now  time.Time
	}{
		"other key":   {[]byte("another"), text, noon},
		"other peer":  {key, other + "." + proof, noon},
		"cut":         {key, text[:len(text)-1], noon},
		"longer":      {key, text + text[len(text)-1:], noon},
		"no proof":    {key, fields + ".", noon},
		"fields only": {key, fields, noon},
		"empty":       {key, "", noon},
		"not base64":  {key, "!!!." + proof, noon},
		"expired":     {key, text, noon.Add(time.Hour)},
	} {
		if got, ok := parseSession(bad.key, bad.text, bad.now); ok {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

func FuzzParsePong(f *testing.F) {
	for _, text := range []string{`{"type":"pong","seq":17,"last":41}`, `{"type":"pong","seq":0}`, `{"type":"pong","seq":01}`} {
		f.Add([]byte(text))
	}
	limits := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, text []byte) {
		seq, last, ok := parsePong(text)
		if !ok {
			return
		}
		slow, refusal := decode(text, limits)
		if refusal != nil || slow.Type != typePong || slow.Seq != seq || slow.Last != last {
			t.Errorf("%s: quick %d and %d, slow %+v, %v", text, seq, last, slow, refusal)
		}
	})
}

func TestPlainPongsAreReadQuickly(t *testing.T) {
	for text, want := range map[string]bool{
		`{"type":"pong","seq":17,"last":41}`: true, `{"type":"pong","seq":0}`: true, `{"type":"pong","seq":1,"last":01}`: false,
		`{"type":"pong","seq":}`: false, `{"type":"pong","seq":1`: false, `{"type":"pong","seq":1,"x":1}`: false,
		`{"type":"pong","seq":-1}`: false, `{"type":"pong","seq":1234567890123456789}`: false, `{"type":"pong"}`: false,
	} {
		if _, _, ok := parsePong([]byte(text)); ok != want {
			t.Errorf("%s: quick %v", text, ok)
		}
	}
}

// FuzzReplay compares replay with a list that keeps everything.
func FuzzReplay(f *testing.F) {
	f.Add([]byte{1, 1, 0x80, 1, 0xc1})
	f.Fuzz(func(t *testing.T, script []byte) {
		limits := Limits{ReplayMessages: 5, ReplayBytes: 40}
		var r replay
		var all [][]byte
		for _, op := range script {
			if value := op & 0x3f; op < 0x80 {
				text, _ := json.Marshal(strings.Repeat("x", int(value)))
				all = append(all, text)
				if n := r.add(text, limits); n != uint64(len(all)) {
					t.Fatalf("number %d, want %d", n, len(all))
				}
			} else {
				r.acknowledge(uint64(value))
			}
			if len(r.kept) > limits.ReplayMessages || r.bytes > limits.ReplayBytes || (len(r.kept) == 0) != (r.kept == nil) {
				t.Fatalf("keeps %d messages of %d bytes", len(r.kept), r.bytes)
			}
			for last := range len(all) + 2 {
				texts, ok := r.since(uint64(last))
				if ok && (last > len(all) || fmt.Sprintf("%s", texts) != fmt.Sprintf("%s", all[last:])) {
					t.Fatalf("since %d: %s of %s", last, texts, all)
				}
			}
		}
	})
}
