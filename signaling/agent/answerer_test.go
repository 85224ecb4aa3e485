package agent_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// openAnswerer is the appliance as a peer on loopback.
func openAnswerer(t *testing.T, limits agent.Limits) (a *agent.Answerer, closeAll func()) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, "listen", err)
	socket, err := link.Open(link.Config{
		Conn: link.UDP(conn), Clock: timing.Runtime{}, Admit: link.Admit(netip.MustParsePrefix("127.0.0.0/8")),
	})
	check(t, "open the socket", err)
	a = agent.NewAnswerer(agent.AnswererConfig{Socket: socket, Clock: timing.Runtime{}, Limits: limits, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	return a, func() {
		a.Close()
		check(t, "close the socket", socket.Close())
	}
}

func caller(n int) agent.Caller {
	return agent.Caller{Room: "demo", Peer: fmt.Sprint("peer", n), Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})}
}

// client is a caller: plain pion with one data channel.
type client struct {
	as         agent.Caller
	connection *webrtc.PeerConnection
	channel    *webrtc.DataChannel
	open       chan struct{}
	got        chan webrtc.DataChannelMessage
	answers    chan string
	restarts   chan string
	// refused, ended and dropped are what else the appliance says.
	refused, ended, dropped chan *agent.CallError
}

func (c *client) Answer(sdp string)     { c.answers <- sdp }
func (c *client) Restart(reason string) { c.restarts <- reason }

func (c *client) Refuse(why *agent.CallError)  { c.refused <- why }
func (c *client) Ended(why *agent.CallError)   { c.ended <- why }
func (c *client) Dropped(why *agent.CallError) { c.dropped <- why }

func newClient(t *testing.T, n int, label string) *client {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	s.LoggerFactory = silent()
	return clientOf(t, s, n, label)
}

func clientOf(t *testing.T, s webrtc.SettingEngine, n int, label string) *client {
	t.Helper()
	connection, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	check(t, "make a client", err)
	c := &client{
		as: caller(n), connection: connection, open: make(chan struct{}), got: make(chan webrtc.DataChannelMessage, 1000),
		answers: make(chan string, 8), restarts: make(chan string, 8),
		refused: make(chan *agent.CallError, 8), ended: make(chan *agent.CallError, 8), dropped: make(chan *agent.CallError, 8),
	}
	unordered, none := false, uint16(0)
	c.channel, err = connection.CreateDataChannel(label, &webrtc.DataChannelInit{Ordered: &unordered, MaxRetransmits: &none})
	check(t, "make a channel", err)
	c.channel.OnOpen(func() { close(c.open) })
	c.channel.OnMessage(func(m webrtc.DataChannelMessage) { c.got <- m })
	return c
}

func (c *client) offer(t *testing.T, options *webrtc.OfferOptions) string {
	t.Helper()
	offer, err := c.connection.CreateOffer(options)
	check(t, "create an offer", err)
	gathered := webrtc.GatheringCompletePromise(c.connection)
	check(t, "gather", c.connection.SetLocalDescription(offer))
	<-gathered
	return c.connection.LocalDescription().SDP
}

func (c *client) call(t *testing.T, a *agent.Answerer, options *webrtc.OfferOptions) {
	t.Helper()
	check(t, "call", a.Offer(c.as, c.offer(t, options), c))
	check(t, "take the answer", c.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: <-c.answers}))
}

// pair is what the client's side of ICE has selected, nil for nothing.
func (c *client) pair(t *testing.T) *webrtc.ICECandidatePair {
	t.Helper()
	pair, err := c.connection.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	check(t, "look at the selected pair", err)
	return pair
}

