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
	ended     *latch
	readEnded sync.Once
}

// newUDPListener wraps a socket. Whoever starts to read it adds a task to the core, which the end of reading takes off.
func newUDPListener(c *core, socket net.PacketConn) *udpListener {
	loop, _ := socket.(*relay.Listener)
	return &udpListener{core: c, socket: socket, loop: loop, ended: newLatch()}
}

// run serves the socket until its end.
func (l *udpListener) run(x *transaction) {
	if l.loop != nil {
		defer l.readEnded.Do(l.core.tasks.Done)
		l.loop.Serve(func(p []byte, from netip.AddrPort) {
			if l.inspect(p) && len(p) <= maxFrameBytes {
				x.take(p, from)
			}
		})
		return
	}
	buffer := make([]byte, maxFrameBytes+1)
	for {
		n, from, err := l.ReadFrom(buffer)
		if err != nil {
			return
		}
		if n < len(buffer) { // What fills it may have been longer.
			x.take(buffer[:n], from.(*net.UDPAddr).AddrPort())
		}
	}
}

// ReadFrom returns the next packet that is STUN or ChannelData, from a *net.UDPAddr. Its error is net.ErrClosed and
// nothing else: errors that pass are survived.
func (l *udpListener) ReadFrom(p []byte) (int, net.Addr, error) {
	retry := backoff{clock: l.core.clock}
	for {
		n, from, err := l.socket.ReadFrom(p)
		if err == nil {
			retry.reset()
			if udp, ok := from.(*net.UDPAddr); ok && l.inspect(p[:n]) {
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

// inspect counts a packet and tells whether it is to be served.
func (l *udpListener) inspect(p []byte) (ok bool) {
	l.core.counters.fromClients.add(len(p))
	if classify(p) == kindGarbage {
		l.core.counters.garbage.Add(1)
		return false
	}
	return true
}

// reply implements [back]: what a source has had its share of is dropped in silence.
func (l *udpListener) reply(p []byte, to netip.AddrPort) {
	if l.core.admitReply(p, canonicalPort(to)) {
		l.send(p, to)
	}
}

// send implements [back]. What is lost is lost like any datagram.
func (l *udpListener) send(p []byte, to netip.AddrPort) {
	var err error
	if l.loop != nil {
		err = l.loop.Send(p, to)
	} else {
		_, err = l.socket.WriteTo(p, net.UDPAddrFromAddrPort(to))
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
