package link

import (
	"net"
	"net/netip"

	"github.com/pion/ice/v4"
)

// Conn is an unconnected UDP socket. [UDP] makes one of the system's.
type Conn interface {
	net.PacketConn
	ice.AddrPortReaderWriter
}

// UDP returns a system socket as a Conn.
func UDP(conn *net.UDPConn) Conn { return udpConn{conn} }

type udpConn struct{ *net.UDPConn }

func (c udpConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	return n, canonical(from), err
}

func (c udpConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return c.WriteToUDPAddrPort(b, to)
}

// canonical is an address without the form that dual-stack sockets give to IPv4.
func canonical(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// addrPort is the address of pion's net.Addr; the zero AddrPort of another kind.
func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return canonical(a.AddrPort())
	case *net.TCPAddr:
		return canonical(a.AddrPort())
	}
	return netip.AddrPort{}
}
