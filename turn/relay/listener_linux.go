package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Buffers that are asked for on sockets; the kernel caps them. A listener has the packets of many clients.
const (
	listenerBuffer = 8 << 20
	relayBuffer    = 1 << 20
)

// Listener is one loop's part of a listening address. As a net.PacketConn it gives what the loop does not handle
// itself: requests, and what is out of the ordinary. One goroutine at a time reads. On a wildcard address ReadPacket and
// WritePacket also tell and choose the address of this host.
type Listener struct {
	handle
	up     *up
	local  netip.AddrPort
	closed atomic.Bool
}

var _ net.PacketConn = (*Listener)(nil)

// Listen binds an address on every loop. A client keeps to one of them as long as all are open. An IPv6 wildcard is
// also one of IPv4, unless only6.
//
// The first socket is bound without SO_REUSEPORT, so that another server on the port is noticed although it may have
// set the option.
func (p *Plane) Listen(at netip.AddrPort, only6 bool) ([]*Listener, error) {
	var all []*Listener
	for i, loop := range p.loops {
		l, err := loop.listen(at, i > 0, only6)
		if err == nil && i == 0 && len(p.loops) > 1 {
			err = unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
		if err != nil {
			if l != nil {
				all = append(all, l)
			}
			return nil, closing(all, err)
		}
		all = append(all, l)
		at = netip.AddrPortFrom(at.Addr(), l.local.Port())
	}
	for i, loop := range p.loops {
		if err := loop.add(&all[i].handle, kindListener, all[i].sink()); err != nil {
			return nil, closing(all, err)
		}
	}
	return all, nil
}

// closing closes what was opened before an error.
func closing(all []*Listener, err error) error {
	for _, open := range all {
		_ = open.Close() // Nobody has used it.
	}
	return err
}

func (l *Listener) sink() int {
	for i, u := range l.loop.ups {
		if u == l.up {
			return i
		}
	}
	return sinkRelays
}

// listen binds one socket, which the loop does not read yet.
func (l *Loop) listen(at netip.AddrPort, share, only6 bool) (*Listener, error) {
	fd, family, err := bindUDP(at, listenerBuffer, share, only6)
	if err != nil {
		return nil, err
	}
	sink, err := l.openSink() // Last, since it is never given back.
	if err != nil {
		_ = unix.Close(fd) // Nobody has used it.
		return nil, err
	}
	listener := &Listener{handle: handle{loop: l, fd: fd, family: family}, up: l.ups[sink]}
	listener.local, err = localAddr(fd)
	return listener, err
}

// bindUDP opens a socket outside Go's poller: it would wake for each packet.
func bindUDP(at netip.AddrPort, buffer int, share, only6 bool) (fd, family int, err error) {
	family = unix.AF_INET6
	if at.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, family, fmt.Errorf("open a UDP socket: %w", err)
	}
	for _, option := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, option[0], buffer) != nil { // Without CAP_NET_ADMIN.
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option[1], buffer) // What is refused leaves the buffer smaller.
		}
	}
	if family == unix.AF_INET6 {
		only := 1
		if at.Addr().IsUnspecified() && !only6 {
			only = 0
		}
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
	}
	if at.Addr().IsUnspecified() {
		err = errors.Join(err, tellLocal(fd, family))
	}
	if share {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	}
	if err == nil {
		err = bind(fd, at, family)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, family, err
	}
	return fd, family, nil
}

// tellLocal has a socket on a wildcard address tell of each packet to which address it came. On an IPv6 socket it does
// so for IPv4 as well.
func tellLocal(fd, family int) error {
	level, option := unix.IPPROTO_IP, unix.IP_PKTINFO
	if family == unix.AF_INET6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		return fmt.Errorf("ask for the local address of packets: %w", err)
	}
	return nil
}

func bind(fd int, at netip.AddrPort, family int) error {
	var address unix.Sockaddr = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if family == unix.AF_INET {
		address = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	if err := unix.Bind(fd, address); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}

func localAddr(fd int) (netip.AddrPort, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read a socket's address: %w", err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("a socket's address is a %T", name)
}

// ReadFrom waits for the next packet. After Close its error is net.ErrClosed, once the port is free.
func (l *Listener) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, _, err := l.ReadPacket(p)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadPacket is ReadFrom, and tells at which address of this host the packet came in where the listener is on a
// wildcard address; local is invalid otherwise. The zone of a link-local address is its interface's index.
func (l *Listener) ReadPacket(p []byte) (n int, from netip.AddrPort, local netip.Addr, err error) {
	for {
		e, err := l.up.peek(true)
		if l.closed.Load() {
			<-l.ended
			return 0, from, local, net.ErrClosed
		}
		if err != nil {
			return 0, from, local, err
		}
		current := e.generation == l.loop.m.sockets[l.index].generation
		n = copy(p, e.payload[:e.length])
		from, local = e.from.addrPort(), e.local.local()
		l.up.done()
		if current {
			return n, from, local, nil
		}
	}
}

// Serve hands every packet to take, in place of ReadFrom, and returns after Close, once the port is free. take must not
// block; the packet is good until it returns, and local is as ReadPacket tells it. What take has the loop do may be done
// only when take has nothing more to do, but before any packet that comes later.
func (l *Listener) Serve(take func(p []byte, from netip.AddrPort, local netip.Addr)) {
	l.loop.wake()
	for freed := uint32(0); ; freed = l.loop.reapSince(freed) {
		e, err := l.up.peek(false)
		if e == nil {
			l.loop.rest()
			e, err = l.up.peek(true)
			l.loop.wake()
		}
		if l.closed.Load() || err != nil {
			break
		}
		if e.generation == l.loop.m.sockets[l.index].generation {
			take(e.payload[:e.length], e.from.addrPort(), e.local.local())
		}
		l.up.done()
	}
	l.loop.rest()
	<-l.ended
}

// WritePacket is WriteTo from an address of this host that ReadPacket told, or that the kernel chooses where it is
// invalid.
func (l *Listener) WritePacket(p []byte, to netip.AddrPort, local netip.Addr) error {
	return l.sendTo(p, to, local)
}

// WriteTo sends a packet without blocking; a full socket loses it.
func (l *Listener) WriteTo(p []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("relay: cannot send to a %T", to)
	}
	if err := l.sendTo(p, udp.AddrPort(), netip.Addr{}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the listener. It does not block; ReadFrom returns when the port is free.
func (l *Listener) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	if l.ended == nil { // The loop never had it.
		return unix.Close(l.fd)
	}
	l.end()
	l.up.close()
	return nil
}

// LocalAddr is the bound address.
func (l *Listener) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(l.local) }

// SetReadDeadline bounds the waiting of ReadFrom; the zero Time lifts the bound.
func (l *Listener) SetReadDeadline(t time.Time) error {
	if l.closed.Load() {
		return net.ErrClosed
	}
	return l.up.setDeadline(t)
}

// SetDeadline is SetReadDeadline: writing does not block.
func (l *Listener) SetDeadline(t time.Time) error { return l.SetReadDeadline(t) }

// SetWriteDeadline has nothing to do.
func (l *Listener) SetWriteDeadline(time.Time) error { return nil }

// Loop is the loop that the listener is on.
func (l *Listener) Loop() *Loop { return l.loop }
