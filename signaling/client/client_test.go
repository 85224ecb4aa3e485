package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"tourbillon/signaling"
	"tourbillon/signaling/client"
	"tourbillon/timing/timingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient goes by its short name here.
var patient = timingtest.Patient

// host is a server on a loopback port.
type host struct {
	server *signaling.Server
	http   *httptest.Server
}

func serve(t *testing.T, config signaling.Config, address string) *host {
	t.Helper()
	config.OpenRooms = config.Tokens == nil
	h := &host{server: signaling.New(config)}
	e := echo.New()
	h.server.Register(e)
	h.http = httptest.NewUnstartedServer(e)
	if address != "" {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = h.http.Listener.Close()
		h.http.Listener = l
	}
	t.Cleanup(h.stop)
	return h
}

func (h *host) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = h.server.Shutdown(ctx)
	h.http.Close()
}

func start(t *testing.T, config signaling.Config) *host {
	t.Helper()
	h := serve(t, config, "")
	h.http.Start()
	return h
}

func (h *host) url() string { return "ws" + strings.TrimPrefix(h.http.URL, "http") + "/ws" }

// join joins with beats as rare as they may be, unless the test asks for others: a client that stands still with the
// machine for a while is not taken for lost.
func join(t *testing.T, h *host, o client.Options) *client.Room {
	t.Helper()
	if o.Room == "" {
		o.Room = "demo"
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = rareBeats
	}
	r, err := client.Join(patient(t), h.url(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	next[client.Joined](t, r)
	next[client.ICEServers](t, r)
	return r
}

// rareBeats is the longest interval that there is.
const rareBeats = 5 * time.Second

// next returns the next event, which is to be of a type.
func next[E client.Event](t *testing.T, r *client.Room) E {
	t.Helper()
	select {
	case e, open := <-r.Events():
		found, ok := e.(E)
		if !ok {
			t.Fatalf("got %#v (open %v, ended by %v), want %T", e, open, r.Err(), found)
		}
		return found
	case <-patient(t).Done():
		t.Fatalf("no %T came", *new(E))
	}
	panic("unreachable")
}

func TestTwoClientsTalk(t *testing.T) {
	h := start(t, signaling.Config{})
	ada := join(t, h, client.Options{Name: "Ada", Metadata: json.RawMessage(`{"hand":true}`)})
	bob := join(t, h, client.Options{Name: "Bob"})
	if e := next[client.PeerJoined](t, ada); e.Peer.ID != bob.ID() || e.Peer.Name != "Bob" || e.Peer.Polite {
		t.Errorf("the first heard %+v", e)
	}
	if p := bob.Peers(); len(p) != 1 || p[0].ID != ada.ID() || !p[0].Polite || string(p[0].Metadata) != `{"hand":true}` {
		t.Errorf("the second found %+v", p)
	}
	say := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	say(bob.Offer(ada.ID(), "v=0"))
	if e := next[client.Signal](t, ada); e.Kind != "offer" || e.SDP != "v=0" || e.From != bob.ID() {
		t.Errorf("got %+v", e)
	}
	say(ada.Answer(bob.ID(), "v=1"))
	say(ada.Candidate(bob.ID(), json.RawMessage(`{"candidate":"c"}`)))
	say(ada.Candidate(bob.ID(), nil))
	for _, want := range []string{`answer v=1 `, `candidate  {"candidate":"c"}`, `candidate  null`} {
		if e := next[client.Signal](t, bob); fmt.Sprintf("%s %s %s", e.Kind, e.SDP, e.Candidate) != want {
			t.Errorf("got %+v, want %s", e, want)
		}
	}
	say(ada.Restart(bob.ID(), "failed"))
	if e := next[client.Restart](t, bob); e.Reason != "failed" || e.From != ada.ID() {
		t.Errorf("got %+v", e)
	}
	say(ada.Send("", map[string]int{"x": 1}))
	say(ada.Send(bob.ID(), "psst"))
	if e := next[client.Message](t, bob); e.Direct || string(e.Data) != `{"x":1}` {
		t.Errorf("got %+v", e)
	}
	if e := next[client.Message](t, bob); !e.Direct || string(e.Data) != `"psst"` {
		t.Errorf("got %+v", e)
	}
	say(ada.Update("Ada L.", nil))
	if e := next[client.PeerUpdated](t, bob); e.Name != "Ada L." || bob.Peers()[0].Name != "Ada L." {
		t.Errorf("got %+v, list %+v", e, bob.Peers())
	}
	say(ada.Report(map[string]int{"rtt_ms": 3}))
	say(ada.Send("nobody", 1))
	if e := next[client.Refused](t, ada); e.Refusal.Code != "unknown-peer" || e.Refusal.Fatal {
		t.Errorf("got %+v", e.Refusal)
	}
	if p := h.server.Rooms()[0].Peers[0]; string(p.Report) != `{"rtt_ms":3}` || p.Heartbeat != rareBeats {
		t.Errorf("the operator sees %+v", p)
	}
	if err := ada.Leave(patient(t)); err != nil || !errors.Is(ada.Err(), client.ErrLeft) {
		t.Errorf("leave: %v, ended by %v", err, ada.Err())
	}
	if e := next[client.PeerLeft](t, bob); e.ID != ada.ID() || e.Reason != "left" || len(bob.Peers()) != 0 {
		t.Errorf("got %+v", e)
	}
}

// TestWhatIsTooLargeIsNotTaken holds that the client keeps to the limits which the server told, and stays connected.
func TestWhatIsTooLargeIsNotTaken(t *testing.T) {
	const message, sdp, data = 4096, 2048, 1024
	h := start(t, signaling.Config{Limits: signaling.Limits{MessageBytes: message, SDPBytes: sdp, DataBytes: data}})
	ada := join(t, h, client.Options{})
	bob := join(t, h, client.Options{})
	next[client.PeerJoined](t, ada)
	text := func(n int) string { return strings.Repeat("x", n) }
	// A line break is two characters in JSON: a description within its limit may be a message that is not.
	breaks := func(n int) string { return strings.Repeat("\n", n) }
	frame := len(`{"type":"offer","n":1,"to":"","sdp":""}`) + len(ada.ID())
	for name, c := range map[string]struct {
		send func() error
		want client.TooLarge
	}{
		"description": {func() error { return bob.Offer(ada.ID(), text(sdp+1)) }, client.TooLarge{Field: "sdp", Bytes: sdp + 1, Limit: sdp}},
		"data":        {func() error { return bob.Send("", text(data-1)) }, client.TooLarge{Field: "data", Bytes: data + 1, Limit: data}},
		"message": {
			func() error { return bob.Answer(ada.ID(), breaks(sdp)) },
			client.TooLarge{Field: "message", Bytes: 2*sdp + frame + 1, Limit: message},
		},
	} {
		err := c.send()
		var got *client.TooLarge
		if !errors.As(err, &got) || *got != c.want || !strings.Contains(err.Error(), fmt.Sprint(c.want.Limit)) {
			t.Errorf("%s: %v, want %+v", name, err, c.want)
		}
	}
	fits := breaks((message-frame)/2) + text((message-frame)%2)
	if err := errors.Join(bob.Offer(ada.ID(), fits), bob.Send("", text(data-2))); err != nil {
		t.Fatal(err)
	}
	if e := next[client.Signal](t, ada); e.SDP != fits {
		t.Errorf("got a description of %d bytes", len(e.SDP))
	}
	if e := next[client.Message](t, ada); len(e.Data) != data {
		t.Errorf("got data of %d bytes", len(e.Data))
	}
}

// TestNothingIsMissedAndNothingTwice drops sockets while both ends talk.
func TestNothingIsMissedAndNothingTwice(t *testing.T) {
	h := start(t, signaling.Config{Limits: signaling.Limits{
		MessagesPerSecond: 1e6, MessageBurst: 1e6, JoinsPerSecond: 1000, QueueMessages: 1000, ReplayMessages: 1000,
	}})
	quick := client.Options{Heartbeat: 20 * time.Millisecond, Random: func() float64 { return 0 }}
	rooms := []*client.Room{join(t, h, quick), join(t, h, quick)}
	next[client.PeerJoined](t, rooms[0])
	const messages, drops = 300, 6
	failed := make(chan error, 2)
	for i, r := range rooms {
		go func() { failed <- talk(r, messages, drops, i) }()
	}
	for i, r := range rooms {
		for want := 0; want < messages; {
			if e, ok := nextAny(t, r).(client.Message); ok {
				if string(e.Data) != fmt.Sprint(want) {
					t.Fatalf("client %d got %s, want %d", i, e.Data, want)
				}
				want++
			}
		}
	}
	for range rooms {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if s := h.server.Stats(); s.Resumed < drops || s.Joined != 2 {
		t.Errorf("stats %+v", s)
	}
}

// talk sends numbers to the other, and breaks its own connection from time to time, waiting for it to be back.
func talk(r *client.Room, messages, drops, phase int) error {
	for n := range messages {
		if (n+phase*7)%(messages/drops) == 0 {
			awaitBeat(r)
			r.Drop()
		}
		for {
			err := r.Send("", n)
			if err == nil {
				break
			}
			if !errors.Is(err, client.ErrOutboxFull) {
				return err
			}
		}
	}
	return nil
}

// awaitBeat returns when the client is connected again.
func awaitBeat(r *client.Room) {
	_, before, _ := r.Heartbeat()
	for beats := before; beats == before && r.Err() == nil; _, beats, _ = r.Heartbeat() {
		runtime.Gosched()
	}
}

func nextAny(t *testing.T, r *client.Room) client.Event {
	t.Helper()
	select {
	case e, open := <-r.Events():
		if !open {
			t.Fatalf("ended by %v", r.Err())
		}
		return e
	case <-patient(t).Done():
		t.Fatal("no event came")
	}
	panic("unreachable")
}

func TestTheOthersSeeADropAsAway(t *testing.T) {
	h := start(t, signaling.Config{})
	ada := join(t, h, client.Options{})
	looked, returns := context.WithCancel(t.Context())
	defer returns()
	bob := join(t, h, client.Options{Random: func() float64 { <-looked.Done(); return 0 }}) // He stays away until ada has looked.
	id := bob.ID()
	next[client.PeerJoined](t, ada)
	bob.Drop()
	if e := next[client.PeerAway](t, ada); e.ID != id || !ada.Peers()[0].Away {
		t.Errorf("got %+v", e)
	}
	returns()
	next[client.Lost](t, bob)
	next[client.Resumed](t, bob)
	if e := next[client.PeerBack](t, ada); e.ID != bob.ID() || ada.Peers()[0].Away {
		t.Errorf("got %+v", e)
	}
}

// TestErrorsOfTheApplianceAreToldOnce has more of them come before a drop than the server keeps: what it sends again would be
// told twice, and what it has not any more would cost the session.
func TestErrorsOfTheApplianceAreToldOnce(t *testing.T) {
	const errs = 4
	h := start(t, signaling.Config{Limits: signaling.Limits{ReplayMessages: errs - 1}})
	r := join(t, h, client.Options{Random: func() float64 { return 0 }})
	tell := func(why string) {
		t.Helper()
		if !h.server.Deliver("demo", r.ID(), signaling.LocalReply{Kind: "error", Code: signaling.CodeCallEnded, Err: errors.New(why)}) {
			t.Fatal("no such peer")
		}
		if e := next[client.Refused](t, r); !strings.Contains(e.Refusal.Message, why) {
			t.Errorf("got %+v, want %s", e.Refusal, why)
		}
	}
	for n := range errs {
		tell(fmt.Sprint("before the drop: ", n))
	}
	r.Drop()
	next[client.Lost](t, r)
	if e := next[client.Resumed](t, r); e.Replayed != 0 {
		t.Errorf("%d messages came again", e.Replayed)
	}
	next[client.ICEServers](t, r)
	tell("after the drop")
}

func TestRoomsFormAgainAfterARestart(t *testing.T) {
	verifier, err := signaling.NewVerifier(signaling.VerifierConfig{Secrets: [][]byte{[]byte(strings.Repeat("k", 32))}})
	if err != nil {
		t.Fatal(err)
	}
	issued := time.Now()
	token, err := signaling.IssueToken([]byte(strings.Repeat("k", 32)), signaling.TokenRequest{
		Room: "demo", Can: signaling.CanJoin, TTL: time.Minute,
	}, issued)
	if err != nil {
		t.Fatal(err)
	}
	config := signaling.Config{SessionKey: []byte("kept"), DrainSpread: 100 * time.Millisecond, Tokens: verifier}
	first := serve(t, config, netip.AddrPortFrom(timingtest.OwnLoopback(), 0).String())
	first.http.Start()
	ada := join(t, first, client.Options{Token: token})
	bob := join(t, first, client.Options{Token: token})
	next[client.PeerJoined](t, ada)
	ids := []string{ada.ID(), bob.ID()}
	address := first.http.Listener.Addr().String()
	first.stop()
	config.Now = func() time.Time { return issued.Add(time.Hour) } // The token is long over; the session stands for it.
	second := serve(t, config, address)
	second.http.Start()
	for i, r := range []*client.Room{ada, bob} {
		if e := next[client.Stopping](t, r); e.RetryAfter != 100*time.Millisecond {
			t.Errorf("got %+v", e)
		}
		next[client.Lost](t, r)
		if e := next[client.Joined](t, r); !e.Restarted || e.ID != ids[i] || !slices.Equal(e.Can, []string{"join"}) {
			t.Errorf("got %+v, want id %s", e, ids[i])
		}
	}
	for len(ada.Peers()) == 0 || len(bob.Peers()) == 0 {
		if len(ada.Peers()) == 0 {
			nextAny(t, ada)
		} else {
			nextAny(t, bob)
		}
	}
	if ada.Peers()[0].ID != ids[1] || bob.Peers()[0].ID != ids[0] {
		t.Errorf("found %+v and %+v", ada.Peers(), bob.Peers())
	}
}

func TestRefusalsEndTheJoin(t *testing.T) {
	verifier, err := signaling.NewVerifier(signaling.VerifierConfig{Secrets: [][]byte{[]byte(strings.Repeat("k", 32))}})
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, signaling.Config{Tokens: verifier})
	for code, o := range map[string]client.Options{
		"bad-room": {Room: "a room"}, "token-required": {Room: "demo"}, "bad-token": {Room: "demo", Token: "forged"},
		"bad-message": {Room: "demo", Metadata: json.RawMessage(`[]`)},
	} {
		_, err := client.Join(patient(t), h.url(), o)
		var refusal *client.Refusal
		if !errors.As(err, &refusal) || refusal.Code != code || refusal.Remedy == "" {
			t.Errorf("%s: got %v", code, err)
		}
	}
}

// TestJoinEndsWithItsContext holds that the error tells of the last attempt too.
func TestJoinEndsWithItsContext(t *testing.T) {
	for url, why := range map[string]string{
		"ws://127.0.0.1:1/ws": "refused", "http://127.0.0.1:1/ws": "unsupported protocol", "ws://%%": "invalid URL escape",
	} {
		err := joinFor(t, url, 50*time.Millisecond)
		for limit := 100 * time.Millisecond; !strings.Contains(err.Error(), why); limit *= 2 {
			if limit > timingtest.Patience {
				t.Fatalf("%s: %v, want %q in it", url, err, why)
			}
			err = joinFor(t, url, limit)
		}
	}
}

// joinFor joins in vain for a while, which may be too short for a first attempt.
func joinFor(t *testing.T, url string, limit time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := client.Join(ctx, url, client.Options{Room: "demo"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%s: %v, want the context's error", url, err)
	}
	return err
}

func TestASilentServerIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	clock := timingtest.NewManual()
	ctx, cancel := context.WithCancel(patient(t))
	ended := make(chan error)
	go func() {
		_, err := client.Join(ctx, "ws://"+l.Addr().String()+"/ws", client.Options{Room: "demo", Clock: clock})
		ended <- err
	}()
	passing := make(chan struct{})
	go func() {
		defer close(passing)
		for ctx.Err() == nil {
			clock.Advance(100 * time.Millisecond)
			runtime.Gosched()
		}
	}()
	for range 3 { // The first attempt is given up, others come.
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	cancel()
	<-passing
	if err := <-ended; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "silent") {
		t.Errorf("got %v", err)
	}
}

func TestEventsMustBeReceived(t *testing.T) {
	h := start(t, signaling.Config{})
	deaf, err := client.Join(patient(t), h.url(), client.Options{Room: "demo", Waiting: 3})
	if err != nil {
		t.Fatal(err)
	}
	loud := join(t, h, client.Options{})
	for range 5 {
		_ = loud.Send("", "hello")
	}
	<-deaf.Done()
	if !errors.Is(deaf.Err(), client.ErrNotReceived) {
		t.Errorf("ended by %v", deaf.Err())
	}
}

func TestHeartbeatIsNegotiated(t *testing.T) {
	h := start(t, signaling.Config{})
	usual, err := client.Join(patient(t), h.url(), client.Options{Room: "other"})
	if err != nil {
		t.Fatal(err)
	}
	defer usual.Close()
	if interval, _, _ := usual.Heartbeat(); interval != 100*time.Millisecond {
		t.Errorf("by default an interval of %v", interval)
	}
	r := join(t, h, client.Options{Heartbeat: 400 * time.Millisecond})
	if interval, _, _ := r.Heartbeat(); interval != 400*time.Millisecond {
		t.Errorf("interval %v", interval)
	}
	if n, err := h.server.SetHeartbeat(signaling.ClassBrowser, time.Second); n != 0 || err != nil {
		t.Errorf("changed %d, %v", n, err)
	}
	// A client that was lost for a while, with the machine, can neither ask nor be told: hence again and again.
	awaitInterval(t, r, 300*time.Millisecond, func() { _ = r.SetHeartbeat(300 * time.Millisecond) })
	awaitInterval(t, r, 200*time.Millisecond, func() {
		if _, err := h.server.SetHeartbeat(signaling.ClassNative, 200*time.Millisecond); err != nil {
			t.Error(err)
		}
	})
}

// awaitInterval asks until the client beats at an interval, and then until it has beaten some times.
func awaitInterval(t *testing.T, r *client.Room, want time.Duration, ask func()) {
	t.Helper()
	ctx := patient(t)
	_, before, _ := r.Heartbeat()
	for {
		interval, beats, rtt := r.Heartbeat()
		if interval == want && beats > before+2 && rtt > 0 {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("interval %v, want %v; %d beats, round trip %v", interval, want, beats-before, rtt)
		}
		if interval != want {
			ask()
		}
		runtime.Gosched()
	}
}

func TestJoinOverTLS(t *testing.T) {
	h := serve(t, signaling.Config{}, "")
	h.http.StartTLS()
	trusted := h.http.Client().Transport.(*http.Transport).TLSClientConfig
	r := join(t, h, client.Options{TLS: trusted.Clone(), Header: http.Header{"Origin": {h.http.URL}}})
	if err := r.Leave(patient(t)); err != nil {
		t.Error(err)
	}
}
