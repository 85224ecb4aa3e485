package agent

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent/link"
	"tourbillon/timing"
)

// words are what a caller is told, in order; of refusals and the like the kind.
type words struct{ told []string }

func (w *words) Answer(string)          { w.told = append(w.told, "answer") }
func (w *words) Restart(string)         { w.told = append(w.told, "restart") }
func (w *words) Refuse(why *CallError)  { w.told = append(w.told, "refused: "+why.Kind.Error()) }
func (w *words) Ended(why *CallError)   { w.told = append(w.told, "ended: "+why.Kind.Error()) }
func (w *words) Dropped(why *CallError) { w.told = append(w.told, "dropped: "+why.Kind.Error()) }

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
func idleCall(t *testing.T) (*incoming, *words) {
	t.Helper()
	w := &words{}
	return newIncoming(testConfig(t), Caller{Room: "demo", Peer: "ada"}, nil, w), w
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

// TestNothingIsTakenAfterTheEnd has an offer wait behind what ends the call.
func TestNothingIsTakenAfterTheEnd(t *testing.T) {
	for name, row := range map[string]struct {
		first message
		want  []string
	}{
		"an offer refused by pion": {offerOf(t, badForPion), []string{"refused: bad offer"}},
		"a fault":                  {noPair, nil},
	} {
		c, w := idleCall(t)
		for _, m := range []message{row.first, offerOf(t, goodOffer)} {
			if err := c.post(m); err != nil {
				t.Fatal(err)
			}
		}
		c.run(t.Context())
		if !slices.Equal(w.told, row.want) {
			t.Errorf("%s: the caller was told %q, want %q", name, w.told, row.want)
		}
	}
}
