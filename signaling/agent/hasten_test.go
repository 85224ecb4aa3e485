package agent_test

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/link"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// DTLS handshake messages (RFC 6347 section 4.3.2).
const (
	clientHello        = 1
	helloVerifyRequest = 3
)

// handshakes are the packets whose first record is a certain DTLS handshake message.
func handshakes(network *timingtest.Network, message byte) (all []timingtest.Packet) {
	const record, recordHead = 22, 13
	for _, p := range network.Sent() {
		if len(p.Data) > recordHead && p.Data[0] == record && p.Data[recordHead] == message {
			all = append(all, p)
		}
	}
	return all
}

// inMemoryCall is our answerer and pion's client as its caller, on a network in memory.
type inMemoryCall struct {
	*client
	v        *timingtest.VirtualTime
	network  *timingtest.Network
	socket   *link.Socket
	answerer *agent.Answerer
	server   netip.AddrPort
}

func newInMemoryCall(t *testing.T, v *timingtest.VirtualTime, hasten bool, fate func(timingtest.Packet) timingtest.Fate) *inMemoryCall {
	t.Helper()
	m := &inMemoryCall{v: v, network: memory(t, v, fate), server: netip.AddrPortFrom(serverHost, 4000)}
	endpoint, err := m.network.Listen(m.server)
	check(t, "listen", err)
	m.socket, err = link.Open(link.Config{Conn: endpoint, Clock: v.Clock, Admit: link.Admit(inMemory)})
	check(t, "open the socket", err)
	m.answerer = agent.NewAnswerer(agent.AnswererConfig{Socket: m.socket, Clock: v.Clock})
	var s webrtc.SettingEngine
	s.SetNet(hostNet{network: m.network, address: clientHost})
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.LoggerFactory = silent()
	if hasten {
		agent.Hasten(&s)
	}
	m.client = clientOf(t, s, 1, agent.EchoChannel)
	return m
}

// take takes the answer of a call.
func (m *inMemoryCall) take(t *testing.T, answer string) {
	t.Helper()
	check(t, "take the answer", m.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
}

func (m *inMemoryCall) close(t *testing.T) {
	t.Helper()
	check(t, "close the client", m.connection.GracefulClose())
	m.answerer.Close()
	check(t, "close the socket", m.socket.Close())
	check(t, "close the network", m.network.Close())
	m.v.Pass(time.Minute)
}

// TestHasten calls over a path of 50 ms there and back that loses the first ClientHello: it is repeated after 400 ms, no
// cookie is asked for, and with SCTP's handshake in the descriptions the channel is open three ways after DTLS's end.
func TestHasten(t *testing.T) {
	const oneWay = 25 * time.Millisecond
	for _, ours := range []bool{true, false} {
		timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
			var lost atomic.Bool
			var number atomic.Int64
			c := newInMemoryCall(t, v, ours, func(p timingtest.Packet) timingtest.Fate {
				first := len(p.Data) > 13 && p.Data[0] == 22 && !lost.Swap(true)
				// What leaves at one instant arrives in order.
				return timingtest.Fate{Lose: first, Delay: oneWay + time.Duration(number.Add(1))*time.Microsecond}
			})
			var opened atomic.Int64
			c.channel.OnOpen(func() { opened.Store(int64(v.Clock.Now())); close(c.open) })
			check(t, "call", c.answerer.Offer(c.as, c.offer(t, nil), c))
			answer := <-c.answers
			if got := strings.Contains(answer, "a=sctp-init:"); got != ours {
				t.Errorf("our caller %v: the answer has SCTP's part: %v", ours, got)
			}
			c.take(t, answer)
			v.Pass(10 * time.Second)
			<-c.open
			hellos := handshakes(c.network, clientHello)
			if again := hellos[1].Sent.Sub(hellos[0].Sent); again != 400*time.Millisecond {
				t.Errorf("the lost ClientHello left again after %v", again)
			}
			if asked := len(handshakes(c.network, helloVerifyRequest)) > 0; asked == ours {
				t.Errorf("our caller %v: a cookie was asked for: %v", ours, asked)
			}
			// Hello, the server's flight, the client's, which ends DTLS for the server; then the channel's there and back.
			took := timing.Instant(opened.Load()).Sub(hellos[1].Sent).Truncate(time.Millisecond)
			if ours && took != 5*oneWay {
				t.Errorf("the channel was open %v after the second ClientHello, want %v", took, 5*oneWay)
			}
			if !ours && took <= 5*oneWay {
				t.Errorf("to a caller with pion's defaults the channel was open after %v, as to our own", took)
			}
			c.close(t)
		})
	}
}

