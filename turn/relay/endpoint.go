package relay

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// endpoint is an address and port: IPv4 in its mapped form, the port as the machine counts.
type endpoint struct {
	hi, lo uint64
	port   uint16
	_      uint16
	scope  uint32 // of a link-local address of this host, the index of its interface; see localEndpoint
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

// localEndpoint is an address of this host without a port. The zone of a link-local one is its interface's index.
// The zero endpoint stands for none.
func localEndpoint(at netip.Addr) endpoint {
	if !at.IsValid() {
		return endpoint{}
	}
	e := endpointOf(netip.AddrPortFrom(at, 0))
	if scope, err := strconv.ParseUint(at.Zone(), 10, 32); err == nil {
		e.scope = uint32(scope)
	}
	return e
}

// local is the address of this host that localEndpoint was given, invalid for none.
func (e endpoint) local() netip.Addr {
	if e.hi == 0 && e.lo == 0 {
		return netip.Addr{}
	}
	at := e.addrPort().Addr()
	if e.scope != 0 {
		at = at.WithZone(strconv.FormatUint(uint64(e.scope), 10))
	}
	return at
}
