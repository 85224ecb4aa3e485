package signaling

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// neighbours are two peers of one room who want to go on talking whatever a third does.
type neighbours struct {
	t        *testing.T
	ada, bob *client
	said     int
}

func (h *host) neighbours(room string) *neighbours {
	h.t.Helper()
	ada, _ := h.join(room, "")
	bob, _ := h.join(room, "")
	ada.message(typePeerJoined)
	return &neighbours{t: h.t, ada: ada, bob: bob}
}

// undisturbed has each say something to the other: it is the very next thing that either hears.
func (n *neighbours) undisturbed() {
	n.t.Helper()
	n.said++
	for _, pair := range [][2]*client{{n.ada, n.bob}, {n.bob, n.ada}} {
		pair[0].send(fmt.Sprintf(`{"type":"message","data":%d}`, n.said))
		if m := pair[1].message(typeMessage); m["data"] != float64(n.said) {
			n.t.Errorf("a neighbour heard %v, want %d", m, n.said)
		}
	}
}

func TestBadMessagesOnRealSockets(t *testing.T) {
	h := newHost(t, Config{})
	n := h.neighbours("demo")
	c, _ := h.join("elsewhere", "")
	for text, code := range map[string]Code{
		`{"type":"offer",`:                          CodeBadMessage,
		`[]`:                                        CodeBadMessage,
		`{"id":"7"}`:                                CodeBadMessage,
		`{"id":"7","type":5}`:                       CodeBadMessage,
		`{"id":"7","type":"offer","to":{}}`:         CodeBadMessage,
		`{"id":"7","type":"message"}`:               CodeBadMessage,
		`{"id":"7","type":"stats","stats":[]}`:      CodeBadMessage,
		`{"id":"7","type":"stats"}`:                 CodeBadMessage,
		`{"id":"7","type":"update","metadata":1}`:   CodeBadMessage,
		`{"id":"7","type":"hello","class":"x"}`:     CodeBadMessage,
		`{"id":"7","type":"hello"}`:                 CodeBadMessage,
		`{"id":"7","type":"resume"}`:                CodeBadMessage,
		`{"id":"7","type":"resume","session":"x"}`:  CodeAlreadyJoined,
		`{"id":"7","type":"join","room":"demo"}`:    CodeAlreadyJoined,
		`{"id":"7","type":"sing"}`:                  CodeUnknownType,
		`{"id":"7","type":"restart","to":"nobody"}`: CodeUnknownPeer,
		`{"id":"7","type":"restart","to":"x","reason":"` + long(65) + `"}`:  CodeTooLarge,
		`{"id":"7","type":"message","data":"` + long(16<<10) + `"}`:         CodeTooLarge,
		`{"id":"7","type":"stats","stats":{"x":"` + long(4<<10) + `"}}`:     CodeTooLarge,
		`{"id":"7","type":"update","metadata":{"x":"` + long(4<<10) + `"}}`: CodeTooLarge,
		`{"id":"` + long(65) + `","type":"ice-servers"}`:                    CodeTooLarge,
	} {
		c.send(text)
		m := c.message(typeError)
		if m["code"] != string(code) || m["fatal"] != false || m["message"] == "" || m["remedy"] == "" {
			t.Errorf("%.60s: got %v, want %s", text, m, code)
		}
		if want := map[bool]any{true: "7", false: nil}[bytes.HasPrefix([]byte(text), []byte(`{"id":"7"`))]; m["re"] != want {
			t.Errorf("%.60s: about %v, want %v", text, m["re"], want)
		}
	}
	c.send(`{"type":"ice-servers","unknown":{"field":[1]}}`)
	c.message(typeICEServers)
	n.undisturbed()
}

func TestAMegabyteIsRefused(t *testing.T) {
	h := newHost(t, Config{})
	n := h.neighbours("demo")
	c, _ := h.join("elsewhere", "")
	_ = c.ws.Write(patient(t), websocket.MessageText, bytes.Repeat([]byte("x"), 1<<20))
	c.closed(websocket.StatusMessageTooBig, "")
	n.undisturbed()
}

func TestTenThousandMessagesInABurst(t *testing.T) {
	h := newHost(t, Config{})
	n := h.neighbours("demo")
	c, _ := h.join("elsewhere", "")
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		ctx := patient(t)
		for range 10_000 {
			if c.ws.Write(ctx, websocket.MessageText, []byte(`{"type":"message","data":"spam"}`)) != nil {
				return
			}
		}
	}()
	for range 5 {
		n.undisturbed()
	}
	first := c.message(typeError)
	last := first
	for last["fatal"] == false { // One for each time that the rate allowed a message again.
		last = c.message(typeError)
	}
	if first["fatal"] != false || first["code"] != string(CodeRateLimited) || last["code"] != string(CodeRateLimited) {
		t.Errorf("got %v, at last %v", first, last)
	}
	c.closed(websocket.StatusPolicyViolation, "rate-limited")
	<-flooded
	n.undisturbed()
}

