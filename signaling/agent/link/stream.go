package link

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/transport/v4"
	"github.com/pion/transport/v4/stdnet"

	"tourbillon/signaling/agent/consent"
)

// Bounds of TCP connections, which anybody can open: all of them, and those of one address or IPv6 /64. A connection has
// firstCheckLimit for a first check, and so long again until the agent that it names exists.
const (
	maxStreams           = 256
	maxStreamsPerAddress = 8
	firstCheckLimit      = 5 * time.Second
)

// Buffers of a connection: datagrams that wait to be read, and bytes that wait to be sent; what comes on top is dropped.
const (
	streamReads  = 64
	streamWrites = 256 << 10
)

// streams are the TCP side of a socket (RFC 6544): passive candidates alone, so that nothing of ours connects anywhere.
type streams struct {
	mux       *ice.TCPMuxDefault
	listener  *boundedListener
	announced []netip.AddrPort
	net       transport.Net
}

func openStreams(listener net.Listener, announce []netip.AddrPort, config Config) (*streams, error) {
	bound, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("link: listen for agents on %v: TCP alone", listener.Addr())
	}
	system, err := stdnet.NewNet()
	if err != nil {
		return nil, fmt.Errorf("link: look at the interfaces: %w", err)
	}
	s := &streams{announced: oneOfEachFamily(announce, canonical(bound.AddrPort()))}
	s.net = announcedNet{Net: system, addresses: s.announced}
	s.listener = &boundedListener{Listener: listener, seen: s.seen, open: map[netip.Prefix]int{}}
	s.mux = ice.NewTCPMuxDefault(ice.TCPMuxParams{
		Listener: s.listener, Logger: config.PionLog.NewLogger("ice"), ReadBufferSize: streamReads, WriteBufferSize: streamWrites,
		FirstStunBindTimeout: firstCheckLimit, AliveDurationForConnFromStun: firstCheckLimit,
	})
	return s, nil
}

// oneOfEachFamily are the addresses of the candidates: pion's mux keeps connections by the address that they came to,
// and two candidates of one would share what comes.
func oneOfEachFamily(announce []netip.AddrPort, bound netip.AddrPort) (all []netip.AddrPort) {
	if len(announce) == 0 && !bound.Addr().IsUnspecified() {
		announce = []netip.AddrPort{bound}
	}
	for _, a := range announce {
		if !slices.ContainsFunc(all, func(b netip.AddrPort) bool { return a.Addr().Is6() == b.Addr().Is6() }) {
			all = append(all, netip.AddrPortFrom(a.Addr(), bound.Port()))
		}
	}
	return all
}

// seen is the address by which peers of a family know us, whatever the one that they reached: behind 1:1 NAT they differ.
func (s *streams) seen(is6 bool) net.IP {
	for _, a := range s.announced {
		if a.Addr().Is6() == is6 {
			return a.Addr().AsSlice()
		}
	}
	return nil
}

// announcedNet has pion find the announced addresses where it looks for interfaces.
type announcedNet struct {
	transport.Net
	addresses []netip.AddrPort
}

func (n announcedNet) Interfaces() ([]*transport.Interface, error) {
	i := transport.NewInterface(net.Interface{Index: 1, MTU: 1500, Name: "agents", Flags: net.FlagUp})
	for _, a := range n.addresses {
		bits := a.Addr().BitLen()
		i.AddAddress(&net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(bits, bits)})
	}
	return []*transport.Interface{i}, nil
}

// boundedListener closes connections beyond the bounds at once.
type boundedListener struct {
	net.Listener
	seen func(is6 bool) net.IP

	mu   sync.Mutex // Guards what follows.
	open map[netip.Prefix]int
	all  int
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote, ok := conn.RemoteAddr().(*net.TCPAddr)
		if !ok {
			_ = conn.Close()
			continue
		}
		from := canonical(remote.AddrPort())
		if c, ok := l.admit(conn, from.Addr()); ok {
			return c, nil
		}
		_ = conn.Close()
	}
}

