package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent/link"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// heard is what a caller is told, in order; of refusals and the like the kind.
type heard chan string

func (h heard) Answer(string)          { h <- "answer" }
func (h heard) Restart(string)         { h <- "restart" }
func (h heard) Refuse(why *CallError)  { h <- "refused: " + why.Kind.Error() }
func (h heard) Ended(why *CallError)   { h <- "ended: " + why.Kind.Error() }
func (h heard) Dropped(why *CallError) { h <- "dropped: " + why.Kind.Error() }

// all is what was told so far.
func (h heard) all() (told []string) {
	for len(h) > 0 {
		told = append(told, <-h)
	}
	return told
}

// testSocket is one on loopback, closed when the test ends.
func testSocket(t *testing.T) *link.Socket {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := link.Open(link.Config{
		Conn: link.UDP(conn), Clock: timing.Runtime{}, Admit: link.Admit(netip.MustParsePrefix("127.0.0.0/8")),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := socket.Close(); err != nil {
			t.Error(err)
		}
	})
	return socket
}

func testConfig(t *testing.T) AnswererConfig {
	t.Helper()
	return AnswererConfig{Socket: testSocket(t), Clock: timing.Runtime{}, Limits: limits(), Log: slog.New(slog.DiscardHandler)}
}

// idleCall is a call that nobody runs yet: what is posted waits.
func idleCall(t *testing.T) (*incoming, heard) {
	t.Helper()
	h := make(heard, 8)
	return newIncoming(testConfig(t), Caller{Room: "demo", Peer: "ada"}, nil, h), h
}

func offerOf(t *testing.T, sdp string) message {
	t.Helper()
	o, err := limits().judge(sdp)
	if err != nil {
		t.Fatal(err)
	}
	return message{kind: offered, offer: o}
}

// badForPion is an offer that our judge lets pass and pion does not take.
var badForPion = strings.Replace(goodOffer, "a=group:BUNDLE 0", "a=group:BUNDLE 7", 1)

// noPair is a selected pair that consent cannot begin on.
var noPair = message{kind: selected, pair: &webrtc.ICECandidatePair{Local: &webrtc.ICECandidate{}, Remote: &webrtc.ICECandidate{}}}

// TestNothingIsTakenAfterTheEnd has an offer wait behind what ends the call: it is refused with the remedy to send it again.
func TestNothingIsTakenAfterTheEnd(t *testing.T) {
	for name, row := range map[string]struct {
		first message
		want  []string
	}{
		"an offer refused by pion": {offerOf(t, badForPion), []string{"refused: bad offer", "refused: no call"}},
		"a fault":                  {noPair, []string{"refused: no call", "ended: a fault of the appliance"}},
	} {
		c, heard := idleCall(t)
		for _, m := range []message{row.first, offerOf(t, goodOffer)} {
			if err := c.post(m); err != nil {
				t.Fatal(err)
			}
		}
		c.run(t.Context())
		if told := heard.all(); !slices.Equal(told, row.want) {
			t.Errorf("%s: the caller was told %q, want %q", name, told, row.want)
		}
	}
}

// TestWhoIsGoneIsNotTold has offers wait in calls whose end the caller knows: what is left of them is no answer to what it
// does next.
func TestWhoIsGoneIsNotTold(t *testing.T) {
	for class, want := range map[End][]string{
		EndLeft: nil, EndReplaced: nil, EndStopped: nil, EndConnection: {"refused: no call"},
	} {
		c, heard := idleCall(t)
		if err := c.post(offerOf(t, goodOffer)); err != nil {
			t.Fatal(err)
		}
		c.stop(class, "")
		c.run(t.Context())
		if told := heard.all(); !slices.Equal(told, want) {
			t.Errorf("%s: the caller was told %q, want %q", class, told, want)
		}
	}
}

// TestAStoppedCallTakesNothing holds that messages to one that is but closing yet are refused, and that the next offer
// begins another call, whose words come after those of the first.
func TestAStoppedCallTakesNothing(t *testing.T) {
	a := NewAnswerer(testConfig(t))
	defer a.Close()
	from, o := Caller{Room: "demo", Peer: "ada"}, offerOf(t, goodOffer)
	heard := make(heard, 8)
	c := newIncoming(a.config, from, o.offer.fingerprints, heard)
	if err := c.post(o); err != nil {
		t.Fatal(err)
	}
	c.stop(EndOffer, "")
	a.calls[callerKey{from.Room, from.Peer}] = c
	for _, kind := range []kind{offered, trickled} {
		if err := c.post(message{kind: kind}); !errors.Is(err, ErrNoCall) {
			t.Errorf("a message of kind %d: %v", kind, err)
		}
	}
	if err := a.Offer(from, goodOffer, heard); err != nil {
		t.Errorf("the next offer: %v", err)
	}
	timingtest.Real(timing.Runtime{}).Pass(20 * time.Millisecond) // It would be answered by now.
	c.run(t.Context())
	if first, second := <-heard, <-heard; first != "refused: no call" || second != "answer" {
		t.Errorf("the caller was told %q, then %q", first, second)
	}
}

