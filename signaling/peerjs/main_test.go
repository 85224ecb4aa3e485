package peerjs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"tourbillon/timing/timingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient goes by its short name here.
var patient = timingtest.Patient

// service is a server on a manual clock behind a real listener.
type service struct {
	*Server
	clock *timingtest.Manual
	http  *httptest.Server
}

func start(t testing.TB, config Config) *service {
	t.Helper()
	return startWith(t, config, httptest.NewServer)
}

func startWith(t testing.TB, config Config, listen func(http.Handler) *httptest.Server) *service {
	t.Helper()
	clock := timingtest.NewManual()
	config.Clock, config.Now = clock, clock.Time
	s := &service{Server: New(config), clock: clock}
	e := echo.New()
	s.Register(e)
	s.http = listen(e)
	t.Cleanup(func() {
		if err := s.Shutdown(patient(t)); err != nil {
			t.Error(err)
		}
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// client is a WebSocket of a test.
type client struct {
	t  testing.TB
	ws *websocket.Conn
}

func (s *service) dial(t testing.TB, id, token string) *client {
	t.Helper()
	return s.dialQuery(t, url.Values{"key": {"peerjs"}, "id": {id}, "token": {token}, "version": {"1.5.5"}})
}

func (s *service) dialQuery(t testing.TB, query url.Values) *client {
	t.Helper()
	ws, _, err := websocket.Dial(patient(t), s.http.URL+"/peerjs?"+query.Encode(), &websocket.DialOptions{HTTPClient: s.http.Client()})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t, ws}
}

// join dials and waits for OPEN.
func (s *service) join(t testing.TB, id string) *client {
	t.Helper()
	c := s.dial(t, id, "token-of-"+id)
	c.expect(`{"type":"OPEN"}`)
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(patient(c.t), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) read() (string, error) {
	_, text, err := c.ws.Read(patient(c.t))
	return string(text), err
}

// expect reads the next message, which has to be the given text.
func (c *client) expect(want string) {
	c.t.Helper()
	got, err := c.read()
	if err != nil || got != want {
		c.t.Fatalf("read %q, %v, want %q", got, err, want)
	}
}

// expectError reads an ERROR whose msg contains text.
func (c *client) expectError(text string) {
	c.t.Helper()
	got, err := c.read()
	var m struct {
		Type    string
		Payload struct{ Msg string }
	}
	if err != nil || json.Unmarshal([]byte(got), &m) != nil || m.Type != "ERROR" || !strings.Contains(m.Payload.Msg, text) {
		c.t.Fatalf("read %q, %v, want an ERROR with %q", got, err, text)
	}
}

// expectClosed reads until the connection ends, which has to be with a close frame of the given code.
func (c *client) expectClosed(code websocket.StatusCode) {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				c.t.Fatalf("closed with %v (%v), want %v", got, err, code)
			}
			return
		}
	}
}

func offer(dst string) string {
	return `{"type":"OFFER","dst":"` + dst + `","payload":{"sdp":{"type":"offer","sdp":"v=0"},"type":"data","connectionId":"dc_1"}}`
}

func offered(src, dst string) string {
	return `{"type":"OFFER","src":"` + src + `","dst":"` + dst + `","payload":{"sdp":{"type":"offer","sdp":"v=0"},"type":"data","connectionId":"dc_1"}}`
}

// until goes by its short name here.
var until = timingtest.Eventually
