package signaling

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
)

// host is a server on a loopback port and on the package-time clock.
type host struct {
	t      *testing.T
	server *Server
	http   *httptest.Server
}

// newHost starts a server whose beats are as rare as they may be, unless the test asks for others: a client that stands
// still with the machine, or does not read for a while, is not taken for lost.
func newHost(t *testing.T, config Config) *host {
	t.Helper()
	config.OpenRooms = true
	if config.Heartbeat == 0 {
		config.Heartbeat = 5 * time.Second
	}
	h := &host{t: t, server: New(config)}
	e := echo.New()
	h.server.Register(e)
	h.http = httptest.NewServer(e)
	t.Cleanup(func() {
		_ = h.shutdown()
		h.http.Close()
	})
	return h
}

// shutdown cuts clients that do not close within a second.
func (h *host) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return h.server.Shutdown(ctx)
}

// client is a peer that speaks the protocol through another WebSocket library than the server.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (h *host) dial() *client {
	h.t.Helper()
	ws, _, err := websocket.Dial(patient(h.t), h.http.URL+"/ws", &websocket.DialOptions{Subprotocols: []string{Subprotocol}})
	if err != nil {
		h.t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	h.t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{h.t, ws}
}

func (h *host) join(room, session string) (*client, map[string]any) {
	h.t.Helper()
	c := h.dial()
	c.send(fmt.Sprintf(`{"type":"join","room":%q,"session":%q}`, room, session))
	return c, c.message(typeJoined)
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(patient(c.t), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// message returns the next message, which is to be of a type; pings are answered on the way.
func (c *client) message(kind string) map[string]any {
	c.t.Helper()
	for {
		_, text, err := c.ws.Read(patient(c.t))
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", kind, err)
		}
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			c.t.Fatal(err)
		}
		if m["type"] == typePing {
			c.send(fmt.Sprintf(`{"type":"pong","seq":%v}`, m["seq"]))
			continue
		}
		if m["type"] != kind {
			c.t.Fatalf("got %s, want %s", text, kind)
		}
		return m
	}
}

// closed reads until the close frame, which is to have a code and a reason.
func (c *client) closed(code websocket.StatusCode, reason string) {
	c.t.Helper()
	ctx := patient(c.t)
	for {
		_, _, err := c.ws.Read(ctx)
		if err == nil {
			continue
		}
		var end websocket.CloseError
		if !errors.As(err, &end) || end.Code != code || reason != "" && end.Reason != reason {
			c.t.Errorf("ended with %v, want close %d %q", err, code, reason)
		}
		return
	}
}

func TestTwoPeersMeet(t *testing.T) {
	h := newHost(t, Config{ServerID: "s1", Credentials: issuer(time.Minute)})
	ada, adaJoined := h.join("demo", "")
	bob, bobJoined := h.join("demo", "")
	a, b := adaJoined["peer"].(string), bobJoined["peer"].(string)
	if adaJoined["server"] != "s1" || adaJoined["heartbeat_ms"] != 5000.0 || len(adaJoined["peers"].([]any)) != 0 {
		t.Errorf("first joined %v", adaJoined)
	}
	if urls := fmt.Sprint(adaJoined["ice_servers"]); !strings.Contains(urls, "turn:127.0.0.1:3478") {
		t.Errorf("ICE servers %s", urls)
	}
	known := bobJoined["peers"].([]any)[0].(map[string]any)
	if known["id"] != a || known["polite"] != true {
		t.Errorf("second joined %v", bobJoined)
	}
	if m := ada.message(typePeerJoined)["peer"].(map[string]any); m["id"] != b || m["polite"] != false {
		t.Errorf("first heard of %v", m)
	}

	bob.send(`{"type":"offer","to":"` + a + `","from":"forged","sdp":"v=0<&>"}`)
	if m := ada.message(typeOffer); m["from"] != b || m["sdp"] != "v=0<&>" || m["to"] != nil {
		t.Errorf("offer %v", m)
	}
	ada.send(`{"type":"answer","to":"` + b + `","sdp":"v=0"}`)
	if m := bob.message(typeAnswer); m["from"] != a {
		t.Errorf("answer %v", m)
	}
	bob.send(`{"type":"candidate","to":"` + a + `","candidate":{"candidate":"c","sdpMLineIndex":0}}`)
	if m := ada.message(typeCandidate); fmt.Sprint(m["candidate"]) != "map[candidate:c sdpMLineIndex:0]" {
		t.Errorf("candidate %v", m)
	}
	bob.send(`{"type":"candidate","to":"` + a + `","candidate":null}`)
	if m := ada.message(typeCandidate); m["candidate"] != nil || len(m) != 3 {
		t.Errorf("end of candidates %v", m)
	}

	bob.send(`{"type":"leave"}`)
	if m := ada.message(typePeerLeft); m["peer"] != b || m["reason"] != "left" {
		t.Errorf("peer left %v", m)
	}
	bob.closed(1000, "left")
}

