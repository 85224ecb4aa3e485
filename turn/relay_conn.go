package turn

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tourbillon/turn/relay"
)

// relayConn is one allocation's socket as pion sees it: it judges the peer of every packet in both directions, counts,
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

	ended *latch
	// deletedByPion says who ended the socket. It is written before ended closes.
	deletedByPion atomic.Bool
	readEnded     sync.Once
}

func newRelayConn(r *relays, socket net.PacketConn, home *relayEnd, port uint16) *relayConn {
	c := r.core
	relaying, _ := socket.(*relay.Relay)
	return &relayConn{
		relays: r, socket: socket, home: home, port: port, ended: newLatch(), fast: fastPath{relays: r, relay: relaying},
		out: c.flowOf(relaying, relay.ToPeer), in: c.flowOf(relaying, relay.FromPeer),
	}
}

// ReadFrom returns the next packet from an admitted peer, whose address is always a *net.UDPAddr (any other judges as
// invalid): pion's loop ends silently on any other. Its error is net.ErrClosed and nothing else.
//
// When pion itself deleted the allocation, ReadFrom ends the calling goroutine instead of returning. pion's relay loop
// answers an error by deleting whatever allocation the client has at that moment, which would be the next one if the
// client was quick to make it; the loop has nothing else left to do.
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
	c.fast.awaitEnd() // Its loop lives until all tasks are done.
	c.readEnded.Do(c.relays.core.tasks.Done)
	if c.deletedByPion.Load() {
		runtime.Goexit()
	}
	return net.ErrClosed
}

// admitFrom judges and counts a packet from a peer. It returns the peer's address as clients know it, or nil when the
// packet is to be dropped.
func (c *relayConn) admitFrom(from net.Addr, n int) (peer net.Addr) {
	defer c.relays.core.survive("relay read")
	bound := addrPort(from)
	announced := c.relays.outward(bound)
	if !c.judge(announced) || !c.within(c.in, n) {
		return nil
	}
	c.fromPeers.add(n)
	c.fast.offer(announced)
	if announced == bound {
		return from
	}
	return net.UDPAddrFromAddrPort(announced)
}

// WriteTo sends one packet to a peer. A packet to a denied peer or above a ceiling is dropped and counted, and reported
// as sent: pion would only repeat the refusal to its log.
func (c *relayConn) WriteTo(p []byte, to net.Addr) (n int, err error) {
	defer c.relays.core.survive("relay write")
	announced := addrPort(to)
	if !c.judge(announced) || !c.within(c.out, len(p)) {
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

// traffic is what was relayed towards peers and from them, by the loops and through pion.
func (c *relayConn) traffic() (toPeers, fromPeers Traffic) {
	up, down := c.fast.traffic()
	return c.toPeers.read().plus(up), c.fromPeers.read().plus(down)
}

// Close is pion's: it has deleted the allocation.
func (c *relayConn) Close() error {
	c.end(true)
	return nil
}

// abort is ours: pion notices and deletes the allocation.
func (c *relayConn) abort() { c.end(false) }

func (c *relayConn) end(byPion bool) {
	c.ended.once.Do(func() {
		c.deletedByPion.Store(byPion)
		c.home.forget(c)
		close(c.ended.done)
		c.socket.Close()
	})
}

// LocalAddr is the bound address.
func (c *relayConn) LocalAddr() net.Addr { return c.socket.LocalAddr() }

// SetDeadline and its two sisters pass through; pion sets none.
func (c *relayConn) SetDeadline(t time.Time) error { return c.socket.SetDeadline(t) }

// SetReadDeadline is described at SetDeadline.
func (c *relayConn) SetReadDeadline(t time.Time) error { return c.socket.SetReadDeadline(t) }

// SetWriteDeadline is described at SetDeadline.
func (c *relayConn) SetWriteDeadline(t time.Time) error { return c.socket.SetWriteDeadline(t) }
