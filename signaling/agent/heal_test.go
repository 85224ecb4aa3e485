package agent_test

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/transport/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing/timingtest"
)

// blackout is a call on a network in memory of 10 ms each way, which can lose everything.
type blackout struct {
	v        *timingtest.VirtualTime
	network  *timingtest.Network
	socket   *link.Socket
	answerer *agent.Answerer
	client   *client
	limits   agent.Limits
	dark     atomic.Bool
	// moved is set when the client has left its first address for another.
	moved atomic.Bool
	// nat, where set, is what the client is behind.
	nat *natNet
}

// movingNet is a host whose address changes.
type movingNet struct {
	hostNet
	b *blackout
}

func (m movingNet) host() hostNet {
	h := m.hostNet
	if m.b.moved.Load() {
		h.address = peerHost
	}
	return h
}

func (m movingNet) ListenPacket(network, address string) (net.PacketConn, error) {
	return m.host().ListenPacket(network, address)
}

func (m movingNet) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	return m.host().ListenUDP(network, at)
}

func (m movingNet) Interfaces() ([]*transport.Interface, error) { return m.host().Interfaces() }

func newBlackout(t *testing.T, v *timingtest.VirtualTime) *blackout {
	t.Helper()
	b := &blackout{v: v}
	b.open(t)
	return b
}

// open makes the network and connects the call.
func (b *blackout) open(t *testing.T) {
	t.Helper()
	v := b.v
	b.network = timingtest.NewNetwork(v.Clock, func(p timingtest.Packet) timingtest.Fate {
		gone := b.moved.Load() && (p.From.Addr() == clientHost || p.To.Addr() == clientHost)
		return timingtest.Fate{Lose: b.dark.Load() || gone, Delay: 10 * time.Millisecond}
	})
	endpoint, err := b.network.Listen(netip.AddrPortFrom(serverHost, 4000))
	check(t, "listen", err)
	b.socket, err = link.Open(link.Config{Conn: endpoint, Clock: v.Clock, Admit: link.Admit(inMemory)})
	check(t, "open the socket", err)
	b.answerer = agent.NewAnswerer(agent.AnswererConfig{Socket: b.socket, Clock: v.Clock, Limits: b.limits})
	b.client = b.newClient(t)
	check(t, "call", b.answerer.Offer(b.client.as, b.client.offer(t, nil), b.client))
	b.takeAnswer(t)
	v.Pass(5 * time.Second)
	<-b.client.open
}

// deafen has the client not hear that the appliance ends the call. Told so, pion closes the client while it holds a lock
// over a timer, which another goroutine of its own waits for: harmless, but virtual time stands still while a lock is
// waited for.
func (b *blackout) deafen() { b.dark.Store(true) }

// restart does what the client was asked for.
func (b *blackout) restart(t *testing.T, route string) {
	t.Helper()
	if route != string(orchestrate.Direct) {
		t.Errorf("asked to restart over %s", route)
	}
	check(t, "restart", b.answerer.Offer(b.client.as, b.client.offer(t, &webrtc.OfferOptions{ICERestart: true}), b.client))
	b.takeAnswer(t)
}

// newClient has pion's own liveness off, as a browser that waits for the restart it is asked for.
func (b *blackout) newClient(t *testing.T) *client {
	t.Helper()
	var s webrtc.SettingEngine
	host := hostNet{network: b.network, address: clientHost}
	s.SetNet(movingNet{host, b})
	if b.nat != nil {
		b.nat.hostNet = host
		s.SetNet(b.nat)
	}
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.SetICETimeouts(0, 0, 2*time.Second)
	s.LoggerFactory = silent()
	return clientOf(t, s, 1, agent.EchoChannel)
}

func (b *blackout) takeAnswer(t *testing.T) {
	t.Helper()
	check(t, "take the answer", b.client.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: <-b.client.answers}))
}

// echo sends until an echo comes, at most for some seconds: a channel without retransmissions may lose the first.
func (b *blackout) echo(t *testing.T) {
	t.Helper()
	for range 20 {
		check(t, "send", b.client.channel.Send([]byte("are you there")))
		b.v.Pass(500 * time.Millisecond)
		select {
		case <-b.client.got:
			return
		default:
		}
	}
	t.Fatal("no echo in 10 s")
}