func TestAThousandJoinsToOneRoom(t *testing.T) {
	h := newHost(t, Config{Limits: Limits{JoinsPerSecond: 1e6, Unjoined: 1e6}})
	n := h.neighbours("demo")
	joined, refused := 0, 0
	for i := range 1000 {
		if i%100 == 0 {
			n.undisturbed() // They also answer their pings, however long all this takes.
		}
		c, err := dialRaw(h.http.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = c.Write(frame(0x81, []byte(`{"type":"join","room":"crowd"}`)))
		text, err := c.nextText()
		switch m := object(text); {
		case err != nil:
			t.Fatal(err)
		case m["type"] == typeJoined:
			joined++
		case m["code"] == string(CodeRoomFull) && m["fatal"] == false:
			refused++
		default:
			t.Fatalf("got %s", text)
		}
	}
	if joined != 64 || refused != 936 {
		t.Errorf("%d joined, %d were told that the room is full", joined, refused)
	}
	n.undisturbed()
}

// nextText reads the next text frame.
func (c rawClient) nextText() (string, error) {
	for {
		first, payload, err := c.frame()
		if err != nil || first == 0x81 {
			return string(payload), err
		}
	}
}

func TestAHalfOpenSocketIsNoticed(t *testing.T) {
	h := newHost(t, Config{Limits: Limits{SeatHold: 200 * time.Millisecond}})
	n := h.neighbours("demo")
	vanished, err := dialRaw(h.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer vanished.Close()
	_, _ = vanished.Write(append(frame(0x81, []byte(`{"type":"hello","heartbeat_ms":20}`)),
		frame(0x81, []byte(`{"type":"join","room":"demo"}`))...))
	for _, c := range []*client{n.ada, n.bob} {
		c.message(typePeerJoined)
		// Nothing comes from it any more, and its TCP connection stays open: only the beats tell.
		if m := c.message(typePeerAway); m["reason"] != "timeout" {
			t.Errorf("heard %v", m)
		}
		if m := c.message(typePeerLeft); m["reason"] != "timeout" {
			t.Errorf("heard %v", m)
		}
	}
	if code, err := vanished.closeCode(); code != closePolicy && err == nil {
		t.Errorf("closed with %d", code)
	}
	n.undisturbed()
}

func TestAHalfClosedSocketIsNoticed(t *testing.T) {
	h := newHost(t, Config{})
	n := h.neighbours("demo")
	c, err := dialRaw(h.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write(frame(0x81, []byte(`{"type":"join","room":"demo"}`)))
	n.ada.message(typePeerJoined)
	n.bob.message(typePeerJoined)
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	n.ada.message(typePeerLeft)
	n.bob.message(typePeerLeft)
	n.undisturbed()
}

func TestAStolenSessionOnRealSockets(t *testing.T) {
	h := newHost(t, Config{})
	n := h.neighbours("demo")
	owner := h.dial()
	owner.send(`{"type":"hello","heartbeat_ms":20}`)
	owner.message(typeWelcome)
	owner.send(`{"type":"join","room":"elsewhere"}`)
	stolen := owner.message(typeJoined)["session"].(string)
	_ = owner.ws.CloseNow()

	owner = h.resume(stolen, 0)
	owner.message(typeResumed)
	owner.send(`{"type":"pong","seq":1}`)
	for answered := false; !answered; { // A pong proves that the next session has arrived.
		_, text, err := owner.ws.Read(patient(t))
		if err != nil {
			t.Fatal(err)
		}
		if m := object(string(text)); m["type"] == typePing {
			owner.send(fmt.Sprintf(`{"type":"pong","seq":%v,"last":0}`, m["seq"]))
			answered = true
		}
	}
	owner.send(`{"type":"ice-servers"}`)
	owner.message(typeICEServers)
	for session, code := range map[string]Code{stolen: CodeSessionUsed, "x" + stolen[1:]: CodeBadSession} {
		if m := h.resume(session, 0).message(typeError); m["code"] != string(code) || m["fatal"] != false {
			t.Errorf("the thief got %v, want %s", m, code)
		}
	}
	owner.send(`{"type":"ice-servers"}`)
	owner.message(typeICEServers)
	n.undisturbed()
}

// resume opens a connection and asks for a session on it.
func (h *host) resume(session string, last int) *client {
	h.t.Helper()
	c := h.dial()
	c.send(`{"type":"hello"}`)
	c.message(typeWelcome)
	c.send(fmt.Sprintf(`{"type":"resume","session":%q,"last":%d}`, session, last))
	return c
}

func TestForgedSendersAreReplaced(t *testing.T) {
	h := newHost(t, Config{})
	n := h.neighbours("demo")
	mallory, joined := h.join("demo", "")
	n.ada.message(typePeerJoined)
	n.bob.message(typePeerJoined)
	for _, kind := range []string{typeMessage, typePeerLeft, typePeerUpdated, typeJoined, typePing, typeBye} {
		mallory.send(`{"type":"` + kind + `","n":1000,"from":"forged","peer":"forged","direct":true,"data":1}`)
		if kind != typeMessage {
			if m := mallory.message(typeError); m["code"] != string(CodeUnknownType) {
				t.Errorf("%s: got %v", kind, m)
			}
			continue
		}
		for _, c := range []*client{n.ada, n.bob} {
			if m := c.message(typeMessage); m["from"] != joined["peer"] || m["direct"] != nil || m["n"] != nil || m["peer"] != nil {
				t.Errorf("a neighbour heard %v", m)
			}
		}
	}
	n.undisturbed()
}

func TestCrossSiteWebSocketsAreRefused(t *testing.T) {
	h := newHost(t, Config{LoopbackOnly: true})
	n := h.neighbours("demo")
	for _, header := range []http.Header{
		{"Origin": {"https://evil.example"}}, {"Origin": {"null"}}, {"Origin": {h.http.URL, "https://evil.example"}},
		{"Origin": {h.http.URL + ".evil.example"}},
	} {
		_, answer, err := websocket.Dial(patient(t), h.http.URL+"/ws", &websocket.DialOptions{
			Subprotocols: []string{Subprotocol}, HTTPHeader: header,
		})
		if err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
			t.Errorf("%v: %v", header, errors.Join(err))
		}
	}
	n.undisturbed()
}
