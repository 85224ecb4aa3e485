package turn

import (
	"net"
	"net/netip"

	"tourbillon/turn/relay"
)

// tuple is what varies of the 5-tuple (RFC 8656 3.2) between the clients of one listener. local is the address of this
// host that the client uses, where that varies too: a listener on a wildcard address has many. It is invalid otherwise.
// What goes to the client leaves from there, since a client takes no answer from another address.
type tuple struct {
	client netip.AddrPort
	local  netip.Addr
}

// key names the client in the table of allocations.
func (t tuple) key(listener int) clientKey {
	return clientKey{listener: listener, client: canonicalPort(t.client), local: t.local}
}

// server is the address that the client knows the server by, of a listener on a given address.
func (t tuple) server(listening netip.AddrPort) netip.AddrPort {
	if t.local.IsValid() {
		return canonicalPort(netip.AddrPortFrom(t.local, listening.Port()))
	}
	return listening
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
		c.log.Warn("turn: answers leave from the address that the routing table chooses",
			"listener", udp.LocalAddr(), "error", err)
		return socket
	}
	return w
}

// receive reads a socket, which is wild if that is not nil. The client is as the socket names it, or invalid where it
// is none of UDP.
func receive(socket net.PacketConn, wild *relay.Wildcard, p []byte) (n int, from tuple, err error) {
	if wild != nil {
		n, from.client, from.local, err = wild.ReadPacket(p)
		return n, from, err
	}
	n, addr, err := socket.ReadFrom(p)
	if udp, ok := addr.(*net.UDPAddr); ok {
		from.client = udp.AddrPort()
	}
	return n, from, err
}
