package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the kernel tells of the address that a datagram came to, and takes as the address that one leaves from: struct
// cmsghdr before struct in_pktinfo or in6_pktinfo (ip(7), ipv6(7)).
const (
	cmsgHeader   = unix.SizeofCmsghdr
	info4Bytes   = cmsgHeader + unix.SizeofInet4Pktinfo
	info6Bytes   = cmsgHeader + unix.SizeofInet6Pktinfo
	info4Space   = (info4Bytes + 7) &^ 7
	info6Space   = (info6Bytes + 7) &^ 7
	info4Index   = cmsgHeader      // ipi_ifindex
	info4Source  = cmsgHeader + 4  // ipi_spec_dst: the address to answer from
	info4Dest    = cmsgHeader + 8  // ipi_addr: the one in the header, which may be a broadcast's
	info6Address = cmsgHeader      // ipi6_addr
	info6Index   = cmsgHeader + 16 // ipi6_ifindex
)

// readLocal reads the address of ours that a packet came to, and makes what told it into what has an answer leave from
// there. The interface is left to the routing table, but for a link-local address, which means nothing without.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (p *packet) readLocal() {
	if p.controlLen < info4Bytes {
		p.controlLen = 0
		return
	}
	level, kind := *(*int32)(unsafe.Add(p.control(), 8)), *(*int32)(unsafe.Add(p.control(), 12))
	switch {
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO:
		p.readLocal4()
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && p.controlLen >= info6Bytes:
		p.readLocal6()
	default:
		p.controlLen = 0
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func (p *packet) readLocal4() {
	source := word(p.control(), info4Source)
	if source == 0 {
		source = word(p.control(), info4Dest)
	}
	p.local.lo, p.controlLen = mapped|uint64(source), info4Space
	putWord(p.control(), info4Source, source)
	*(*uint32)(unsafe.Add(p.control(), info4Index)) = 0
}

//go:nosplit
//go:norace
//go:nocheckptr
func (p *packet) readLocal6() {
	hi := uint64(word(p.control(), info6Address))<<32 | uint64(word(p.control(), info6Address+4))
	if hi>>56 == 0xff { // Multicast is nobody's own.
		p.controlLen = 0
		return
	}
	p.local.hi = hi
	p.local.lo = uint64(word(p.control(), info6Address+8))<<32 | uint64(word(p.control(), info6Address+12))
	if index := (*uint32)(unsafe.Add(p.control(), info6Index)); hi>>54 == 0xfe80>>6 {
		p.local.scope = *index
	} else {
		*index = 0
	}
	p.controlLen = info6Space
}
