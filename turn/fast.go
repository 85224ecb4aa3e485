package turn

import (
	"net"
	"net/netip"
	"sync"

	"tourbillon/turn/relay"
)

// maxFlows bounds the peers that one allocation relays with by itself; those beyond go the slow way.
const maxFlows = 256

// fastPath is one allocation's part in the data plane (package relay). It holds what has been granted and installs a
// flow for each peer that the policy admits, so that the loops need neither the table nor the policy for a packet. A flow is
// a cached verdict: what invalidates one removes it, and the next packet takes the way through entry and relayConn,
// where it is judged and the flow made anew.
type fastPath struct {
	relays *relays
	relay  *relay.Relay // nil where there are no loops
	// streaming says that the client is on a stream; see streamPath. It is written before there is a channel.
	streaming bool

	mu       sync.Mutex // guards what follows, and is held while flows change
	granted  map[netip.Addr]struct{}
	channels map[netip.AddrPort]uint16
	numbers  map[uint16]net.Addr         // the same the other way, for a stream
	flows    map[netip.AddrPort]struct{} // by announced address
}

// attach gives the relay its client: that of a listener's, or of a stream. One on a stream that has none yet follows.
func (f *fastPath) attach(client clientKey, at *relay.Listener, stream *relay.Stream) {
	if f.relay != nil && (at != nil || stream != nil) {
		limits := f.relays.core.limits
		f.relay.Attach(relay.Client{
			Listener: at, Addr: client.client, Local: client.local, Stream: stream,
			PacketsPerSecond: max(0, limits.PacketsPerSecond), BytesPerSecond: max(0, limits.BytesPerSecond),
		})
	}
}

// grant notes a permission.
func (f *fastPath) grant(addr netip.Addr) {
	if f.relay == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.granted == nil {
		f.granted = make(map[netip.Addr]struct{})
	}
	f.granted[addr] = struct{}{}
}

// revoke ends a permission, without which no channel relays either.
func (f *fastPath) revoke(addr netip.Addr) {
	if f.relay == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.granted, addr)
	for peer := range f.flows {
		if peer.Addr() == addr {
			f.drop(peer)
		}
	}
}

