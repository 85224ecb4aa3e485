package relay

import "unsafe"

// How a Binding request is to be answered.
const (
	bindingElsewhere = iota // by Go: it has other attributes, or is malformed
	bindingPlain
	bindingMarked // with FINGERPRINT, as it has one
	bindingBroken // not at all: its FINGERPRINT is wrong (RFC 8489 6.3)
)

// bindingRequest handles a Binding request that needs nobody who knows attributes.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) bindingRequest(p *packet) (done bool) {
	switch kind := readBinding(p); kind {
	case bindingElsewhere:
		return false
	case bindingBroken:
		m.garbage(p)
	default:
		m.binding(p, kind == bindingMarked)
	}
	return true
}

// readBinding leaves every attribute but FINGERPRINT to Go, also those that may be passed over: so a request can ask for
// the way through Go.
//
//go:nosplit
//go:norace
//go:nocheckptr
func readBinding(p *packet) (kind int) {
	const marked = stunHeader + markBytes
	switch {
	case p.length == stunHeader && half(p.payload, 2) == 0:
		return bindingPlain
	case p.length != marked || word(p.payload, stunHeader) != attrMark<<16|(markBytes-4) || half(p.payload, 2) != markBytes:
		return bindingElsewhere
	case crc(p.payload, stunHeader)^markXOR != word(p.payload, stunHeader+4):
		return bindingBroken
	}
	return bindingMarked
}

// binding answers a Binding request (RFC 8489 6.3.1), with FINGERPRINT where the request has one.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) binding(p *packet, marked bool) {
	m.clientPacket(p)
	if !m.admitReply(BindingReply, &p.from) {
		m.loop.counters.ThrottledBindings++
		return
	}
	size := uint32(8) // of the address attribute's value
	if p.from.hi != 0 || p.from.lo>>32 != 0xffff {
		size = 20
	}
	length := stunHeader + 4 + size
	putHalf(p.payload, 0, bindingSuccess)
	putHalf(p.payload, 2, uint16(length-stunHeader))
	putHalf(p.payload, stunHeader, attrMapped)
	putHalf(p.payload, stunHeader+2, uint16(size))
	writeAddress(unsafe.Add(p.payload, stunHeader+4), &p.from, p.payload)
	if marked {
		length = mark(p.payload, length)
	}
	m.loop.counters.Bindings++
	m.loop.counters.ToClients++
	m.loop.counters.ToClientBytes += uint64(length)
	o := m.send(p.socket, p.socket, p.payload, length, (*[nameBytes]byte)(p.name()), p.nameLen)
	o.control, o.controlLen = uint64(uintptr(p.control())), p.controlLen
}

// mark adds FINGERPRINT to a message, for which there is room. It returns the message's new length.
//
//go:nosplit
//go:norace
//go:nocheckptr
func mark(message unsafe.Pointer, length uint32) uint32 {
	at := uintptr(length)
	putHalf(message, 2, uint16(length+markBytes-stunHeader))
	sum := crc(message, at) ^ markXOR
	putHalf(message, at, attrMark)
	putHalf(message, at+2, markBytes-4)
	putWord(message, at+4, sum)
	return length + markBytes
}