func TestAbruptEndIsSeenAtOnce(t *testing.T) {
	h := newHost(t, Config{})
	ada, _ := h.join("demo", "")
	bob, joined := h.join("demo", "")
	ada.message(typePeerJoined)
	_ = bob.ws.CloseNow()
	// What is noticed by missing beats only has the reason "timeout".
	if m := ada.message(typePeerLeft); m["peer"] != joined["peer"] || m["reason"] != "closed" {
		t.Errorf("peer left %v", m)
	}
}

func TestClosingHandshake(t *testing.T) {
	h := newHost(t, Config{})
	c, _ := h.join("demo", "")
	if err := c.ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

func TestFarewellOverTLS(t *testing.T) {
	h := &host{t: t, server: New(Config{OpenRooms: true})}
	e := echo.New()
	h.server.Register(e)
	h.http = httptest.NewTLSServer(e)
	defer h.http.Close()
	ws, _, err := websocket.Dial(patient(t), h.http.URL+"/ws",
		&websocket.DialOptions{Subprotocols: []string{Subprotocol}, HTTPClient: h.http.Client()})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t, ws}
	c.send(`{"type":"join","room":"demo"}`)
	c.message(typeJoined)
	done := make(chan error)
	go func() { done <- h.server.Shutdown(patient(t)) }()
	c.message(typeBye)
	c.closed(closeRestart, "shutdown")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHTTP2IsToldSo(t *testing.T) {
	e := echo.New()
	New(Config{}).Register(e)
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	r.Header = http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {Subprotocol}}
	w := httptest.NewRecorder() // Like HTTP/2, it cannot be taken over.
	if e.ServeHTTP(w, r); w.Code != http.StatusHTTPVersionNotSupported {
		t.Errorf("answered %d, want 505", w.Code)
	}
}

func TestSessionReplacesTheOldConnection(t *testing.T) {
	h := newHost(t, Config{})
	ada, adaJoined := h.join("demo", "")
	bob, _ := h.join("demo", "")
	ada.message(typePeerJoined)
	again, joined := h.join("demo", adaJoined["session"].(string))
	if joined["peer"] != adaJoined["peer"] {
		t.Errorf("peer %v, want %v", joined["peer"], adaJoined["peer"])
	}
	if p := joined["peers"].([]any)[0].(map[string]any); p["polite"] != false {
		t.Errorf("the role changed: %v", p)
	}
	ada.closed(closeReplaced, "replaced")
	again.send(`{"type":"leave"}`)
	// The first that the other hears since is this leave, so it noticed nothing of the take-over.
	if m := bob.message(typePeerLeft); m["peer"] != adaJoined["peer"] || m["reason"] != "left" {
		t.Errorf("got %v", m)
	}
}

func TestSessionOutlivesTheServer(t *testing.T) {
	config := Config{SessionKey: []byte("kept by the appliance")}
	_, first := newHost(t, config).join("demo", "")
	restarted := newHost(t, config)
	_, second := restarted.join("demo", first["session"].(string))
	if second["peer"] != first["peer"] || second["server"] == first["server"] {
		t.Errorf("first %v, then %v", first, second)
	}
	_, other := restarted.join("other", first["session"].(string))
	if other["peer"] == first["peer"] {
		t.Error("a session of one room was honoured in another")
	}
}

