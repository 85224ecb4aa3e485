package link_test

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"

	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

const icePath = "github.com/pion/ice/v4"

var (
	// inMemory is where the hosts of these networks are, which no agent may send to otherwise.
	inMemory = netip.MustParsePrefix("192.0.2.0/24")
	ourHost  = netip.MustParseAddrPort("192.0.2.1:4000")
	peerHost = netip.MustParseAddrPort("192.0.2.2:5000")
	liar     = netip.MustParseAddrPort("192.0.2.66:5000")
)

// call is one of our agents and a peer's, plain pion over a mux of its own, on a network in memory.
type call struct {
	v       *timingtest.VirtualTime
	network *timingtest.Network
	socket  *link.Socket
	path    *link.Path
	ours    *ice.Agent
	peer    *ice.Agent
	peerMux ice.UDPMux
	conns   [2]*ice.Conn
	// lost receives the last sign of consent.
	lost chan timing.Instant
	// mute, when set, loses the peer's STUN messages; media passes.
	mute atomic.Bool
}

func newCall(t *testing.T, v *timingtest.VirtualTime) *call {
	t.Helper()
	c := &call{v: v, lost: make(chan timing.Instant, 4)}
	c.network = timingtest.NewNetwork(v.Clock, func(p timingtest.Packet) timingtest.Fate {
		isSTUN := consent.KindOf(p.Data) != consent.Other
		return timingtest.Fate{Lose: isSTUN && p.From == peerHost && c.mute.Load(), Delay: 10 * time.Millisecond}
	})
	endpoint, err := c.network.Listen(ourHost)
	check(t, "listen", err)
	c.socket, err = link.Open(link.Config{Conn: endpoint, Clock: v.Clock, Admit: link.Admit(inMemory)})
	check(t, "open the socket", err)
	c.path, err = c.socket.NewPath(func(since timing.Instant) { c.lost <- since })
	check(t, "make a path", err)
	c.ours = newAgent(t, c.path.Mux(), 0)
	theirs, err := c.network.Listen(peerHost)
	check(t, "listen", err)
	c.peerMux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: theirs})
	c.peer = newAgent(t, c.peerMux, 2*time.Second)
	c.connect(t)
	return c
}

func newAgent(t *testing.T, mux ice.UDPMux, keepalive time.Duration) *ice.Agent {
	t.Helper()
	a, err := ice.NewAgentWithOptions(
		ice.WithUDPMux(mux), ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithDisconnectedTimeout(0), ice.WithFailedTimeout(0), ice.WithKeepaliveInterval(keepalive),
	)
	check(t, "make an agent", err)
	return a
}

// connect has the peer controlling, as a caller is.
func (c *call) connect(t *testing.T) {
	t.Helper()
	for _, way := range [][2]*ice.Agent{{c.ours, c.peer}, {c.peer, c.ours}} {
		check(t, "hear of candidates", way[0].OnCandidate(func(x ice.Candidate) {
			if x != nil {
				_ = way[1].AddRemoteCandidate(x) // Fails on a closed agent alone.
			}
		}))
	}
	ufrag, password, err := c.ours.GetLocalUserCredentials()
	check(t, "read our credentials", err)
	peerUfrag, peerPassword, err := c.peer.GetLocalUserCredentials()
	check(t, "read the peer's credentials", err)
	check(t, "follow the pair", c.ours.OnSelectedCandidatePairChange(func(_, remote ice.Candidate) {
		at := netip.AddrPortFrom(netip.MustParseAddr(remote.Address()), uint16(remote.Port()))
		c.path.Select(at, consent.Credentials{LocalUfrag: ufrag, RemoteUfrag: peerUfrag, RemotePassword: peerPassword})
	}))
	check(t, "gather", c.ours.GatherCandidates())
	check(t, "gather", c.peer.GatherCandidates())
	ended := make(chan error, 2)
	start := func(i int, dial func(context.Context, string, string) (*ice.Conn, error), ufrag, password string) {
		conn, err := dial(t.Context(), ufrag, password)
		c.conns[i] = conn
		ended <- err
	}
	go start(0, c.ours.Accept, peerUfrag, peerPassword)
	go start(1, c.peer.Dial, ufrag, password)
	c.v.Pass(3 * time.Second)
	for range 2 {
		select {
		case err := <-ended:
			check(t, "connect", err)
		default:
			t.Fatalf("not connected after 3 s: %+v, %+v, %d packets", c.socket.Counts(), c.path.Status(), len(c.network.Sent()))
		}
	}
}

