package negotiate

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Datagrams between an arm and the link have the addresses of the arm's hosts before them: from and to, four bytes of
// address and two of port each. One whose to is [registration] makes the sender's address known and comes back.
const headBytes = 12

// registration and newCount are addresses that mean the link itself: newCount has it count from zero.
var (
	registration = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	newCount     = netip.AddrPortFrom(netip.IPv4Unspecified(), 1)
)

var errHead = errors.New("a datagram without its addresses")

func putHead(b []byte, from, to netip.AddrPort) {
	for i, a := range []netip.AddrPort{from, to} {
		address := a.Addr().As4()
		copy(b[6*i:], address[:])
		binary.BigEndian.PutUint16(b[6*i+4:], a.Port())
	}
}

func head(b []byte) (from, to netip.AddrPort, err error) {
	if len(b) < headBytes {
		return from, to, errHead
	}
	return address(b), address(b[6:]), nil
}

func address(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[4:]))
}
