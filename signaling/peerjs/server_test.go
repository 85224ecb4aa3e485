package peerjs

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestTwoClients(t *testing.T) {
	s := start(t, Config{Open: true})
	ada, bob := s.join(t, "ada"), s.join(t, "bob")
	ada.send(offer("bob"))
	bob.expect(offered("ada", "bob"))
	bob.send(`{"type":"ANSWER","src":"eve","dst":"ada","payload":{"connectionId":"dc_1"},"extra":1}`)
	ada.expect(`{"type":"ANSWER","src":"bob","dst":"ada","payload":{"connectionId":"dc_1"}}`)
	bob.send(`{"type":"SOMETHING-NEWER","dst":"ada"}`)
	bob.send(`{"type":"LEAVE","dst":"ada"}`)
	ada.expect(`{"type":"LEAVE","src":"bob","dst":"ada"}`)
	bob.send(`{"type":"LEAVE"}`)
	bob.expectClosed(websocket.StatusNormalClosure)
	if n := s.Stats(); n.Clients != 1 || n.Refused != 1 || n.Relayed != 3 {
		t.Errorf("%+v", n)
	}
}

func TestIDIsIssued(t *testing.T) {
	s := start(t, Config{Open: true, Origins: []string{"https://app.example"}})
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	first, second := s.get(t, "/peerjs/id", "https://app.example"), s.get(t, "/peerjs/id?ts=1&version=1.5.5", "")
	if !uuid.MatchString(first.body) || first.body == second.body || !validID(first.body, 64) {
		t.Errorf("ids %q and %q", first.body, second.body)
	}
	if first.Header.Get("Access-Control-Allow-Origin") != "https://app.example" || second.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers %v and %v", first.Header, second.Header)
	}
	for path, want := range map[string]int{"/peerjs/id": http.StatusForbidden, "/peerjs/ice": http.StatusForbidden, "/other/id": http.StatusNotFound} {
		if got := s.get(t, path, "https://evil.example"); got.StatusCode != want || got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s for a foreign page: %d %v", path, got.StatusCode, got.Header)
		}
	}
}

func TestPrefixAndKey(t *testing.T) {
	s := start(t, Config{Open: true, Prefix: "/my/app", Key: "k1", Discovery: true})
	if got := s.get(t, "/my/app/k1/id", ""); got.StatusCode != http.StatusOK {
		t.Errorf("id: %d", got.StatusCode)
	}
	ws, _, err := websocket.Dial(patient(t), s.http.URL+"/my/app/peerjs?key=k1&id=ada&token=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	(&client{t, ws}).expect(`{"type":"OPEN"}`)
	if got := s.get(t, "/my/app/k1/peers", ""); strings.TrimSpace(got.body) != `["ada"]` {
		t.Errorf("peers: %q", got.body)
	}
}

func TestDiscoveryIsOff(t *testing.T) {
	s := start(t, Config{Open: true})
	if got := s.get(t, "/peerjs/peers", ""); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d, want 401", got.StatusCode)
	}
}

type oneToken struct{}

func (oneToken) Admit(token string, _ time.Time) error {
	if token == "good" {
		return nil
	}
	return errors.New("the token has expired")
}

type fixedServers struct{}

func (fixedServers) ICEServers(user, host string) ([]ICEServer, time.Duration) {
	return []ICEServer{{URLs: []string{"turn:" + host + ":3478"}, Username: "1:" + user, Credential: "secret"}}, 5 * time.Minute
}

func TestTokens(t *testing.T) {
	s := start(t, Config{Tokens: oneToken{}, Credentials: fixedServers{}})
	s.dial(t, "ada", "bad").expectError("the token has expired")
	good := s.dial(t, "ada", "good")
	good.expect(`{"type":"OPEN"}`)
	for path, want := range map[string]int{"/peerjs/ice": 401, "/peerjs/ice?token=bad": 401, "/peerjs/ice?token=good": 200} {
		if got := s.get(t, path, ""); got.StatusCode != want || strings.Contains(got.body, "secret") != (want == 200) {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.body)
		}
	}
	nobody := start(t, Config{})
	nobody.dial(t, "ada", "good").expectError("wants a token")
}