func (c *call) close(t *testing.T) {
	t.Helper()
	check(t, "close our agent", c.ours.GracefulClose())
	check(t, "close the peer", c.peer.GracefulClose())
	c.path.Close()
	check(t, "close the socket", c.socket.Close())
	check(t, "close the peer's mux", c.peerMux.Close())
	check(t, "close the network", c.network.Close())
	c.v.Settle()
}

// TestConsentOnTheWire lets five minutes pass: our checks leave 4 to 6 s apart, each once, pion adds none of its own, and
// each is answered.
func TestConsentOnTheWire(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		c := newCall(t, v)
		began := v.Clock.Now()
		v.Pass(5 * time.Minute)
		var last timing.Instant
		checks, ids := 0, map[consent.TransactionID]bool{}
		for _, p := range c.network.SentFrom(ourHost) {
			if consent.KindOf(p.Data) != consent.Request || p.Sent < began {
				continue
			}
			if apart := p.Sent.Sub(last); last != 0 && (apart < consent.MinInterval || apart > 6*time.Second) {
				t.Errorf("two checks %v apart", apart)
			}
			last, ids[consent.TransactionOf(p.Data)] = p.Sent, true
			checks++
		}
		s := c.path.Status()
		if checks < 50 || checks > 75 || len(ids) != checks {
			t.Errorf("%d checks with %d transactions in 5 min", checks, len(ids))
		}
		if s.Consent != consent.Granted || s.Quality.Answers < checks-1 || s.Quality.RTT.Smoothed != 20*time.Millisecond || s.Quality.RTT.Jitter != 0 {
			t.Errorf("status %+v", s)
		}
		c.close(t)
	})
}

// TestMediaIsNoConsent loses the peer's STUN while its media goes on: 30 s after the last answer nothing of ours leaves.
// The answers of a liar in the peer's place, and replays of old ones, change nothing.
func TestMediaIsNoConsent(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		c := newCall(t, v)
		v.Pass(12 * time.Second)
		old := answersOf(c.network)
		c.mute.Store(true)
		lastAnswer := c.path.Status().Renewed
		for v.Clock.Now() < lastAnswer.Add(consent.Expiry-50*time.Millisecond) {
			media(t, c.conns[1])
			media(t, c.conns[0])
			lie(t, c.network, old)
			v.Pass(20 * time.Millisecond)
		}
		if s := c.path.Status(); s.Consent != consent.Granted || s.Renewed != lastAnswer {
			t.Errorf("just before the expiry: %+v, last answer %v", s, lastAnswer)
		}
		v.Pass(50 * time.Millisecond)
		since := <-c.lost
		if s := c.path.Status(); s.Consent != consent.Expired || since != lastAnswer {
			t.Errorf("at the expiry: %+v, lost since %v", s, since)
		}
		silent := v.Clock.Now()
		for range 500 {
			media(t, c.conns[0])
			media(t, c.conns[1])
			v.Pass(20 * time.Millisecond)
		}
		for _, p := range c.network.SentFrom(ourHost) {
			if p.Sent > silent && (consent.KindOf(p.Data) == consent.Other || consent.KindOf(p.Data) == consent.Request) {
				t.Fatalf("%d bytes left %v after consent had expired", len(p.Data), p.Sent.Sub(silent))
			}
		}
		if n := c.socket.Counts(); n.Stopped != 500 || n.Forged == 0 {
			t.Errorf("%+v", n)
		}
		c.close(t)
	})
}

func media(t *testing.T, conn *ice.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte{0x80, 1, 2, 3}); err != nil { // The first byte of RTP.
		t.Fatal(err)
	}
}

func answersOf(network *timingtest.Network) (answers [][]byte) {
	for _, p := range network.SentFrom(peerHost) {
		if consent.KindOf(p.Data) == consent.Answer {
			answers = append(answers, p.Data)
		}
	}
	return answers
}

// lie answers all our checks from another address, signed with a wrong password, and replays what the peer answered
// before. An answer from the right address with a wrong signature is TestConsentByTheKernel's.
func lie(t *testing.T, network *timingtest.Network, old [][]byte) {
	t.Helper()
	e, err := network.Listen(liar)
	check(t, "listen as a liar", err)
	defer e.Close()
	for _, p := range network.SentFrom(ourHost) {
		if consent.KindOf(p.Data) != consent.Request {
			continue
		}
		forged, err := stun.Build(stun.BindingSuccess, stun.NewTransactionIDSetter(consent.TransactionOf(p.Data)),
			stun.NewShortTermIntegrity("a guess"), stun.Fingerprint)
		check(t, "forge an answer", err)
		_, err = e.WriteToAddrPort(forged.Raw, ourHost)
		check(t, "send a forged answer", err)
	}
	for _, answer := range slices.Clone(old) {
		_, err = e.WriteToAddrPort(answer, ourHost)
		check(t, "replay an answer", err)
	}
}