// bind notes a channel.
func (f *fastPath) bind(peer netip.AddrPort, channel uint16) {
	if f.relay == nil && !f.streaming {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.channels == nil {
		f.channels = make(map[netip.AddrPort]uint16)
	}
	f.channels[peer] = channel
	if f.streaming {
		if f.numbers == nil {
			f.numbers = make(map[uint16]net.Addr)
		}
		f.numbers[channel] = net.UDPAddrFromAddrPort(peer)
		return
	}
	f.drop(peer) // What may be there has no channel.
	f.install(peer)
}

// unbind ends a channel.
func (f *fastPath) unbind(peer netip.AddrPort) {
	if f.relay == nil && !f.streaming {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.numbers, f.channels[peer])
	delete(f.channels, peer)
	f.drop(peer)
}

// offer has a packet of a peer that took the slow way and was admitted.
func (f *fastPath) offer(peer netip.AddrPort) {
	if f.relay == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.install(peer)
}

// invalidate drops every cached verdict.
func (f *fastPath) invalidate() {
	if f.relay == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flows = nil
	f.relay.RemoveFlows()
}

// install makes a flow for an announced peer that has been granted and that the policy admits.
func (f *fastPath) install(peer netip.AddrPort) {
	channel := f.channels[peer] // 0 for none
	_, granted := f.granted[peer.Addr()]
	_, there := f.flows[peer]
	if there || !granted || len(f.flows) >= maxFlows {
		return
	}
	flow := relay.Flow{Peer: f.relays.inward(peer), Announced: peer, Channel: channel}
	policy := f.relays.core.policy.Load()
	if !policy.Judge(peer, func(netip.AddrPort) bool { return false }).Allowed {
		end := f.relays.end(familyOfAddr(peer.Addr()))
		if end == nil || !policy.Judge(peer, func(netip.AddrPort) bool { return true }).Allowed {
			return // Its packets are denied and counted one by one.
		}
		flow.WhileLive, flow.LivePort, flow.LiveSet = true, peer.Port(), end.set
	}
	if f.flows == nil {
		f.flows = make(map[netip.AddrPort]struct{})
	}
	f.flows[peer] = struct{}{}
	f.relay.SetFlow(flow)
}

func (f *fastPath) drop(peer netip.AddrPort) {
	if _, there := f.flows[peer]; there {
		delete(f.flows, peer)
		f.relay.RemoveFlow(f.relays.inward(peer))
	}
}

// traffic is what the loops relayed.
func (f *fastPath) traffic() (toPeers, fromPeers Traffic) {
	if f.relay == nil {
		return toPeers, fromPeers
	}
	up, down, _ := f.relay.Traffic()
	return Traffic(up), Traffic(down)
}

// drops are what the loops dropped.
func (f *fastPath) drops() relay.Drops {
	if f.relay == nil {
		return relay.Drops{}
	}
	_, _, d := f.relay.Traffic()
	return d
}

// addDrops adds what the loops dropped, by reason and in total.
func (f *fastPath) addDrops(reasons map[string]uint64, total *uint64) {
	d := f.drops()
	for reason, n := range byReason(d) {
		if n > 0 {
			reasons[string(reason)] += n
			*total += n
		}
	}
}

// byReason names what the loops dropped.
func byReason(d relay.Drops) map[Reason]uint64 {
	return map[Reason]uint64{
		reasonPacketRate: d.PacketRate, reasonBandwidth: d.Bandwidth, reasonServer: d.Server, reasonSlowClient: d.SlowClient,
	}
}

// invalidate drops every cached verdict of every relay, since the policy has changed.
func (r *relays) invalidate() {
	for _, end := range r.ends {
		for i := range end.live {
			if c := end.live[i].Load(); c != nil {
				c.fast.invalidate()
			}
		}
	}
}

// openPlane opens the data plane. Where the machine does not allow it, goroutines relay and the log says why.
func (c *core) openPlane(cfg Config) {
	if len(cfg.UDP)+len(cfg.TCP) == 0 || cfg.WithoutLoops {
		return
	}
	plane, err := relay.Open(relay.Options{
		BindingsPerSecond:   max(0, cfg.Limits.BindingsPerSecond),
		ChallengesPerSecond: max(0, cfg.Limits.ChallengesPerSecond),
		BytesPerSecond:      max(0, cfg.Limits.ServerBytesPerSecond),
	})
	if err != nil {
		c.log.Warn("turn: packets are relayed without loops", "error", err)
		return
	}
	for _, note := range plane.Notes() {
		c.log.Info("turn: " + note)
	}
	c.plane = plane
	for _, end := range c.relays.ends {
		end.plane = plane
	}
}

// bindUDP binds an address on every loop, or once where there are none.
func (s *Server) bindUDP(wanted listenAddress) (bound []*listener, err error) {
	add := func(socket net.PacketConn) {
		bound = append(bound, &listener{
			transport: UDP, addr: addrPort(socket.LocalAddr()), packets: newUDPListener(s.core, socket),
		})
	}
	at, ok := listenAddr(wanted.address)
	if s.core.plane == nil || !ok {
		socket, err := net.ListenPacket(familyOf("udp", wanted), wanted.address)
		if err != nil {
			return nil, err
		}
		add(telling(s.core, socket))
		return bound, nil
	}
	listeners, err := s.core.plane.Listen(at, wanted.alone6)
	for _, l := range listeners {
		add(l)
	}
	return bound, err
}

// listenAddr reads a validated listen address. No host is every address of both families, as in package net.
func listenAddr(address string) (netip.AddrPort, bool) {
	if at, err := netip.ParseAddrPort(address); err == nil {
		return at, true
	}
	at, err := netip.ParseAddrPort("[::]" + address)
	return at, err == nil
}

// closePlane ends the data plane, once everything on it has ended.
func (c *core) closePlane() error {
	if c.plane == nil {
		return nil
	}
	return c.plane.Close()
}

// planeStats adds what the loops counted.
func (c *core) planeStats(s Stats) Stats {
	if c.plane == nil {
		return s
	}
	n := c.plane.Counters()
	s.FromClients = s.FromClients.plus(Traffic{Packets: n.FromClients, Bytes: n.FromClientBytes})
	s.ToClients = s.ToClients.plus(Traffic{Packets: n.ToClients, Bytes: n.ToClientBytes})
	s.Garbage, s.Strangers = s.Garbage+n.Garbage, s.Strangers+n.Strangers
	s.SocketFull, s.QueueFull = n.SocketFull, n.QueueFull
	if n.Truncated > 0 {
		s.DeniedPackets[string(reasonTooLong)] += n.Truncated
	}
	s.Bindings, s.ThrottledBindings = s.Bindings+n.Bindings, s.ThrottledBindings+n.ThrottledBindings
	s.Challenges, s.ThrottledChallenges = s.Challenges+n.Challenges, s.ThrottledChallenges+n.ThrottledChallenges
	for reason, dropped := range byReason(n.Drops) {
		if dropped > 0 {
			s.DeniedPackets[string(reason)] += dropped
		}
	}
	return s
}