// TestTriggeredCheck calls over a path without delay: our own check waits for the caller's and answers it at once, so that
// nothing waits for the next Ta, and no check leaves before the caller has what it needs to answer.
func TestTriggeredCheck(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		var number atomic.Int64
		c := newInMemoryCall(t, v, false, func(timingtest.Packet) timingtest.Fate {
			return timingtest.Fate{Delay: time.Duration(number.Add(1)) * time.Microsecond} // What leaves at one instant arrives in order.
		})
		var opened atomic.Int64
		c.channel.OnOpen(func() { opened.Store(int64(v.Clock.Now())); close(c.open) })
		start := v.Clock.Now()
		check(t, "call", c.answerer.Offer(c.as, c.offer(t, nil), c))
		answer := <-c.answers
		v.Pass(20 * time.Millisecond) // Signaling takes its time.
		for _, p := range c.network.Sent() {
			if p.From == c.server {
				t.Errorf("%x left before the caller had the answer", p.Data[:2])
			}
		}
		c.take(t, answer)
		v.Pass(10 * time.Second)
		<-c.open
		if took := timing.Instant(opened.Load()).Sub(start); took >= 50*time.Millisecond {
			t.Errorf("the channel was open after %v: something waited for a Ta", took)
		}
		c.close(t)
	})
}

// TestSpoofedHello sends our DTLS server the ClientHello of a peer, whose own was lost, from where that peer is not: from
// an address that is no candidate, and from one that is, but not of the selected pair. No byte of DTLS goes there.
func TestSpoofedHello(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		var mu sync.Mutex
		var hello *timingtest.Packet
		var number atomic.Int64
		c := newInMemoryCall(t, v, true, func(p timingtest.Packet) timingtest.Fate {
			isHello := p.From.Addr() == serverHost && len(p.Data) > 13 && p.Data[0] == 22 && p.Data[13] == clientHello
			mu.Lock()
			defer mu.Unlock()
			if isHello && hello == nil {
				hello = &p
			}
			return timingtest.Fate{Lose: isHello, Delay: time.Duration(number.Add(1)) * time.Microsecond}
		})
		check(t, "call", c.answerer.Offer(c.as, c.offer(t, nil), c))
		c.take(t, <-c.answers)
		known, unknown := netip.MustParseAddrPort("192.0.2.66:5000"), netip.MustParseAddrPort("192.0.2.67:5000")
		check(t, "make an address known", c.connection.AddICECandidate(webrtc.ICECandidateInit{Candidate: "candidate:9 1 udp 1 192.0.2.66 5000 typ host"}))
		v.Pass(300 * time.Millisecond)
		mu.Lock()
		spoofed := *hello
		mu.Unlock()
		for _, from := range []netip.AddrPort{unknown, known} {
			liar, err := c.network.Listen(from)
			check(t, "listen", err)
			_, err = liar.WriteToAddrPort(spoofed.Data, spoofed.To)
			check(t, "send the hello", err)
			v.Pass(5 * time.Second)
			for _, p := range c.network.SentTo(from) {
				if p.Data[0] >= 20 { // RFC 7983: STUN is below, DTLS from 20 on.
					t.Errorf("%v was sent %x", from, p.Data[:14])
				}
			}
			if from == unknown && len(c.network.SentTo(from)) > 0 {
				t.Errorf("an address that is no candidate was sent %d datagrams", len(c.network.SentTo(from)))
			}
		}
		if len(c.network.SentTo(known)) == 0 {
			t.Error("the known address was never tried: the test shows nothing")
		}
		c.close(t)
	})
}
