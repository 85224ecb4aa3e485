package turn

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"

	"tourbillon/timing/timingtest"
)

// relayed is a server with one allocation whose channel leads to a peer on loopback, which is admitted as an ICE socket
// of our own.
type relayed struct {
	t      *testing.T
	server *Server
	relay  net.PacketConn
	peer   *net.UDPConn
}

// fastPatience bounds every wait of these tests.
const fastPatience = timingtest.Patience

func newRelayed(t *testing.T, transport Transport, withoutLoops bool) *relayed {
	t.Helper()
	cfg := Config{WithoutLoops: withoutLoops}
	if cfg.UDP = []string{"127.0.0.1:0"}; transport == TCP {
		cfg.UDP, cfg.TCP = nil, cfg.UDP
	}
	r := serveRelayed(t, cfg)
	r.allocate(transport)
	return r
}

// serveRelayed is a server without an allocation.
func serveRelayed(t *testing.T, cfg Config) *relayed {
	t.Helper()
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	cfg.Secrets, cfg.MuxPorts = [][]byte{[]byte("secret")}, []netip.AddrPort{addrPort(peer.LocalAddr())}
	server, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), fastPatience)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return &relayed{t: t, server: server, peer: peer}
}

func (r *relayed) allocate(transport Transport) {
	r.t.Helper()
	at := r.server.Addresses()[0].Addr.String()
	var conn net.PacketConn
	var err error
	if transport == TCP {
		var stream net.Conn
		if stream, err = net.Dial("tcp", at); err == nil {
			conn = pion.NewSTUNConn(stream)
		}
	} else {
		conn, err = net.ListenPacket("udp4", "127.0.0.1:0")
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.allocateFrom(conn, at)
}

// allocateFrom allocates through a socket of the client's at an address of the server.
func (r *relayed) allocateFrom(conn net.PacketConn, at string) {
	r.t.Helper()
	r.t.Cleanup(func() { conn.Close() })
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	_, user, pass, _ := r.server.ICEServers("alice", time.Now(), "")
	c, err := pion.NewClient(&pion.ClientConfig{
		STUNServerAddr: at, TURNServerAddr: at, Conn: conn, Username: user, Password: pass,
		Realm: DefaultRealm, LoggerFactory: logs,
		RequestedAddressFamily: pion.RequestedAddressFamilyIPv4,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	if err := c.Listen(); err != nil {
		r.t.Fatal(err)
	}
	if r.relay, err = c.Allocate(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.relay.Close() })
}

// exchange sends there and back until both have arrived: pion's client binds its channel meanwhile.
func (r *relayed) exchange() {
	r.t.Helper()
	buffer := make([]byte, 100)
	if _, err := r.relay.WriteTo([]byte("there"), r.peer.LocalAddr()); err != nil {
		r.t.Fatal(err)
	}
	limit := time.Now().Add(fastPatience)
	if err := r.peer.SetReadDeadline(limit); err != nil {
		r.t.Fatal(err)
	}
	n, from, err := r.peer.ReadFrom(buffer)
	if err != nil || string(buffer[:n]) != "there" {
		r.t.Fatalf("the peer got %q: %v", buffer[:n], err)
	}
	if _, err := r.peer.WriteTo([]byte("and back"), from); err != nil {
		r.t.Fatal(err)
	}
	if err := r.relay.SetReadDeadline(limit); err != nil {
		r.t.Fatal(err)
	}
	if n, _, err = r.relay.ReadFrom(buffer); err != nil || string(buffer[:n]) != "and back" {
		r.t.Fatalf("the client got %q: %v", buffer[:n], err)
	}
}

// bound exchanges until the channel is bound and used.
func (r *relayed) bound() *relayConn {
	r.t.Helper()
	c, exchanged := r.server.core.relays.socket(r.server.Allocations()[0].Relay), uint64(0)
	exchange := func() (past [2]Traffic) {
		r.exchange()
		exchanged++
		timingtest.Eventually(r.t, "what was exchanged is counted", func() bool {
			up, down := c.traffic()
			return up.Packets == exchanged && down.Packets == exchanged
		})
		return [2]Traffic{c.toPeers.read(), c.fromPeers.read()}
	}
	timingtest.Eventually(r.t, "a channel is bound", func() bool {
		exchange()
		return r.server.Allocations()[0].Channels == 1
	})
	past := exchange()
	timingtest.Eventually(r.t, "the client knows of it", func() bool { // Until then, it sends what the loops do not take.
		before := past
		past = exchange()
		return past == before || r.server.core.plane == nil
	})
	return c
}

// TestPolicyChangeReachesTheLoops takes the exception away under a bound channel: not one packet more passes in either
// direction, and each is counted. Then it is given back.
func TestPolicyChangeReachesTheLoops(t *testing.T) {
	for _, way := range []struct {
		transport    Transport
		withoutLoops bool
	}{{UDP, false}, {TCP, false}, {TCP, true}} {
		transport := way.transport
		r := newRelayed(t, transport, way.withoutLoops)
		c := r.bound()
		core, open := r.server.core, r.server.core.policy.Load()
		for range 20 {
			before := core.counters.droppedPackets.read()[string(ReasonLoopback)]
			timingtest.Eventually(t, "what was exchanged is counted", func() bool {
				up, down := c.traffic()
				return up.Packets == down.Packets
			})
			core.policy.Store(NewPolicy(core.relays.addresses(), nil, nil, nil, nil))
			core.relays.invalidate()
			up, down := c.traffic()
			if _, err := r.relay.WriteTo([]byte("denied"), r.peer.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if _, err := r.peer.WriteTo([]byte("denied"), r.relay.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			timingtest.Eventually(t, "both are denied", func() bool {
				return core.counters.droppedPackets.read()[string(ReasonLoopback)] == before+2
			})
			if u, d := c.traffic(); u != up || d != down {
				t.Fatalf("over %s: relayed %+v and %+v, before %+v and %+v", transport, u, d, up, down)
			}
			core.policy.Store(open)
			core.relays.invalidate()
			r.exchange()
		}
	}
}

// TestLoopsRelayByThemselves: once the channel is bound, its packets are not seen outside the loops any more, and are
// counted all the same.
func TestLoopsRelayByThemselves(t *testing.T) {
	for _, transport := range []Transport{UDP, TCP} {
		t.Run(string(transport), func(t *testing.T) { loopRelaysByItself(t, newRelayed(t, transport, false)) })
	}
}

func loopRelaysByItself(t *testing.T, r *relayed) {
	if r.server.core.plane == nil {
		t.Fatal("there are no loops")
	}
	c := r.bound()
	timingtest.Eventually(t, "what was exchanged is counted", func() bool {
		up, down := c.traffic()
		return up.Packets == down.Packets
	})
	slowUp, slowDown := c.toPeers.read(), c.fromPeers.read()
	up, down := c.traffic()
	for range 10 {
		r.exchange()
	}
	if c.toPeers.read() != slowUp || c.fromPeers.read() != slowDown {
		t.Errorf("relayed outside the loops %+v and %+v, before %+v and %+v",
			c.toPeers.read(), c.fromPeers.read(), slowUp, slowDown)
	}
	if u, d := c.traffic(); u.Packets != up.Packets+10 || d.Packets != down.Packets+10 || u.Bytes != up.Bytes+50 {
		t.Errorf("counted %+v and %+v, before %+v and %+v", u, d, up, down)
	}
	if s := r.server.Stats(); s.ToPeers.Packets != up.Packets+10 || s.FromClients.Packets < up.Packets+10 {
		t.Errorf("stats %+v", s)
	}
}

// TestEndedChannelIsForgotten ends a channel, then its permission, as the entry tells of both: the packets take the way
// past the loop, and are dropped there.
func TestEndedChannelIsForgotten(t *testing.T) {
	for _, transport := range []Transport{UDP, TCP} {
		t.Run(string(transport), func(t *testing.T) { endedChannelIsForgotten(t, newRelayed(t, transport, false)) })
	}
}

func endedChannelIsForgotten(t *testing.T, r *relayed) {
	c := r.bound()
	peer := addrPort(r.peer.LocalAddr())
	for range 50 {
		c.fast.unbind(peer)
		c.fast.revoke(peer.Addr())
		c.fast.offer(peer) // From a packet that was on its way.
		if n := len(c.fast.flows); n != 0 {
			t.Fatalf("%d flows without a grant", n)
		}
		c.fast.grant(peer.Addr())
		c.fast.offer(peer)
		c.fast.bind(peer, 0x4000)
		if n := len(c.fast.flows); n != 1 {
			t.Fatalf("%d flows with a channel", n)
		}
	}
}

// TestWithoutLoops relays without loops, as where the data plane cannot run.
func TestWithoutLoops(t *testing.T) {
	for _, transport := range []Transport{UDP, TCP} {
		r := newRelayed(t, transport, true)
		if r.server.core.plane != nil {
			t.Fatal("there are loops")
		}
		c := r.bound()
		if up, _ := c.traffic(); up != c.toPeers.read() || up.Packets == 0 {
			t.Errorf("over %s: counted %+v", transport, up)
		}
	}
}

// TestOneRateBothWays: a packet that goes past the loop takes from the allocation's ceiling in the loop.
func TestOneRateBothWays(t *testing.T) {
	for _, transport := range []Transport{UDP, TCP} {
		t.Run(string(transport), func(t *testing.T) { oneRateBothWays(t, newRelayed(t, transport, false)) })
	}
}

func oneRateBothWays(t *testing.T, r *relayed) {
	c := r.bound()
	before := r.server.Stats().DeniedPackets[string(reasonPacketRate)]
	// The default's burst is 2500 packets; what passes beside the loop leaves it nothing.
	for c.within(c.out, 1) {
	}
	up, _ := c.traffic()
	timingtest.Eventually(t, "the loop drops", func() bool {
		for c.within(c.out, 1) { // What has grown back.
		}
		if _, err := r.relay.WriteTo([]byte("too many"), r.peer.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		return r.server.Stats().DeniedPackets[string(reasonPacketRate)] > before && c.fast.drops().PacketRate > 0
	})
	if now, _ := c.traffic(); now.Packets < up.Packets {
		t.Errorf("%d packets, before %d", now.Packets, up.Packets)
	}
}