func TestICEServers(t *testing.T) {
	s := start(t, Config{Open: true, Credentials: fixedServers{}})
	var answer struct {
		ICEServers []ICEServer `json:"iceServers"`
		TTL        int
	}
	if err := json.Unmarshal([]byte(s.get(t, "/peerjs/ice", "").body), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.TTL != 300 || len(answer.ICEServers) != 1 || answer.ICEServers[0].URLs[0] != "turn:127.0.0.1:3478" {
		t.Errorf("%+v", answer)
	}
	if none := start(t, Config{Open: true}).get(t, "/peerjs/ice", ""); strings.TrimSpace(none.body) != `{"iceServers":[],"ttl":0}` {
		t.Errorf("without a TURN server: %s", none.body)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, Config{Open: true})
	s.join(t, "ada")
	query := func(key, id, token string) url.Values {
		return url.Values{"key": {key}, "id": {id}, "token": {token}}
	}
	for want, q := range map[string]url.Values{
		"No id, token, or key": query("peerjs", "", "x"),
		"Invalid key":          query("other", "bob", "x"),
		"The id is not valid":  query("peerjs", "../bob", "x"),
		"The token has more":   query("peerjs", "bob", strings.Repeat("x", 5000)),
	} {
		c := s.dialQuery(t, q)
		c.expectError(want)
		c.expectClosed(websocket.StatusPolicyViolation)
	}
	c := s.dial(t, "ada", "another")
	c.expect(`{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}`)
	c.expectClosed(websocket.StatusPolicyViolation)
}

func TestBadMessagesEndOneConnection(t *testing.T) {
	s := start(t, Config{Open: true})
	ada, bob := s.join(t, "ada"), s.join(t, "bob")
	for name, misbehave := range map[string]func(c *client){
		"no JSON":       func(c *client) { c.send("{") },
		"server's type": func(c *client) { c.send(`{"type":"OPEN"}`) },
		"binary":        func(c *client) { _ = c.ws.Write(patient(t), websocket.MessageBinary, []byte("{}")) },
		"too many":      func(c *client) { c.flood(600) },
	} {
		t.Run(name, func(t *testing.T) {
			c := s.join(t, "eve")
			misbehave(c)
			c.expectError("")
			c.expectClosed(websocket.StatusPolicyViolation)
		})
	}
	t.Run("1 MB", func(t *testing.T) {
		c := s.join(t, "eve")
		_ = c.ws.Write(patient(t), websocket.MessageText, []byte(offer(strings.Repeat("x", 1<<20))))
		c.expectClosed(websocket.StatusMessageTooBig)
	})
	ada.send(offer("bob"))
	bob.expect(offered("ada", "bob"))
}

// flood sends heartbeats until the connection ends.
func (c *client) flood(n int) {
	for range n {
		if c.ws.Write(patient(c.t), websocket.MessageText, []byte(`{"type":"HEARTBEAT"}`)) != nil {
			return
		}
	}
}

func TestMessagesWaitAndExpire(t *testing.T) {
	s := start(t, Config{Open: true})
	ada := s.join(t, "ada")
	ada.send(offer("bob"))
	ada.send(offer("cid"))
	until(t, "both wait", func() bool { return s.Stats().Waiting == 2 })
	bob := s.join(t, "bob")
	bob.expect(offered("ada", "bob"))
	s.clock.Advance(5 * time.Second)
	ada.expect(`{"type":"EXPIRE","src":"cid","dst":"ada"}`)
	if n := s.Stats(); n.Expired != 1 || n.Waiting != 0 {
		t.Errorf("%+v", n)
	}
}

func TestTakeOver(t *testing.T) {
	s := start(t, Config{Open: true})
	first := s.join(t, "ada")
	second := s.join(t, "ada")
	first.expectClosed(closeReplaced)
	until(t, "the first socket is gone", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.conns) == 1 })
	bob := s.join(t, "bob")
	bob.send(offer("ada"))
	second.expect(offered("bob", "ada"))
}

// TestOverTLS has a connection that cannot be written to without waiting.
func TestOverTLS(t *testing.T) {
	s := startWith(t, Config{Open: true}, func(h http.Handler) *httptest.Server {
		server := httptest.NewUnstartedServer(h)
		server.EnableHTTP2 = false
		server.StartTLS()
		return server
	})
	ada, bob := s.join(t, "ada"), s.join(t, "bob")
	for range 100 {
		ada.send(offer("bob"))
	}
	for range 100 {
		bob.expect(offered("ada", "bob"))
	}
	bob.send(`{"type":"LEAVE"}`)
	bob.expectClosed(websocket.StatusNormalClosure)
	closed := make(chan error, 1)
	go func() { _, err := ada.read(); closed <- err }()
	if err := s.Shutdown(patient(t)); err != nil {
		t.Error(err)
	}
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("closed with %v, want 1012", err)
	}
}

