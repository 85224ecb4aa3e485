package turn

import (
	"net"
	"net/netip"

	"tourbillon/turn/relay"
)

// wildcard is a UDP socket on a wildcard address. It tells at which address of this host a packet came in, which is part
// of the client's 5-tuple (RFC 8656 3.2), and sends from there: a client takes no answer from another address.
type wildcard interface {
	ReadPacket(p []byte) (n int, from netip.AddrPort, local netip.Addr, err error)
	WritePacket(p []byte, to netip.AddrPort, local netip.Addr) error
}

// wildcardOf returns a socket as what it is if it is on a wildcard address.
func wildcardOf(socket net.PacketConn) wildcard {
	switch s := socket.(type) {
	case *relay.Listener:
		if s.Wildcard() {
			return s
		}
	case *relay.Wildcard:
		return s
	}
	return nil
}

// telling has a socket that no loop reads tell local addresses, if it is on a wildcard address. Where the machine does
// not allow it, answers leave from the address that the routing table chooses.
func telling(c *core, socket net.PacketConn) net.PacketConn {
	udp, ok := socket.(*net.UDPConn)
	if !ok || !addrPort(udp.LocalAddr()).Addr().IsUnspecified() {
		return socket
	}
	w, err := relay.NewWildcard(udp)
	if err != nil {
		c.log.Warn("turn: answers leave from the address that the routing table chooses", "listener", udp.LocalAddr(), "error", err)
		return socket
	}
	return w
}

// tell makes the address that pion knows a client by. Its zone, which is of no other use to us, carries the address of
// this host that the client uses: pion hands a client's address back with all that it says of the client, and this way
// an answer, a quota or the event of an end are of the right 5-tuple, in whatever goroutine.
func tell(client netip.AddrPort, zone string) net.Addr {
	at := net.UDPAddrFromAddrPort(client)
	at.Zone = zone
	return at
}

// localOf is the address of this host that a client's address tells, invalid for none.
func localOf(client net.Addr) netip.Addr {
	udp, ok := client.(*net.UDPAddr)
	if !ok || udp.Zone == "" {
		return netip.Addr{}
	}
	local, err := netip.ParseAddr(udp.Zone)
	if err != nil { // The zone of a link-local client is an interface.
		return netip.Addr{}
	}
	return local
}

// server is the address that the client knows the server by, of a listener on a given address.
func (k clientKey) server(listening netip.AddrPort) netip.AddrPort {
	if k.local.IsValid() {
		return netip.AddrPortFrom(k.local.WithZone(""), listening.Port())
	}
	return listening
}