func TestShutdownSaysGoodbye(t *testing.T) {
	h := newHost(t, Config{DrainSpread: 500 * time.Millisecond})
	var clients []*client
	for range 3 {
		c, _ := h.join("demo", "")
		clients = append(clients, c)
	}
	done := make(chan error)
	go func() { done <- h.server.Shutdown(patient(t)) }()
	for i, c := range clients {
		for range len(clients) - 1 - i {
			c.message(typePeerJoined)
		}
		if m := c.message(typeBye); m["reason"] != "shutdown" || m["closing_in_ms"] != float64(250*i) || m["retry_after_ms"] != 500.0 {
			t.Errorf("client %d: %v", i, m)
		}
		c.closed(closeRestart, "shutdown")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := h.server.Shutdown(patient(t)); err != nil {
		t.Errorf("second call: %v", err)
	}
	r, err := http.Get(h.http.URL + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a late client got %s", r.Status)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestShutdownCutsClientsThatStay(t *testing.T) {
	h := newHost(t, Config{})
	h.join("demo", "") // Never reads again.
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := h.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestReaderThatStopsIsClosedAloneOnRealSockets(t *testing.T) {
	// Nobody answers pings while the queue is being filled, so beats are rare.
	h := newHost(t, Config{Heartbeat: 5 * time.Second, Limits: Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6}})
	_, slow := h.join("demo", "") // Does not read any more.
	fast, _ := h.join("demo", "")
	third, thirdJoined := h.join("demo", "")
	fast.message(typePeerJoined)
	offer := `{"type":"offer","to":"` + slow["peer"].(string) + `","sdp":"` + long(32000) + `"}`
	// The kernel's socket buffers hold some megabytes; then the queue fills up.
	ctx := patient(t)
	for h.server.Stats().SlowConsumers == 0 {
		if err := fast.ws.Write(ctx, websocket.MessageText, []byte(offer)); err != nil {
			t.Fatal(err)
		}
	}
	if m := third.message(typePeerLeft); m["peer"] != slow["peer"] || m["reason"] != "slow" {
		t.Errorf("got %v", m)
	}
	fast.send(`{"type":"offer","to":"` + thirdJoined["peer"].(string) + `","sdp":"v=0"}`)
	third.message(typeOffer)
}

func TestMessageOverTheLimit(t *testing.T) {
	for name, size := range map[string]int{"just over": 64<<10 + 1, "far over": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, Config{})
			ada, _ := h.join("demo", "")
			bob, _ := h.join("demo", "")
			ada.message(typePeerJoined)
			_ = bob.ws.Write(patient(t), websocket.MessageText, bytes.Repeat([]byte(" "), size))
			if name == "just over" {
				if m := bob.message(typeError); m["code"] != "too-large" || m["fatal"] != true {
					t.Errorf("got %v", m)
				}
			}
			bob.closed(websocket.StatusMessageTooBig, "")
			ada.message(typePeerLeft)
		})
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	h := newHost(t, Config{LoopbackOnly: true, Origins: []string{"https://app.example"}})
	for name, test := range map[string]struct {
		header http.Header
		host   string
		status int
	}{
		"cross origin":   {http.Header{"Origin": {"https://evil.example"}}, "", http.StatusForbidden},
		"DNS rebinding":  {http.Header{"Origin": {"http://evil.example"}}, "evil.example", http.StatusForbidden},
		"allowed origin": {http.Header{"Origin": {"https://app.example"}}, "", http.StatusSwitchingProtocols},
		"own origin":     {http.Header{"Origin": {h.http.URL}}, "", http.StatusSwitchingProtocols},
		"no subprotocol": {http.Header{"Sec-Websocket-Protocol": nil}, "", http.StatusBadRequest},
		"no upgrade":     {http.Header{"Upgrade": nil}, "", http.StatusBadRequest},
		"no key":         {http.Header{"Sec-Websocket-Key": nil}, "", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			status := h.handshake(test.header, test.host)
			if status != test.status {
				t.Errorf("answered %d, want %d", status, test.status)
			}
		})
	}
}

// handshake asks for an upgrade with some headers changed and returns the status.
func (h *host) handshake(change http.Header, hostname string) int {
	h.t.Helper()
	r, err := http.NewRequestWithContext(patient(h.t), http.MethodGet, h.http.URL+"/ws", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Host = hostname
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {Subprotocol},
	}
	for name, values := range change {
		r.Header[name] = values
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		h.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func TestUnjoinedConnectionsAreLimited(t *testing.T) {
	h := newHost(t, Config{Limits: Limits{Unjoined: 2}})
	h.dial()
	second := h.dial()
	if status := h.handshake(nil, ""); status != http.StatusTooManyRequests {
		t.Errorf("third answered %d, want 429", status)
	}
	second.send(`{"type":"join","room":"demo"}`)
	second.message(typeJoined)
	h.dial()
}

func TestLimitsGoByTheProxysWord(t *testing.T) {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPFromXFFHeader()
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	r.RemoteAddr = "127.0.0.1:4000"
	r.Header.Set("X-Forwarded-For", "192.0.2.7")
	if addr := clientAddr(e.NewContext(r, nil)); addr.Addr().String() != "192.0.2.7" {
		t.Errorf("behind a trusted proxy the client is %v", addr)
	}
	if addr := clientAddr(echo.New().NewContext(r, nil)); addr.String() != "127.0.0.1:4000" {
		t.Errorf("without one the client is %v", addr)
	}
}