func TestSilentClientGoes(t *testing.T) {
	s := start(t, Config{Open: true})
	ada, bob := s.join(t, "ada"), s.join(t, "bob")
	s.clock.Advance(60 * time.Second)
	ada.send(`{"type":"HEARTBEAT"}`)
	ada.send(offer("bob")) // Relayed after the heartbeat was taken.
	bob.expect(offered("ada", "bob"))
	s.clock.Advance(31 * time.Second)
	bob.expectClosed(websocket.StatusPolicyViolation)
	if n := s.Stats(); n.Silent != 1 || n.Clients != 1 {
		t.Errorf("%+v", n)
	}
	s.clock.Advance(60 * time.Second)
	ada.expectClosed(websocket.StatusPolicyViolation)
}

// TestSlowReaderGoes has a client that does not read: its connection ends, the sender hears of it, and a third
// notices nothing.
func TestSlowReaderGoes(t *testing.T) {
	s := start(t, Config{Open: true, Limits: Limits{Off: true, QueueBytes: 256 << 10}})
	ada, cid := s.join(t, "ada"), s.join(t, "cid")
	raw := s.rawJoin(t, "bob")
	defer raw.Close()
	big := `{"type":"OFFER","dst":"bob","payload":"` + strings.Repeat("x", 60<<10) + `"}`
	left := make(chan string, 1)
	go func() {
		text, _ := ada.read()
		left <- text
	}()
	for {
		select {
		case text := <-left:
			if text != `{"type":"LEAVE","src":"bob","dst":"ada"}` {
				t.Fatalf("ada read %q", text)
			}
			ada.send(offer("cid"))
			cid.expect(offered("ada", "cid"))
			if n := s.Stats(); n.Slow != 1 {
				t.Errorf("%+v", n)
			}
			s.clock.Advance(2 * time.Second) // The linger of bob's connection.
			return
		default:
			ada.send(big)
		}
	}
}

// rawJoin opens a WebSocket of which nothing is read after the handshake.
func (s *service) rawJoin(t *testing.T, id string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET /peerjs?key=peerjs&token=t&id="+id+" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	until(t, id+" is there", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.registry.seats[id] != nil })
	return c
}

// TestBrokenFrames feeds what the library must survive, half a socket among it.
func TestBrokenFrames(t *testing.T) {
	s := start(t, Config{Open: true})
	for name, bytes := range map[string]string{
		"negative length": "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
		"unmasked":        "\x81\x02{}",
		"reserved bits":   "\xf1\x80\x00\x00\x00\x00",
		"long ping":       "\x89\xfe\x00\x80\x00\x00\x00\x00",
		"end of file":     "",
	} {
		c := s.rawJoin(t, "eve")
		_, _ = io.WriteString(c, bytes)
		_ = c.(*net.TCPConn).CloseWrite()
		until(t, name+": eve is gone", func() bool { return s.Stats().Clients == 0 })
		_ = c.Close()
	}
}

func TestPingIsAnswered(t *testing.T) {
	s := start(t, Config{Open: true})
	c := s.join(t, "ada")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.read() // Which takes the pong.
	}()
	if err := c.ws.Ping(patient(t)); err != nil {
		t.Error(err)
	}
	_ = c.ws.CloseNow()
	<-done
}

func TestLimitsPerAddress(t *testing.T) {
	s := start(t, Config{Open: true, Limits: Limits{PerAddress: 2}})
	first := s.join(t, "c1")
	s.join(t, "c2")
	_, response, err := websocket.Dial(patient(t), s.http.URL+"/peerjs?key=peerjs&id=c3&token=x", nil)
	if err == nil || response.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("a third connection: %v", err)
	}
	_ = first.ws.CloseNow()
	until(t, "the first is gone", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.conns) == 1 })
	s.join(t, "c3")
	until(t, "asking for ICE servers too often is refused", func() bool {
		return s.get(t, "/peerjs/ice", "").StatusCode == http.StatusTooManyRequests
	})
}

func TestShutdown(t *testing.T) {
	s := start(t, Config{Open: true})
	ada := s.join(t, "ada")
	ada.send(offer("bob"))
	until(t, "it waits", func() bool { return s.Stats().Waiting == 1 })
	closed := make(chan error, 1)
	go func() { _, err := ada.read(); closed <- err }()
	if err := s.Shutdown(patient(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("closed with %v, want 1012", err)
	}
	if got := s.get(t, "/peerjs", ""); got.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the stop: %d", got.StatusCode)
	}
}

func TestForeignPageOpensNoSocket(t *testing.T) {
	s := start(t, Config{Open: true})
	header := http.Header{"Origin": {"https://evil.example"}}
	_, response, err := websocket.Dial(patient(t), s.http.URL+"/peerjs?key=peerjs&id=a&token=x", &websocket.DialOptions{HTTPHeader: header})
	if err == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("%v", err)
	}
}

type answer struct {
	*http.Response
	body string
}

func (s *service) get(t testing.TB, path, origin string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(patient(t), http.MethodGet, s.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, string(body)}
}