// TestEcho calls the appliance, gets echoes with instants, restarts ICE and gets echoes again.
func TestEcho(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{})
	c := newClient(t, 1, agent.EchoChannel)
	c.call(t, a, nil)
	<-c.open
	echo := func(text string) {
		t.Helper()
		check(t, "send", c.channel.Send([]byte(text)))
		m := <-c.got
		came, left := binary.BigEndian.Uint64(m.Data), binary.BigEndian.Uint64(m.Data[8:])
		if string(m.Data[16:]) != text || came == 0 || left < came {
			t.Errorf("%q came at %d and left at %d", m.Data[16:], came, left)
		}
	}
	echo("first")
	s := a.Calls()[0]
	for s.State != orchestrate.Connected || s.Path.Consent != consent.Granted { // Other goroutines than the channel's see to that.
		pass()
		s = a.Calls()[0]
	}
	if s.Bytes != 2*5+16 || s.Caller != c.as {
		t.Errorf("%+v", s)
	}
	c.call(t, a, &webrtc.OfferOptions{ICERestart: true})
	for { // The restart took the pair from both sides: until they have selected the same one anew, a message may be lost.
		if pair := c.pair(t); pair != nil && a.Calls()[0].Pair.Remote.Port() == pair.Local.Port {
			break
		}
		pass()
	}
	echo("after the restart")
	check(t, "close the client", c.connection.GracefulClose())
	closeAll()
}

// TestMeasure has twenty probes come back.
func TestMeasure(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{})
	c := newClient(t, 1, agent.MeasureChannel)
	c.call(t, a, nil)
	<-c.open
	check(t, "ask", c.channel.SendText(`{"count":0}`))
	if m := <-c.got; !m.IsString || !strings.Contains(string(m.Data), "ask for 1 to") {
		t.Errorf("a bad request is answered %q", m.Data)
	}
	check(t, "ask", c.channel.SendText(`{"count":20,"interval_ms":5,"size":100}`))
	var result agent.MeasureResult
	for m := range c.got {
		if m.IsString {
			check(t, "read the result", json.Unmarshal(m.Data, &result))
			break
		}
		check(t, "send back", c.channel.Send(m.Data))
	}
	if result.Sent != 20 || result.Received+result.Lost != 20 || result.Received == 0 || result.RTTMicros <= 0 {
		t.Errorf("%+v", result)
	}
	check(t, "close the client", c.connection.GracefulClose())
	closeAll()
}

type deaf struct{}

func (deaf) Answer(string)  {}
func (deaf) Restart(string) {}

func (deaf) Refuse(*agent.CallError)  {}
func (deaf) Ended(*agent.CallError)   {}
func (deaf) Dropped(*agent.CallError) {}

