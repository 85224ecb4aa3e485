package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// serve runs a server for a test, and returns its WebSocket's address.
func serve(t *testing.T) (ctx context.Context, url string) {
	t.Helper()
	server := signaling.New(signaling.Config{OpenRooms: true})
	e := echo.New()
	server.Register(e)
	h := httptest.NewServer(e)
	t.Cleanup(h.Close)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	t.Cleanup(func() {
		end, cut := context.WithTimeout(ctx, time.Second)
		defer cut()
		_ = server.Shutdown(end)
	})
	return ctx, "ws" + strings.TrimPrefix(h.URL, "http") + "/ws"
}

// enterRoom joins with beats as rare as they may be.
func enterRoom(t *testing.T, ctx context.Context, url string) *Room {
	t.Helper()
	r, err := Join(ctx, url, Options{Room: "demo", Heartbeat: 5 * time.Second, Random: func() float64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// until receives events up to and with one of a type, and returns all.
func until[E Event](t *testing.T, ctx context.Context, r *Room) (all []Event) {
	t.Helper()
	for {
		select {
		case e, open := <-r.Events():
			if !open {
				t.Fatalf("ended by %v after %v", r.Err(), all)
			}
			all = append(all, e)
			if _, found := e.(E); found {
				return all
			}
		case <-ctx.Done():
			t.Fatalf("no %T came, but %v", *new(E), all)
		}
	}
}

func TestAReplacedClientStaysAway(t *testing.T) {
	ctx, url := serve(t)
	r := enterRoom(t, ctx, url)
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{subprotocol}})
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

func TestWhatEndedAConnectionIsNotSentAgain(t *testing.T) {
	var o outbox
	for _, text := range []string{"a", "b", "c"} {
		o.add(outbound{Data: json.RawMessage(text)})
	}
	o.unwritten()
	o.add(outbound{Data: json.RawMessage("d")})
	o.condemned = true
	o.resumed(1)
	if got := data(o.unwritten()); !slices.Equal(got, []string{"3:c", "4:d"}) {
		t.Errorf("writes %v after the second message ended the connection", got)
	}
	o.resumed(3)
	if got := data(o.unwritten()); !slices.Equal(got, []string{"4:d"}) {
		t.Errorf("writes %v after a usual loss", got)
	}
	o.acknowledge(4)
	o.add(outbound{Data: json.RawMessage("e")})
	o.condemned = true
	o.resumed(4)
	if got := data(o.unwritten()); !slices.Equal(got, []string{"5:e"}) {
		t.Errorf("writes %v, and the last one was never written", got)
	}
	o.condemned = true
	o.restarted()
	o.add(outbound{Data: json.RawMessage("f")})
	o.unwritten()
	o.resumed(0)
	if got := data(o.unwritten()); !slices.Equal(got, []string{"1:f"}) {
		t.Errorf("writes %v after a new session", got)
	}
}

// TestARefusedMessageIsGivenUp sends what the server refuses by closing the connection: the client must come back once,
// without it and with all else.
func TestARefusedMessageIsGivenUp(t *testing.T) {
	ctx, url := serve(t)
	other := enterRoom(t, ctx, url)
	r := enterRoom(t, ctx, url)
	until[ICEServers](t, ctx, r)
	r.mu.Lock()
	r.state.limits = limits{MessageBytes: 1 << 20, SDPBytes: 1 << 20} // As a server would say whose limits changed since.
	r.mu.Unlock()
	if err := errors.Join(r.Send("", "before"), r.Offer("@appliance", strings.Repeat("x", 100<<10)), r.Send("", "after")); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, e := range until[Resumed](t, ctx, r) {
		seen = append(seen, fmt.Sprintf("%T", e))
		if e, ok := e.(Refused); ok && (e.Refusal.Code != codeTooLarge || !e.Refusal.Fatal || !strings.Contains(e.Refusal.Remedy, "65536")) {
			t.Errorf("got %+v", e.Refusal)
		}
	}
	if want := []string{"client.Refused", "client.Lost", "client.Resumed"}; !slices.Equal(seen, want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
	if err := r.Send("", "last"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"before"`, `"after"`, `"last"`} {
		heard := until[Message](t, ctx, other)
		if e := heard[len(heard)-1].(Message); string(e.Data) != want {
			t.Errorf("the other got %s, want %s", e.Data, want)
		}
	}
	for len(r.Events()) > 0 {
		if e, again := (<-r.Events()).(Lost); again {
			t.Errorf("lost again by %v", e.Err)
		}
	}
}

// script is what a server does with one connection: the function that it returns takes the client's messages until it
// returns false.
type script func(say func(texts ...string), ws *websocket.Conn) (take func(m outbound) bool)

// scripted is a server that gives each connection its script.
func scripted(t *testing.T, script script) (ctx context.Context, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ws, err := websocket.Accept(w, req, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		take := script(func(texts ...string) {
			for _, text := range texts {
				_ = ws.Write(ctx, websocket.MessageText, []byte(text))
			}
		}, ws)
		for more := true; more; {
			_, text, err := ws.Read(ctx)
			if err != nil {
				return
			}
			var m outbound
			_ = json.Unmarshal(text, &m)
			more = take(m)
		}
	}))
	t.Cleanup(h.Close)
	return ctx, "ws" + strings.TrimPrefix(h.URL, "http")
}

// What a scripted server says to a client that joins and to one that resumes.
const (
	sayJoined  = `{"type":"joined","peer":"p","session":"s","heartbeat_ms":5000}`
	sayResumed = `{"type":"resumed","peer":"p","session":"t","heartbeat_ms":5000,"got":0}`
)

// wordless is a server that closes the connection over a message of a type without a word, as one does that reads no
// more than the message's head, until it was resumed.
func wordless(t *testing.T, over string, heard chan<- string) (ctx context.Context, url string) {
	t.Helper()
	return scripted(t, func(say func(...string), ws *websocket.Conn) func(outbound) bool {
		resumed := false
		return func(m outbound) bool {
			switch {
			case m.Type == over && !resumed:
				_ = ws.Close(closeTooLarge, "")
				return false
			case m.Type == "join":
				say(sayJoined)
			case m.Type == "resume":
				resumed = true
				say(sayResumed)
			case m.Type != "hello":
				heard <- m.Type
			}
			return true
		}
	})
}

func TestARefusalWithoutWordsCountsToo(t *testing.T) {
	heard := make(chan string, 8)
	ctx, url := wordless(t, "offer", heard)
	r := enterRoom(t, ctx, url)
	if err := errors.Join(r.Offer("@appliance", "v=0"), r.Send("", "after")); err != nil {
		t.Fatal(err)
	}
	all := until[Lost](t, ctx, r)
	if refused, ok := all[len(all)-2].(Refused); !ok || refused.Refusal.Code != codeTooLarge || !refused.Refusal.Fatal {
		t.Errorf("told %+v", all)
	}
	until[Resumed](t, ctx, r)
	if first := <-heard; first != "message" {
		t.Errorf("sent %s again", first)
	}
}

func TestAJoinRefusedWithoutWordsEnds(t *testing.T) {
	ctx, url := wordless(t, "join", nil)
	_, err := Join(ctx, url, Options{Room: "demo"})
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Code != codeTooLarge {
		t.Errorf("got %v", err)
	}
}

// TestANumberedErrorIsNews has errors come with numbers, as those of "@appliance" do: pongs and a resume acknowledge them,
// and one that a server repeats all the same is told once.
func TestANumberedErrorIsNews(t *testing.T) {
	const ended = `{"type":"error","n":%d,"code":"call-ended","message":"call %[1]d","remedy":"call again"}`
	acknowledged := make(chan string, 8)
	ctx, url := scripted(t, func(say func(...string), _ *websocket.Conn) func(outbound) bool {
		return func(m outbound) bool {
			switch m.Type {
			case "join":
				say(sayJoined, fmt.Sprintf(ended, 1), `{"type":"ping","seq":1}`)
			case "resume":
				say(sayResumed, fmt.Sprintf(ended, 1), fmt.Sprintf(ended, 2))
			}
			if m.Type == "pong" || m.Type == "resume" {
				acknowledged <- fmt.Sprint(m.Type, " ", m.Last)
			}
			return true
		}
	})
	r := enterRoom(t, ctx, url)
	until[Refused](t, ctx, r)
	if got := <-acknowledged; got != "pong 1" {
		t.Errorf("acknowledged with %s, want pong 1", got)
	}
	r.Drop()
	until[Resumed](t, ctx, r)
	if got := <-acknowledged; got != "resume 1" {
		t.Errorf("acknowledged with %s, want resume 1", got)
	}
	again := until[Refused](t, ctx, r)
	if e := again[len(again)-1].(Refused); e.Refusal.Message != "call 2" {
		t.Errorf("told of %q again", e.Refusal.Message)
	}
}
