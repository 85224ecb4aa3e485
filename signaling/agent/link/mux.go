package link

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/pion/ice/v4"

	"tourbillon/signaling/agent/consent"
)

// pathMux is the shared mux as one agent sees it.
type pathMux struct {
	ice.UDPMux
	path *Path
}

// GetListenAddresses are those of the host candidates.
func (m pathMux) GetListenAddresses() []net.Addr {
	announce := m.path.socket.config.Announce
	if len(announce) == 0 {
		return m.UDPMux.GetListenAddresses()
	}
	addresses := make([]net.Addr, len(announce))
	for i, a := range announce {
		addresses[i] = net.UDPAddrFromAddrPort(a)
	}
	return addresses
}

// GetConn gives the agent its connection. Whatever the announced address, all are the one socket.
func (m pathMux) GetConn(ufrag string, address net.Addr) (net.PacketConn, error) {
	local, ok := m.path.socket.LocalAddr().(*net.UDPAddr)
	if ok && !local.IP.IsUnspecified() {
		address = local
	}
	inner, err := m.UDPMux.GetConn(ufrag, address)
	if err != nil {
		return nil, err
	}
	direct, ok := inner.(ice.AddrPortReaderWriter)
	if !ok {
		return nil, fmt.Errorf("link: %T of pion's mux has no AddrPort methods", inner)
	}
	return &gate{PacketConn: inner, direct: direct, path: m.path}, nil
}

// gate is an agent's connection: it lets through what may leave.
type gate struct {
	net.PacketConn
	direct ice.AddrPortReaderWriter
	path   *Path
}

// ReadFromAddrPort reads the agent's packets and notes from where the peer's checks come.
func (g *gate) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := g.direct.ReadFromAddrPort(b)
	if err == nil && consent.KindOf(b[:n]) == consent.Request {
		g.path.socket.pacer.heard(g.path.id, canonical(from))
	}
	return n, from, err
}

// ReadFrom is ReadFromAddrPort.
func (g *gate) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := g.ReadFromAddrPort(b)
	return n, net.UDPAddrFromAddrPort(from), err
}

// WriteTo is WriteToAddrPort.
func (g *gate) WriteTo(b []byte, to net.Addr) (int, error) { return g.WriteToAddrPort(b, addrPort(to)) }

// WriteToAddrPort sends, queues or drops a datagram. What is dropped on purpose counts as written: to the agent it is a
// packet that the network lost.
func (g *gate) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	s, p, remote := g.path.socket, g.path, canonical(to)
	kind := consent.KindOf(b)
	switch {
	case !s.config.Admit(remote):
		s.counts.forbidden.Add(1)
		return len(b), nil
	case kind != consent.Other && s.foreign(remote, p):
		s.counts.foreign.Add(1)
		return len(b), nil
	case kind == consent.Request:
		s.pacer.offer(check{path: p, through: g.direct, datagram: slices.Clone(b), to: remote})
		return len(b), nil
	case kind == consent.Other && p.stopped.Load():
		s.counts.stopped.Add(1)
		return len(b), nil
	}
	if !p.begin() {
		return 0, net.ErrClosed
	}
	defer p.end()
	return g.direct.WriteToAddrPort(b, to)
}
