package relay

import (
	"math/bits"
	"unsafe"
)

// STUN and ChannelData (RFC 8489 5, RFC 8656 12.4).
const (
	stunHeader     = 20
	channelHeader  = 4
	magicCookie    = 0x2112A442
	bindingRequest = 0x0001
	bindingSuccess = 0x0101
	sendIndication = 0x0016
	dataIndication = 0x0017
	attrPeer       = 0x0012 // XOR-PEER-ADDRESS
	attrData       = 0x0013
	attrMapped     = 0x0020 // XOR-MAPPED-ADDRESS
	familyIPv4     = 1
	familyIPv6     = 2
)

// word and the functions after it read and write the payload in network order.
//
//go:nosplit
//go:norace
//go:nocheckptr
func half(p unsafe.Pointer, at uintptr) uint16 {
	return bits.ReverseBytes16(*(*uint16)(unsafe.Add(p, at)))
}

//go:nosplit
//go:norace
//go:nocheckptr
func word(p unsafe.Pointer, at uintptr) uint32 {
	return bits.ReverseBytes32(*(*uint32)(unsafe.Add(p, at)))
}

//go:nosplit
//go:norace
//go:nocheckptr
func putHalf(p unsafe.Pointer, at uintptr, v uint16) {
	*(*uint16)(unsafe.Add(p, at)) = bits.ReverseBytes16(v)
}

//go:nosplit
//go:norace
//go:nocheckptr
func putWord(p unsafe.Pointer, at uintptr, v uint32) {
	*(*uint32)(unsafe.Add(p, at)) = bits.ReverseBytes32(v)
}

// writeAddress writes the value of an XOR address attribute (RFC 8489 14.2) of a message.
//
//go:nosplit
//go:norace
//go:nocheckptr
func writeAddress(value unsafe.Pointer, e *endpoint, message unsafe.Pointer) {
	putHalf(value, 2, e.port^magicCookie>>16)
	if e.hi == 0 && e.lo>>32 == 0xffff {
		putHalf(value, 0, familyIPv4)
		putWord(value, 4, uint32(e.lo)^magicCookie)
		return
	}
	putHalf(value, 0, familyIPv6)
	putWord(value, 4, uint32(e.hi>>32)^magicCookie)
	putWord(value, 8, uint32(e.hi)^word(message, 8))
	putWord(value, 12, uint32(e.lo>>32)^word(message, 12))
	putWord(value, 16, uint32(e.lo)^word(message, 16))
}

// readAddress reads the value of an XOR address attribute of a message; ok is false for a family that does not exist.
//
//go:nosplit
//go:norace
//go:nocheckptr
func readAddress(value unsafe.Pointer, length uint16, message unsafe.Pointer, e *endpoint) (ok bool) {
	if length < 8 {
		return false
	}
	e.port = half(value, 2) ^ magicCookie>>16
	switch family := half(value, 0) & 0xff; {
	case family == familyIPv4 && length == 8:
		e.hi, e.lo = 0, mapped|uint64(word(value, 4)^magicCookie)
		return true
	case family == familyIPv6 && length == 20:
		e.hi = uint64(word(value, 4)^magicCookie)<<32 | uint64(word(value, 8)^word(message, 8))
		e.lo = uint64(word(value, 12)^word(message, 12))<<32 | uint64(word(value, 16)^word(message, 16))
		return true
	}
	return false
}
