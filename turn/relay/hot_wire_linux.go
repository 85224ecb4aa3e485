package relay

import (
	"math/bits"
	"unsafe"
)

// STUN and ChannelData (RFC 8489 5 and 14, RFC 8656 12.4, 17 and 18).
const (
	attrHeader      = 4
	bindingRequest  = 0x0001
	bindingSuccess  = 0x0101
	allocateRequest = 0x0003
	allocateError   = 0x0113
	sendIndication  = 0x0016
	dataIndication  = 0x0017

	attrIntegrity       = 0x0008 // MESSAGE-INTEGRITY
	attrErrorCode       = 0x0009
	attrPeer            = 0x0012 // XOR-PEER-ADDRESS
	attrData            = 0x0013
	attrRealm           = 0x0014
	attrNonce           = 0x0015
	attrIntegritySHA256 = 0x001C // MESSAGE-INTEGRITY-SHA256
	attrMapped          = 0x0020 // XOR-MAPPED-ADDRESS
	attrMark            = 0x8028 // FINGERPRINT

	unauthorized = 4<<8 | 1 // the value of ERROR-CODE for 401
	markBytes    = 8        // with its header
	markXOR      = 0x5354554e
	familyIPv4   = 1
	familyIPv6   = 2
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

// crcTable has the remainder of every four bits for crc.
var crcTable = [16]uint32{
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
}

// crc is the CRC-32 of ITU V.42, which FINGERPRINT is made of (RFC 8489 14.7). Package hash/crc32 is not for a loop: it
// may grow the stack.
//
//go:nosplit
//go:norace
//go:nocheckptr
func crc(p unsafe.Pointer, n uintptr) uint32 {
	sum := ^uint32(0)
	for at := uintptr(0); at < n; at++ {
		sum ^= uint32(*(*uint8)(unsafe.Add(p, at)))
		sum = sum>>4 ^ crcTable[sum%16]
		sum = sum>>4 ^ crcTable[sum%16]
	}
	return ^sum
}