// TestClosingCallsAreBounded has calls of one address, and of all, that have stopped and are closing yet: an offer that
// takes another's place waits for some of them to be gone.
func TestClosingCallsAreBounded(t *testing.T) {
	for name, row := range map[string]struct {
		limits Limits
		remedy string
	}{
		"of one address": {Limits{PerAddress: 1}, "in a moment"},
		"of all":         {Limits{Total: 1}, "hung up"},
	} {
		config := testConfig(t)
		config.Limits = row.limits
		a := NewAnswerer(config)
		from := Caller{Room: "demo", Peer: "ada", Address: netip.MustParseAddr("192.0.2.7")}
		for range 2 {
			c := newIncoming(a.config, from, nil, make(heard, 8))
			c.stop(EndReplaced, "")
			defer c.end()
			a.calls[callerKey{from.Room, from.Peer}], a.running[c] = c, struct{}{}
		}
		var busy *CallError
		if err := a.Offer(from, goodOffer, make(heard, 8)); !errors.As(err, &busy) || busy.Kind != ErrBusy || !strings.Contains(busy.Remedy, row.remedy) {
			t.Errorf("%s: %v", name, err)
		}
		a.Close()
	}
}

// TestAFullInbox refuses offers and candidates alike, with a remedy of its own, and counts them.
func TestAFullInbox(t *testing.T) {
	a := NewAnswerer(testConfig(t))
	defer a.Close()
	from, o := Caller{Room: "demo", Peer: "ada"}, offerOf(t, goodOffer)
	c := newIncoming(a.config, from, o.offer.fingerprints, make(heard, 8))
	defer c.end()
	a.calls[callerKey{from.Room, from.Peer}] = c
	for n := range maxInbox {
		if err := a.Candidate(from, "candidate:1 1 udp 1 192.0.2.9 9 typ host"); err != nil {
			t.Fatalf("candidate %d: %v", n, err)
		}
	}
	for name, err := range map[string]error{
		"an offer": a.Offer(from, goodOffer, make(heard, 8)), "a candidate": a.Candidate(from, "candidate:1 1 udp 1 192.0.2.9 9 typ host"),
	} {
		var full *CallError
		if !errors.As(err, &full) || full.Kind != ErrTooMany || !strings.Contains(full.Wrong, "128") || !strings.Contains(full.Remedy, "slowly") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := a.Stats().Refused[RefusedTooMany]; n != 2 {
		t.Errorf("%d refusals are counted, want 2", n)
	}
}

// TestNothingIsDroppedAfterTheEnd floods a call before and after it has stopped: only before is its caller told.
func TestNothingIsDroppedAfterTheEnd(t *testing.T) {
	c, heard := idleCall(t)
	defer c.end()
	c.tellDropped()
	if told := heard.all(); len(told) != 1 {
		t.Errorf("before the end the caller was told %q", told)
	}
	c.warned.Store(int64(timing.Never))
	c.stop(EndFlood, "")
	c.tellDropped()
	if told := heard.all(); len(told) != 0 {
		t.Errorf("after the end the caller was told %q", told)
	}
}

// heldMux is a mux whose addresses are not told before it is let go, so that gathering waits.
type heldMux struct {
	ice.UDPMux
	let chan struct{}
}

func (m heldMux) GetListenAddresses() []net.Addr {
	<-m.let
	return m.UDPMux.GetListenAddresses()
}

// TestStoppedInTheMiddle stops the appliance while an answer waits for its candidates: that is no fault of the offer's.
func TestStoppedInTheMiddle(t *testing.T) {
	c, heard := idleCall(t)
	path, err := c.config.Socket.NewPath(func(timing.Instant) {})
	if err != nil {
		t.Fatal(err)
	}
	held := heldMux{path.Mux(), make(chan struct{})}
	settings := c.settings(path)
	settings.SetICEUDPMux(held)
	c.path = path
	if c.connection, err = webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	if err := c.post(offerOf(t, goodOffer)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	c.work(ctx)
	c.tellEnd()
	if told := heard.all(); c.class != EndStopped || len(told) > 0 {
		t.Errorf("ended as %q (%s), and the caller was told %q", c.class, c.reason, told)
	}
	close(held.let)
	c.end()
}

// TestWhatIsWhoseFault holds that what is told as our fault is counted as one.
func TestWhatIsWhoseFault(t *testing.T) {
	for err, want := range map[error]End{
		badOffer("", "anything"): EndOffer, ErrBadCandidate: EndOffer, ErrTooMany: EndFlood, errors.New("create the answer"): EndFault,
	} {
		err = fmt.Errorf("a layer: %w", err)
		if got := endOf(err); got != want || (got == EndFault) != errors.Is(advised(err), ErrFault) {
			t.Errorf("%v ends a call as %q and is told as %q, want %q", err, got, advised(err), want)
		}
	}
}

// TestFaultsAreErrors reads in the log that a call has ended: at which level depends on whose fault it was.
func TestFaultsAreErrors(t *testing.T) {
	for want, first := range map[string]message{"level=ERROR": noPair, "level=INFO": offerOf(t, badForPion)} {
		c, _ := idleCall(t)
		var log strings.Builder
		c.config.Log = slog.New(slog.NewTextHandler(&log, nil))
		if err := c.post(first); err != nil {
			t.Fatal(err)
		}
		c.run(t.Context())
		if line := log.String(); !strings.Contains(line, want) || !strings.Contains(line, `msg="call ended" room=demo peer=ada reason=`) {
			t.Errorf("want %s: %s", want, line)
		}
	}
}
