package turn

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"tourbillon/turn/relay"
)

// relayConn is one allocation's socket: it judges the peer of every packet in both directions, counts,
// and survives errors that pass.
type relayConn struct {
	relays *relays
	socket net.PacketConn
	home   *relayEnd
	port   uint16
	fast   fastPath
	stream streamPath

	toPeers, fromPeers meter
	// out and in are the ceilings towards peers and from them.
	out, in *flow
	dropped drops

	// allocation is whose socket it is, nil until it serves.
	allocation atomic.Pointer[entry]
	ended      *latch
	readEnded  sync.Once
}

func newRelayConn(r *relays, socket net.PacketConn, home *relayEnd, port uint16) *relayConn {
	c := r.core
	relaying, _ := socket.(*relay.Relay)
	return &relayConn{
		relays: r, socket: socket, home: home, port: port, ended: newLatch(), fast: fastPath{relays: r, relay: relaying},
		out: c.flowOf(relaying, relay.ToPeer), in: c.flowOf(relaying, relay.FromPeer),
	}
}

// serve begins to hand packets of peers to the allocation: those that no loop relays by itself.
func (c *relayConn) serve(e *entry) {
	c.allocation.Store(e)
	if c.fast.relay != nil {
		c.fast.relay.Deliver(c)
		return
	}
	go c.pump(e) // Ends with the socket; its task ends in endRead.
}

// pump reads the socket until its end.
func (c *relayConn) pump(e *entry) {
	buffer := make([]byte, maxPeerBytes)
	for {
		n, peer, err := c.ReadFrom(buffer)
		if err != nil {
			return
		}
		if n == len(buffer) { // It may have been longer.
			c.drop(reasonTooLong)
			continue
		}
		func() {
			defer c.relays.core.survive("relay read")
			e.toClient(addrPort(peer), buffer[:n])
		}()
	}
}

// maxPeerBytes is more than the longest packet of a peer that is passed on.
const maxPeerBytes = 1600

// Packet implements [relay.Receiver].
func (c *relayConn) Packet(from netip.AddrPort, data []byte) {
	defer c.relays.core.survive("relay read")
	if c.ended.closed() {
		return
	}
	if len(data) >= maxPeerBytes {
		c.drop(reasonTooLong)
		return
	}
	if peer := c.admitFrom(net.UDPAddrFromAddrPort(from), len(data)); peer != nil {
		c.allocation.Load().toClient(addrPort(peer), data)
	}
}

// Ended implements [relay.Receiver]: the port is free.
func (c *relayConn) Ended() { c.readEnded.Do(c.relays.core.tasks.Done) }

// ReadFrom returns the next packet from an admitted peer, whose address is always a *net.UDPAddr. Its error is
// net.ErrClosed and nothing else.
func (c *relayConn) ReadFrom(p []byte) (int, net.Addr, error) {
	if c.stream.client != nil {
		return c.readStream(p)
	}
	retry := backoff{clock: c.relays.core.clock}
	for {
		n, from, err := c.socket.ReadFrom(p)
		if err == nil {
			retry.reset()
			if peer := c.admitFrom(from, n); peer != nil {
				return n, peer, nil
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) || !c.relays.core.retry(&retry, c.ended.done) {
			return 0, nil, c.endRead()
		}
	}
}

func (c *relayConn) endRead() error {
	c.readEnded.Do(c.relays.core.tasks.Done)
	return net.ErrClosed
}

// admitFrom judges and counts a packet from a peer. It returns the peer's address as clients know it, or nil when the
// packet is to be dropped. What has no permission is dropped first (RFC 8656 11.3): a stranger's packets take nothing of
// what the peers may send.
func (c *relayConn) admitFrom(from net.Addr, n int) (peer net.Addr) {
	defer c.relays.core.survive("relay read")
	bound := addrPort(from)
	announced := c.relays.outward(bound)
	if !c.permits(announced) || !c.judge(announced) || !c.within(c.in, n) {
		return nil
	}
	c.fromPeers.add(n)
	c.fast.offer(announced)
	if announced == bound {
		return from
	}
	return net.UDPAddrFromAddrPort(announced)
}

// WriteTo sends one packet to a peer. A packet to a peer without a permission or denied, or above a ceiling, is dropped and
// counted, and reported as sent.
func (c *relayConn) WriteTo(p []byte, to net.Addr) (n int, err error) {
	defer c.relays.core.survive("relay write")
	announced := addrPort(to)
	if !c.permits(announced) || !c.judge(announced) || !c.within(c.out, len(p)) {
		return len(p), nil
	}
	if bound := c.relays.inward(announced); bound != announced {
		to = net.UDPAddrFromAddrPort(bound)
	}
	if n, err = c.socket.WriteTo(p, to); err == nil {
		c.toPeers.add(n)
	}
	c.fast.offer(announced)
	return n, err
}

func (c *relayConn) permits(peer netip.AddrPort) bool {
	e := c.allocation.Load()
	permitted := e != nil && e.permits(peer.Addr())
	if !permitted {
		c.drop(reasonNoPermission)
	}
	return permitted
}

func (c *relayConn) judge(peer netip.AddrPort) bool {
	verdict := c.relays.core.policy.Load().Judge(peer, c.relays.isLive)
	if !verdict.Allowed {
		c.drop(verdict.Reason)
	}
	return verdict.Allowed
}

// within holds a packet of n payload bytes against the ceilings of its direction.
func (c *relayConn) within(f *flow, n int) bool {
	reason := f.admit(c.relays.core.clock.Now(), n)
	if reason != "" {
		c.drop(reason)
	}
	return reason == ""
}

func (c *relayConn) drop(reason Reason) {
	c.dropped.add(reason)
	c.relays.core.counters.droppedPackets.add(reason)
}

// traffic is what was relayed towards peers and from them, by the loops and without them.
func (c *relayConn) traffic() (toPeers, fromPeers Traffic) {
	up, down := c.fast.traffic()
	return c.toPeers.read().plus(up), c.fromPeers.read().plus(down)
}

// sendTo is WriteTo for a peer that the allocation names; what is lost is lost like any datagram.
func (c *relayConn) sendTo(p []byte, peer netip.AddrPort) {
	_, _ = c.WriteTo(p, net.UDPAddrFromAddrPort(peer))
}

// end closes the socket, once.
func (c *relayConn) end() {
	c.ended.once.Do(func() {
		c.home.forget(c)
		close(c.ended.done)
		c.socket.Close()
		if c.allocation.Load() == nil { // Nobody reads it.
			c.readEnded.Do(c.relays.core.tasks.Done)
		}
	})
}
