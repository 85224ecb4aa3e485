package turn

import (
	"errors"
	"net"
	"net/netip"
	"sync"

	"tourbillon/turn/relay"
)

// udpListener is a listening socket. One goroutine reads it, which serves one packet to its end before the next.
type udpListener struct {
	core      *core
	socket    net.PacketConn
	loop      *relay.Listener // the socket, where it is one of a loop
	wild      *relay.Wildcard // the socket, where it is on a wildcard address and no loop's
	ended     *latch
	readEnded sync.Once
}

// newUDPListener wraps a socket. Whoever starts to read it adds a task to the core, which the end of reading takes off.
func newUDPListener(c *core, socket net.PacketConn) *udpListener {
	loop, _ := socket.(*relay.Listener)
	wild, _ := socket.(*relay.Wildcard)
	return &udpListener{core: c, socket: socket, loop: loop, wild: wild, ended: newLatch()}
}

// run serves the socket until its end.
func (l *udpListener) run(x *transaction) {
	if l.loop != nil {
		defer l.readEnded.Do(l.core.tasks.Done)
		l.loop.Serve(func(p []byte, from netip.AddrPort, local netip.Addr) {
			if l.inspect(p) && l.short(p, maxFrameBytes) {
				x.take(p, tuple{client: from, local: local})
			}
		})
		return
	}
	buffer := make([]byte, maxFrameBytes+1)
	for {
		n, from, err := l.read(buffer)
		if err != nil {
			return
		}
		if l.short(buffer[:n], len(buffer)-1) { // What fills it may have been longer.
			x.take(buffer[:n], from)
		}
	}
}

// read returns the next packet that is STUN or ChannelData. Its error is net.ErrClosed and nothing else: errors that
// pass are survived.
func (l *udpListener) read(p []byte) (int, tuple, error) {
	retry := backoff{clock: l.core.clock}
	for {
		n, from, err := receive(l.socket, l.wild, p)
		if err == nil {
			retry.reset()
			if from.client.IsValid() && l.inspect(p[:n]) {
				return n, from, nil
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) || !l.core.retry(&retry, l.ended.done) {
			l.readEnded.Do(l.core.tasks.Done)
			return 0, tuple{}, net.ErrClosed
		}
	}
}

// inspect counts a packet and tells whether it is to be served.
func (l *udpListener) inspect(p []byte) (ok bool) {
	l.core.counters.fromClients.add(len(p))
	if classify(p) == kindGarbage {
		l.core.counters.garbage.Add(1)
		return false
	}
	return true
}

// short tells whether a packet is no longer than any that is served, and counts one that is.
func (l *udpListener) short(p []byte, longest int) bool {
	if len(p) > longest {
		l.core.counters.droppedPackets.add(reasonTooLong)
		return false
	}
	return true
}

// reply implements [back]: what a source has had its share of is dropped in silence.
func (l *udpListener) reply(p []byte, to tuple) {
	if l.core.admitReply(p, canonicalPort(to.client)) {
		l.send(p, to)
	}
}

// send implements [back]: it sends from the address of this host that the client uses. What is lost is lost like any
// datagram.
func (l *udpListener) send(p []byte, to tuple) {
	var err error
	switch {
	case l.loop != nil:
		err = l.loop.WritePacket(p, to.client, to.local)
	case l.wild != nil:
		err = l.wild.WritePacket(p, to.client, to.local)
	default:
		_, err = l.socket.WriteTo(p, net.UDPAddrFromAddrPort(to.client))
	}
	if err == nil {
		l.core.counters.toClients.add(len(p))
	}
}

// authenticated has nothing to do: a datagram socket holds nothing for strangers.
func (l *udpListener) authenticated(netip.AddrPort) {}

// Close ends the listener; the reading goroutine follows.
func (l *udpListener) Close() error {
	if !l.ended.close() {
		return nil
	}
	return l.socket.Close()
}