func (l *boundedListener) admit(conn net.Conn, from netip.Addr) (net.Conn, bool) {
	source, _ := from.WithZone("").Prefix(min(from.BitLen(), 64)) // Fits every address.
	ip := l.seen(from.Is6())
	l.mu.Lock()
	defer l.mu.Unlock()
	if ip == nil || l.all >= maxStreams || l.open[source] >= maxStreamsPerAddress {
		return nil, false
	}
	l.all++
	l.open[source]++
	port := l.Addr().(*net.TCPAddr).Port // Looked at in openStreams.
	return &streamConn{Conn: conn, local: &net.TCPAddr{IP: ip, Port: port}, ended: func() { l.forget(source) }}, true
}

func (l *boundedListener) forget(source netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.open[source]--; l.open[source] == 0 {
		delete(l.open, source)
	}
}

// streamConn is a connection under the address that its peer knows.
type streamConn struct {
	net.Conn
	local *net.TCPAddr
	once  sync.Once
	ended func()
}

func (c *streamConn) LocalAddr() net.Addr { return c.local }

func (c *streamConn) Close() error {
	c.once.Do(c.ended)
	return c.Conn.Close()
}

// TCPMux is what the path's agent gets as its TCP mux, and the network in which it looks for addresses; nil where the
// socket has no listener.
func (p *Path) TCPMux() (ice.TCPMux, transport.Net) {
	s := p.socket.streams
	if s == nil {
		return nil, nil
	}
	return pathTCPMux{s, p}, s.net
}

// pathTCPMux is the shared mux as one agent sees it. Closing it is the socket's business.
type pathTCPMux struct {
	streams *streams
	path    *Path
}

// LocalAddr is no certain address: each announced one is as good.
func (m pathTCPMux) LocalAddr() net.Addr {
	return &net.TCPAddr{Port: m.streams.listener.Addr().(*net.TCPAddr).Port}
}

func (m pathTCPMux) GetConnByUfrag(ufrag string, is6 bool, _ net.IP) (net.PacketConn, error) {
	inner, err := m.streams.mux.GetConnByUfrag(ufrag, is6, m.streams.seen(is6))
	if err != nil {
		return nil, err
	}
	g := &streamGate{PacketConn: inner, path: m.path}
	m.path.mu.Lock()
	defer m.path.mu.Unlock()
	m.path.streams[is6] = g
	return g, nil
}

func (m pathTCPMux) RemoveConnByUfrag(ufrag string) { m.streams.mux.RemoveConnByUfrag(ufrag) }

func (m pathTCPMux) Close() error { return nil }

// streamGate is an agent's side of the connections that name it: it lets through what may leave.
type streamGate struct {
	net.PacketConn
	path *Path
}

// ReadFrom reads the agent's packets but for answers to consent checks, and notes from where the peer's checks come.
func (g *streamGate) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := g.PacketConn.ReadFrom(b)
		if err != nil {
			return n, from, err
		}
		remote := addrPort(from)
		if g.path.socket.takes(b[:n], remote) {
			continue
		}
		if consent.KindOf(b[:n]) == consent.Request {
			g.path.socket.pacer.heard(g.path.id, remote)
		}
		return n, from, nil
	}
}

// WriteTo sends, queues or drops a packet, as the UDP gate does. Connections are of one agent, and the peer has opened
// them, so that no address is forbidden or another agent's.
func (g *streamGate) WriteTo(b []byte, to net.Addr) (int, error) {
	p := g.path
	kind := consent.KindOf(b)
	switch {
	case kind == consent.Request:
		p.socket.pacer.offer(check{path: p, through: g, datagram: slices.Clone(b), to: addrPort(to)})
		return len(b), nil
	case kind == consent.Other && p.stopped.Load():
		p.socket.counts.stopped.Add(1)
		return len(b), nil
	}
	if !p.begin() {
		return 0, net.ErrClosed
	}
	defer p.end()
	return g.PacketConn.WriteTo(b, to)
}

// WriteToAddrPort sends a check of pion's or of consent whose turn has come.
func (g *streamGate) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return g.PacketConn.WriteTo(b, net.TCPAddrFromAddrPort(to))
}