func (b *blackout) close(t *testing.T) {
	t.Helper()
	check(t, "close the client", b.client.connection.GracefulClose())
	b.answerer.Close()
	check(t, "close the socket", b.socket.Close())
	check(t, "close the network", b.network.Close())
	b.v.Pass(time.Minute)
}

// TestTenSecondsOfLoss are less than consent lasts: the call goes on without a restart.
func TestTenSecondsOfLoss(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		b := newBlackout(t, v)
		b.echo(t)
		b.dark.Store(true)
		v.Pass(10 * time.Second)
		b.dark.Store(false)
		b.echo(t)
		if s := b.answerer.Calls()[0]; s.State != orchestrate.Connected || s.Path.Consent != consent.Granted || len(b.client.restarts) != 0 {
			t.Errorf("%+v, %d restarts", s, len(b.client.restarts))
		}
		b.close(t)
	})
}

// TestConsentLost outlasts consent: the client, and nobody else, is asked to restart, and the call goes on.
func TestConsentLost(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		b := newBlackout(t, v)
		b.echo(t)
		b.dark.Store(true)
		dark := v.Clock.Now()
		for b.answerer.Calls()[0].State == orchestrate.Connected && v.Clock.Now().Sub(dark) < time.Minute {
			v.Pass(100 * time.Millisecond)
		}
		// The last valid answer was up to 6 s old when the network went (RFC 7675 5.1), or the call as young.
		took := v.Clock.Now().Sub(dark)
		if s := b.answerer.Calls()[0]; s.State != orchestrate.ConsentLost || s.Path.Consent != consent.Expired || took < 23*time.Second || took > 31*time.Second {
			t.Errorf("after %v of loss: %+v", took, s)
		}
		b.dark.Store(false)
		b.restart(t, <-b.client.restarts)
		v.Pass(3 * time.Second)
		b.echo(t)
		s := b.answerer.Calls()[0]
		var states []orchestrate.State
		for _, entry := range s.Timeline {
			states = append(states, entry.State)
		}
		t.Logf("%v, phases %v, dark at %v", states, s.Phases, dark)
		if s.State != orchestrate.Connected || s.Path.Consent != consent.Granted || len(states) != 6 {
			t.Errorf("after the restart: %+v", s)
		}
		b.close(t)
	})
}

// TestAddressChange moves the client to another address. It notices and restarts by itself, as browsers do: the call
// goes on at the other address, and nothing leaves for the first one any more.
func TestAddressChange(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		b := newBlackout(t, v)
		b.echo(t)
		b.moved.Store(true)
		v.Pass(time.Second)
		check(t, "restart", b.answerer.Offer(b.client.as, b.client.offer(t, &webrtc.OfferOptions{ICERestart: true}), b.client))
		b.takeAnswer(t)
		v.Pass(3 * time.Second)
		b.echo(t)
		s := b.answerer.Calls()[0]
		if s.State != orchestrate.Connected || s.Path.Remote.Addr() != peerHost || len(b.client.restarts) != 0 {
			t.Errorf("%+v, asked %d times", s, len(b.client.restarts))
		}
		sent := len(b.network.Sent())
		v.Pass(time.Minute)
		for _, p := range b.network.Sent()[sent:] {
			if p.To.Addr() == clientHost {
				t.Fatalf("%d bytes left for the old address", len(p.Data))
			}
		}
		b.close(t)
	})
}

// TestIdleCallsEnd has a call carry nothing, and another whose caller is gone for good: both end by themselves.
func TestIdleCallsEnd(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		b := newBlackout(t, v)
		v.Pass(90 * time.Second)
		b.echo(t)
		v.Pass(119 * time.Second)
		if len(b.answerer.Calls()) != 1 {
			t.Error("a call ended before it was idle for two minutes")
		}
		b.deafen()
		v.Pass(2 * time.Second)
		if calls := b.answerer.Calls(); len(calls) != 0 {
			t.Errorf("an idle call goes on: %+v", calls)
		}
		gone := caller(2)
		check(t, "call and be gone", b.answerer.Offer(gone, b.client.connection.LocalDescription().SDP, deaf{}))
		v.Pass(3 * time.Minute)
		if calls := b.answerer.Calls(); len(calls) != 0 {
			t.Errorf("a call without a caller goes on: %+v", calls)
		}
		b.close(t)
	})
}