// TestBadOffers refuses bad input while a neighbour is in a call: no call is made of it, and the neighbour notices
// nothing. What is refused, offer_test.go has row by row.
func TestBadOffers(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{})
	defer closeAll()
	neighbour := newClient(t, 2, agent.EchoChannel)
	neighbour.call(t, a, nil)
	<-neighbour.open
	for name, sdp := range map[string]string{
		"empty":             "",
		"no SDP":            "hello",
		"10,000 candidates": "v=0\r\n" + strings.Repeat("a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n", 10000),
		"a huge line":       "v=0\r\na=" + strings.Repeat("x", 5000) + "\r\n",
		"junk":              "v=0\r\njunk",
	} {
		if err := a.Offer(caller(1), sdp, deaf{}); !errors.Is(err, agent.ErrBadOffer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.Candidate(caller(1), "candidate:1 1 udp 1 192.0.2.9 9 typ host"); !errors.Is(err, agent.ErrNoCall) {
		t.Errorf("a candidate without a call: %v", err)
	}
	if err := a.Candidate(neighbour.as, "candidate:"+strings.Repeat("x", 9999)); !errors.Is(err, agent.ErrBadCandidate) {
		t.Errorf("a candidate of junk: %v", err)
	}
	neighbour.echo(t, "still here")
	s := a.Stats()
	if len(a.Calls()) != 1 || s.Begun != 1 || s.Refused[agent.RefusedOffer] != 5 || s.Refused[agent.RefusedCandidate] != 1 || s.Refused[agent.RefusedNoCall] != 1 {
		t.Errorf("%d calls, %+v", len(a.Calls()), s)
	}
	check(t, "close the neighbour", neighbour.connection.GracefulClose())
}

// echo sends until it is echoed, less and less often: a channel without retransmissions may lose it.
func (c *client) echo(t *testing.T, text string) {
	t.Helper()
	limit := time.Now().Add(timingtest.Patience)
	for passes := 1; time.Now().Before(limit); passes *= 2 {
		check(t, "send", c.channel.Send([]byte(text)))
		for range passes {
			pass()
			select {
			case m := <-c.got:
				if string(m.Data[16:]) == text {
					return
				}
			default:
			}
		}
	}
	t.Fatalf("%q was not echoed", text)
}

// TestBounds holds calls to their numbers, in total and by address.
func TestBounds(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{Total: 3, PerAddress: 2})
	c := newClient(t, 1, agent.EchoChannel)
	sdp := c.offer(t, nil)
	for n, want := range []error{nil, nil, agent.ErrBusy} {
		from := agent.Caller{Room: "demo", Peer: fmt.Sprint(n), Address: netip.MustParseAddr("192.0.2.7")}
		if err := a.Offer(from, sdp, deaf{}); !errors.Is(err, want) {
			t.Errorf("call %d from one address: %v", n, err)
		}
	}
	check(t, "the third call", a.Offer(caller(3), sdp, deaf{}))
	if err := a.Offer(caller(4), sdp, deaf{}); !errors.Is(err, agent.ErrBusy) {
		t.Errorf("the fourth call: %v", err)
	}
	check(t, "close the client", c.connection.GracefulClose())
	closeAll()
	if err := a.Offer(caller(5), sdp, deaf{}); !errors.Is(err, agent.ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
}

// TestFlood ends a call that carries more than it may.
func TestFlood(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{Bytes: 100_000})
	c := newClient(t, 1, agent.EchoChannel)
	c.call(t, a, nil)
	<-c.open
	flood := make([]byte, 1000)
	for len(a.Calls()) != 0 {
		_ = c.channel.Send(flood) // Fails when the call has ended.
	}
	if why := <-c.ended; !errors.Is(why, agent.ErrBound) || !strings.Contains(why.Remedy, "agents.bytes") {
		t.Errorf("the caller was told %v", why)
	}
	check(t, "close the client", c.connection.GracefulClose())
	closeAll()
}

// TestForeignFingerprint has a caller whose certificate is not the one of its offer: no channel opens, the call ends.
func TestForeignFingerprint(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{})
	c := newClient(t, 1, agent.EchoChannel)
	sdp := c.offer(t, nil)
	at := strings.Index(sdp, "a=fingerprint:sha-256 ") + len("a=fingerprint:sha-256 ")
	foreign := sdp[:at] + strings.Repeat("00:", 31) + "00" + sdp[at+95:]
	check(t, "call", a.Offer(c.as, foreign, c))
	check(t, "take the answer", c.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: <-c.answers}))
	for len(a.Calls()) != 0 {
		pass()
	}
	select {
	case <-c.got:
		t.Error("a message went through")
	default:
	}
	check(t, "close the client", c.connection.GracefulClose())
	closeAll()
}

// TestCycles makes and ends calls: what is left behind, goleak finds.
func TestCycles(t *testing.T) {
	cycles := 30
	if testing.Short() {
		cycles = 3
	}
	a, closeAll := openAnswerer(t, agent.Limits{})
	for n := range cycles {
		c := newClient(t, 1, agent.EchoChannel)
		c.call(t, a, nil)
		if n%2 == 0 {
			<-c.open
		}
		a.Leave(c.as)
		check(t, "close the client", c.connection.GracefulClose())
		for len(a.Calls()) != 0 {
			pass()
		}
	}
	closeAll()
}
