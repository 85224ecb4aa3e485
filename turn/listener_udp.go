package turn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// udpListener is a listening socket as pion sees it. pion reads it in one goroutine, which handles one packet to its
// end before the next.
type udpListener struct {
	core   *core
	socket net.PacketConn
	wild   wildcard // the socket, if it is on a wildcard address; nil otherwise
	ended  *latch
	// draining is told by quiesce, quiet by pion's reading goroutine in answer.
	draining, quiet *latch

	// index is the listener's in clientKey.
	index int
	// request is the note on the packet that pion handles now, from the client at from, which came to local, an address
	// of this host that only a wildcard listener tells. pion's reading goroutine owns them.
	request   request
	from      netip.AddrPort
	local     netip.Addr
	zone      string // local in a client's address; see tell
	readEnded sync.Once
}

// newUDPListener wraps a socket. Whoever starts to read it adds a task to the core, which the end of reading takes off.
func newUDPListener(c *core, socket net.PacketConn) *udpListener {
	return &udpListener{
		core: c, socket: socket, wild: wildcardOf(socket), ended: newLatch(), draining: newLatch(), quiet: newLatch(),
	}
}

// ReadFrom returns the next packet that is STUN or ChannelData. Its error is net.ErrClosed and nothing else: pion ends
// the listener and all its allocations on any error.
func (l *udpListener) ReadFrom(p []byte) (int, net.Addr, error) {
	retry := backoff{clock: l.core.clock}
	l.settle()
	for {
		draining := l.draining.closed()
		if draining {
			l.quiet.close() // pion has come back for more: it serves no request now and gets none any more.
		}
		n, from, err := l.receive(p)
		if draining && err == nil {
			continue
		}
		if isTimeout(err) { // Set by quiesce alone.
			_ = l.socket.SetReadDeadline(time.Time{})
			continue
		}
		if err == nil {
			retry.reset()
			if udp, ok := from.(*net.UDPAddr); ok && l.inspect(p[:n]) {
				if l.request.username != "" {
					l.from = addrPort(udp)
				}
				return n, udp, nil
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) || !l.core.retry(&retry, l.ended.done) {
			l.readEnded.Do(l.core.tasks.Done)
			return 0, nil, net.ErrClosed
		}
	}
}

// receive reads the socket. The address of a client of a wildcard listener tells the address of this host as well.
func (l *udpListener) receive(p []byte) (int, net.Addr, error) {
	if l.wild == nil {
		return l.socket.ReadFrom(p)
	}
	n, from, local, err := l.wild.ReadPacket(p)
	if err != nil {
		return 0, nil, err
	}
	if local != l.local {
		l.local, l.zone = local, ""
		if local.IsValid() {
			l.zone = local.String()
		}
	}
	return n, tell(from, l.zone), nil
}

// inspect counts a packet, notes what pion's callbacks will need, and tells whether pion is to see it.
func (l *udpListener) inspect(p []byte) (ok bool) {
	defer l.core.survive("datagram")
	l.core.counters.fromClients.add(len(p))
	switch classify(p) {
	case kindGarbage:
		l.core.counters.garbage.Add(1)
		return false
	case kindSTUN:
		l.request = noteRequest(p, l.core.ring.Load())
	}
	return true
}

// WriteTo sends a packet to a client, or drops it in silence when its source has had its share of replies.
func (l *udpListener) WriteTo(p []byte, to net.Addr) (int, error) {
	whole := len(p)
	if isResponse(p) {
		p = l.core.correct(&l.request, l.key(), p)
	}
	if !l.core.admitReply(p, addrPort(to)) {
		return whole, nil
	}
	if err := l.send(p, to); err != nil {
		return 0, err
	}
	l.core.counters.toClients.add(len(p))
	return whole, nil
}

// send sends a packet to a client, from the address of this host that the client uses.
func (l *udpListener) send(p []byte, to net.Addr) error {
	if l.wild != nil {
		return l.wild.WritePacket(p, addrPort(to), localOf(to))
	}
	_, err := l.socket.WriteTo(p, to)
	return err
}

// key is the 5-tuple of the client whose request pion handles now.
func (l *udpListener) key() clientKey {
	return clientKey{listener: l.index, client: l.from, local: l.local}
}

// settle answers the request that pion has just left in silence, if it did.
func (l *udpListener) settle() {
	if !l.request.pending() {
		return
	}
	if p := l.core.overdue(&l.request, l.key()); p != nil {
		_ = l.send(p, tell(l.from, l.zone)) // Lost like any datagram.
	}
}

func (l *udpListener) note(netip.AddrPort) *request { return &l.request }

// authenticated has nothing to do: a datagram socket holds nothing for strangers.
func (l *udpListener) authenticated(netip.AddrPort) {}

// quiesce withholds all further packets from pion and waits until it serves none, or ctx ends. pion does not lock the
// end of an allocation against a request for it that is still being served.
func (l *udpListener) quiesce(ctx context.Context) {
	l.draining.close()
	_ = l.socket.SetReadDeadline(time.Unix(1, 0)) // The past wakes a read that waits.
	select {
	case <-l.quiet.done:
	case <-l.ended.done:
	case <-ctx.Done():
	}
}

// Close ends the listener; pion's reading goroutine follows.
func (l *udpListener) Close() error {
	if !l.ended.close() {
		return nil
	}
	return l.socket.Close()
}

// LocalAddr is the bound address; on a wildcard address that which the packet came to that pion handles now, since pion
// takes it for the server's part of the 5-tuple. It is for pion's reading goroutine.
func (l *udpListener) LocalAddr() net.Addr {
	bound := l.socket.LocalAddr()
	if !l.local.IsValid() {
		return bound
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.local, addrPort(bound).Port()))
}

// SetDeadline and its two sisters pass through; pion sets none.
func (l *udpListener) SetDeadline(t time.Time) error { return l.socket.SetDeadline(t) }

// SetReadDeadline is described at SetDeadline.
func (l *udpListener) SetReadDeadline(t time.Time) error { return l.socket.SetReadDeadline(t) }

// SetWriteDeadline is described at SetDeadline.
func (l *udpListener) SetWriteDeadline(t time.Time) error { return l.socket.SetWriteDeadline(t) }
