package relay

import "unsafe"

// binding answers a Binding request that has no attributes (RFC 8489 6.3.1).
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) binding(p *packet) {
	m.clientPacket(p)
	if !m.admitBinding(&p.from) {
		m.loop.counters.ThrottledBindings++
		return
	}
	size := uint16(8)
	if p.from.hi != 0 || p.from.lo>>32 != 0xffff {
		size = 20
	}
	putHalf(p.payload, 0, bindingSuccess)
	putHalf(p.payload, 2, 4+size)
	putHalf(p.payload, stunHeader, attrMapped)
	putHalf(p.payload, stunHeader+2, size)
	writeAddress(unsafe.Add(p.payload, stunHeader+4), &p.from, p.payload)
	m.loop.counters.Bindings++
	m.loop.counters.ToClients++
	m.loop.counters.ToClientBytes += uint64(stunHeader + 4 + size)
	o := m.send(p.socket, p.socket, p.payload, uint32(stunHeader+4+size), (*[nameBytes]byte)(p.name()), p.nameLen)
	o.control, o.controlLen = uint64(uintptr(p.control())), p.controlLen
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) admitBinding(from *endpoint) bool {
	b := &m.loop.bindings
	if b.cost == 0 {
		return true
	}
	source := endpoint{hi: from.hi}
	if from.hi == 0 {
		source.lo = from.lo
	}
	full := &b.full[m.loop.hash(&source, 1)%bindingBuckets]
	now := m.loop.now
	start := max(*full, now)
	if start+b.cost-now > b.burst {
		return false
	}
	*full = start + b.cost
	return true
}
