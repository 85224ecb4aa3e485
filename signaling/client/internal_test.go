package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"

	"tourbillon/signaling"
)

// documented returns the example messages of the protocol page in one direction, "→" or "←".
func documented(t *testing.T, arrow string) []string {
	t.Helper()
	source, err := os.ReadFile("../doc.go")
	if err != nil {
		t.Fatal(err)
	}
	joined := regexp.MustCompile(`\n//\t {2,}`).ReplaceAllString(string(source), " ")
	var texts []string
	for _, line := range regexp.MustCompile(`(?m)^//\t`+arrow+` (.*)$`).FindAllStringSubmatch(joined, -1) {
		var text json.RawMessage
		if err := json.NewDecoder(strings.NewReader(line[1])).Decode(&text); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	if len(texts) < 12 {
		t.Fatalf("found %d examples only", len(texts))
	}
	return texts
}

func TestEveryDocumentedMessageIsUnderstood(t *testing.T) {
	own := []string{"welcome", "joined", "resumed", "ice-servers", "heartbeat", "ping", "bye", "error"}
	for _, text := range documented(t, "←") {
		var m inbound
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if slices.Contains(own, m.Type) {
			continue
		}
		if e := m.event(); e == nil || fmt.Sprintf("%+v", e) == fmt.Sprintf("%+v", inbound{}) || m.N == 0 {
			t.Errorf("%s became %+v", text, e)
		}
	}
}

func TestEveryDocumentedMessageCanBeSent(t *testing.T) {
	for _, text := range documented(t, "→") {
		var m outbound
		var want, got map[string]any
		_ = json.Unmarshal([]byte(text), &m)
		again, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal([]byte(text), &want)
		_ = json.Unmarshal(again, &got)
		if want["type"] != "pong" && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("documented %s\nsent       %s", text, again)
		}
	}
}

func TestBackoff(t *testing.T) {
	for attempt, want := range map[int]time.Duration{0: 250 * time.Millisecond, 2: time.Second, 4: 3 * time.Second, 1000: 3 * time.Second} {
		if got := backoff(attempt, 1); got != want {
			t.Errorf("attempt %d: at most %v, want %v", attempt, got, want)
		}
		if got := backoff(attempt, 0); got != want*2/5 {
			t.Errorf("attempt %d: at least %v, want %v", attempt, got, want*2/5)
		}
	}
}

func data(messages []outbound) (texts []string) {
	for _, m := range messages {
		texts = append(texts, fmt.Sprintf("%d:%s", m.N, m.Data))
	}
	return texts
}

func TestOutbox(t *testing.T) {
	var o outbox
	add := func(text string) bool { return o.add(outbound{Data: json.RawMessage(text)}) }
	expect := func(what string, got []outbound, want ...string) {
		t.Helper()
		if !slices.Equal(data(got), want) {
			t.Errorf("%s: %v, want %v", what, data(got), want)
		}
	}
	add("a")
	add("b")
	expect("at first", o.unwritten(), "1:a", "2:b")
	expect("written once", o.unwritten())
	add("c")
	o.acknowledge(1)
	expect("after an acknowledgement", o.unwritten(), "3:c")
	o.resumed(2)
	expect("after a resume", o.unwritten(), "3:c")
	add("d")
	o.restarted()
	expect("after a restart", o.unwritten(), "1:d")
	o.acknowledge(99)
	if o.bytes != 0 || len(o.kept) != 0 {
		t.Errorf("keeps %d messages of %d bytes", len(o.kept), o.bytes)
	}
	for range maxKept {
		if !add("x") {
			t.Fatal("refused before it was full")
		}
	}
	if add("x") || len(o.kept) != maxKept {
		t.Errorf("keeps %d messages", len(o.kept))
	}
}

func TestAReplacedClientStaysAway(t *testing.T) {
	server := signaling.New(signaling.Config{OpenRooms: true})
	e := echo.New()
	server.Register(e)
	h := httptest.NewServer(e)
	defer h.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer func() {
		end, cut := context.WithTimeout(ctx, time.Second)
		defer cut()
		_ = server.Shutdown(end)
	}()
	r, err := Join(ctx, "ws"+strings.TrimPrefix(h.URL, "http")+"/ws", Options{Room: "demo", Heartbeat: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ws, _, err := websocket.Dial(ctx, h.URL+"/ws", &websocket.DialOptions{Subprotocols: []string{subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	_ = ws.Write(ctx, websocket.MessageText, []byte(`{"type":"hello"}`))
	_ = ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"resume","session":%q,"last":0}`, r.snapshot().session))
	select {
	case <-r.Done():
	case <-ctx.Done():
		t.Fatal("the room goes on")
	}
	if !errors.Is(r.Err(), ErrReplaced) {
		t.Errorf("ended by %v", r.Err())
	}
}
