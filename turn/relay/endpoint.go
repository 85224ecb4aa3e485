package relay

import (
	"encoding/binary"
	"net/netip"
)

// endpoint is an address and port: IPv4 in its mapped form, the port as the machine counts.
type endpoint struct {
	hi, lo uint64
	port   uint16
	_      [3]uint16
}

const mapped = 0xffff << 32

// endpointOf is the endpoint of an address without zone.
func endpointOf(at netip.AddrPort) endpoint {
	b := at.Addr().As16()
	return endpoint{hi: binary.BigEndian.Uint64(b[:]), lo: binary.BigEndian.Uint64(b[8:]), port: at.Port()}
}

func (e endpoint) addrPort() netip.AddrPort {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], e.hi)
	binary.BigEndian.PutUint64(b[8:], e.lo)
	return netip.AddrPortFrom(netip.AddrFrom16(b).Unmap(), e.port)
}
