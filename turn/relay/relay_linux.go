package relay

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Relay is one allocation's socket on a loop. As a net.PacketConn it gives what the loop does not handle itself: packets
// of peers that have no flow. One goroutine at a time reads.
type Relay struct {
	handle
	local netip.AddrPort

	// The loop's mutex guards these.
	toPeers, fromPeers Traffic
	dropped            Drops

	mu       sync.Mutex // guards what follows
	arrived  sync.Cond
	queue    []datagram
	receiver Receiver // nil for ReadFrom
	closed   bool
}

// Receiver is given what a relay's loop does not handle itself, in place of [Relay.ReadFrom]: no goroutine waits for it.
// Its methods are called by one goroutine for all relays of a loop and must not block.
type Receiver interface {
	// Packet is a packet of a peer that has no flow. data is good until it returns. One may still come after Close.
	Packet(from netip.AddrPort, data []byte)
	// Ended tells that the loop has let go of the socket and its port is free.
	Ended()
}

// Deliver gives the packets that come from now on to a receiver. Those that wait are lost: the caller may hold a lock that
// the receiver takes, and before the relay serves there is no peer that has a permission. It is called once, before Close.
func (r *Relay) Deliver(to Receiver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.receiver, r.queue = to, nil
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

// relayQueue is how many packets may wait for ReadFrom; more are lost.
const relayQueue = 64

var _ net.PacketConn = (*Relay)(nil)

// OpenRelay binds a relay's socket on the loop. Nothing is relayed before Attach.
func (l *Loop) OpenRelay(at netip.AddrPort) (*Relay, error) {
	fd, family, err := bindUDP(at, relayBuffer, false, true)
	if err != nil {
		return nil, err
	}
	r := &Relay{handle: handle{fd: fd, family: family}}
	r.relay = r
	r.arrived.L = &r.mu
	if r.local = at; at.Port() == 0 {
		r.local, err = localAddr(fd)
	}
	if err == nil {
		err = l.add(&r.handle, kindRelay, sinkRelays)
	}
	if err != nil {
		r.closeFD()
		return nil, err
	}
	return r, nil
}

// Client is who an allocation belongs to, and what it may use. Ceilings of 0 are none.
type Client struct {
	// Listener and Addr are what a client on UDP has, Stream what one on TCP has: exactly one of Listener and Stream is set.
	Listener *Listener
	Addr     netip.AddrPort
	Stream   *Stream
	// Local is the address of this host that the client uses, as ReadPacket told it: its packets to other addresses are
	// somebody else's, and what goes to it leaves from there. Invalid where the listener is on no wildcard address.
	Local netip.Addr
	// PacketsPerSecond and BytesPerSecond bound the payload of each direction.
	PacketsPerSecond, BytesPerSecond int
}

// Attach gives the relay its client. Where the client has an older relay on the loop, that one relays no more by itself.
func (r *Relay) Attach(c Client) {
	entry := socket{}
	if c.Stream != nil {
		entry.listener, entry.generation = c.Stream.index, c.Stream.generation
	} else {
		entry.listener, entry.client = c.Listener.index, endpointOf(c.Addr)
		entry.nameLen = sockaddr(c.Addr, c.Listener.family, &entry.name)
		entry.local, entry.controlLen = localEndpoint(c.Local), sourceControl(c.Local, c.Listener.family, &entry.control)
	}
	entry.upPackets.cost, entry.downPackets.cost = cost(c.PacketsPerSecond), cost(c.PacketsPerSecond)
	entry.upBytes.cost, entry.downBytes.cost = cost(c.BytesPerSecond), cost(c.BytesPerSecond)
	r.order(command{op: commandAttach, entry: entry})
}

// cost is what one unit takes to grow back at a rate, in 1/1024 ns.
func cost(perSecond int) uint64 {
	if perSecond <= 0 {
		return 0
	}
	return uint64(time.Second) << 10 / uint64(perSecond)
}

// Flow is a peer that the loop may relay with, without asking.
type Flow struct {
	// Peer is the address on the wire, Announced as clients know it, which differs behind 1:1 NAT.
	Peer, Announced netip.AddrPort
	// Channel is the number of the channel bound to the peer, 0 for none.
	Channel uint16
	// WhileLive makes the flow depend on LivePort being live in set LiveSet; see [Plane.Live].
	WhileLive bool
	LiveSet   int
	LivePort  uint16
}

// SetFlow admits a peer, in place of what was known of it. It is in force for every packet sent after SetFlow returned.
func (r *Relay) SetFlow(f Flow) {
	entry := flow{peer: endpointOf(f.Peer), announced: endpointOf(f.Announced), channel: f.Channel}
	if f.WhileLive {
		entry.livePort, entry.liveSet = f.LivePort, uint32(f.LiveSet)
	}
	entry.nameLen = sockaddr(f.Peer, r.family, &entry.name)
	r.order(command{op: commandSetFlow, flow: entry})
}

// RemoveFlow forgets a peer by its address on the wire.
func (r *Relay) RemoveFlow(peer netip.AddrPort) {
	r.order(command{op: commandRemovePeer, flow: flow{peer: endpointOf(peer)}})
}

// RemoveFlows forgets every peer. Their packets come to ReadFrom, and the client's to its listener.
func (r *Relay) RemoveFlows() { r.order(command{op: commandRemoveFlows}) }

func (r *Relay) order(c command) {
	l := r.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sockets[r.index] != &r.handle || l.m.sockets[r.index].generation == 0 {
		return // It has ended.
	}
	c.socket = r.index
	l.command(c)
}

// Traffic is what a relay has relayed by itself: packets and payload bytes.
type Traffic struct{ Packets, Bytes uint64 }

// Traffic returns what went to peers and came from them, and what a ceiling took; after the end, what it was then.
func (r *Relay) Traffic() (toPeers, fromPeers Traffic, dropped Drops) {
	r.loop.mu.Lock()
	defer r.loop.mu.Unlock()
	if r.loop.sockets[r.index] == &r.handle {
		r.readTraffic()
	}
	return r.toPeers, r.fromPeers, r.dropped
}

// readTraffic reads the loop's counters. The caller holds the loop's mutex.
func (r *Relay) readTraffic() {
	s := &r.loop.m.sockets[r.index]
	r.toPeers, r.fromPeers = s.toPeers.read(), s.fromPeers.read()
	r.dropped = Drops{
		PacketRate: atomic.LoadUint64(&s.drops.PacketRate),
		Bandwidth:  atomic.LoadUint64(&s.drops.Bandwidth), Server: atomic.LoadUint64(&s.drops.Server),
		SlowClient: atomic.LoadUint64(&s.drops.SlowClient),
	}
}

func (c *counter) read() Traffic {
	return Traffic{Packets: atomic.LoadUint64(&c.packets), Bytes: atomic.LoadUint64(&c.bytes)}
}

// serveRelays hands packets to their relays and closes sockets that the loop has let go of, until the loop ends.
func (l *Loop) serveRelays() {
	u, freed := l.ups[sinkRelays], uint32(0)
	for {
		err := u.await(&l.m.loop.freed, freed)
		freed = atomic.LoadUint32(&l.m.loop.freed)
		l.reap()
		for {
			e, _ := u.peek(false)
			if e == nil {
				break
			}
			l.deliver(e)
			u.done()
		}
		if err != nil {
			return
		}
	}
}

func (l *Loop) deliver(e *upEntry) {
	l.mu.Lock()
	h := l.sockets[e.socket]
	current := h != nil && l.m.sockets[e.socket].generation == e.generation
	l.mu.Unlock()
	if current && h.relay != nil {
		h.relay.push(e.from.addrPort(), e.payload[:e.length])
	}
}

func (r *Relay) push(from netip.AddrPort, data []byte) {
	r.mu.Lock()
	to := r.receiver
	if to == nil && len(r.queue) < relayQueue && !r.closed {
		r.queue = append(r.queue, datagram{from: from, data: append([]byte(nil), data...)})
		r.arrived.Signal()
	}
	r.mu.Unlock()
	if to != nil {
		to.Packet(from, data)
	}
}

// ending is the receiver that is to be told of the end, if there is one.
func (r *Relay) ending() Receiver {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.receiver
}

// ReadFrom waits for a packet that has no flow. After Close its error is net.ErrClosed, once the port is free.
func (r *Relay) ReadFrom(p []byte) (int, net.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) == 0 && !r.closed {
		r.arrived.Wait()
	}
	if r.closed {
		return 0, nil, net.ErrClosed
	}
	d := r.queue[0]
	if r.queue = r.queue[1:]; len(r.queue) == 0 {
		r.queue = nil
	}
	return copy(p, d.data), net.UDPAddrFromAddrPort(d.from), nil
}

// WriteTo sends a packet without blocking; a full socket loses it.
func (r *Relay) WriteTo(p []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("relay: cannot send to a %T", to)
	}
	if err := r.sendTo(p, udp.AddrPort(), netip.Addr{}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the relay. It does not block; Ended says when the port is free.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed, r.queue = true, nil
	r.arrived.Broadcast()
	r.mu.Unlock()
	r.end()
	return nil
}

// Ended is closed when the loop has let go of the socket and its port is free.
func (r *Relay) Ended() <-chan struct{} { return r.ended }

// LocalAddr is the bound address.
func (r *Relay) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(r.local) }

// SetDeadline and its sisters have nothing to do: reading ends with Close, and writing does not block.
func (r *Relay) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is described at SetDeadline.
func (r *Relay) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is described at SetDeadline.
func (r *Relay) SetWriteDeadline(time.Time) error { return nil }
