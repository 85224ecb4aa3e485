package relay

import "sync/atomic"

// ceilingBurst is how much of a second's rate a ceiling lets through at once, in ns.
const ceilingBurst = 250e6

// admit holds a packet against the ceilings of its direction and of the plane, and takes from all or from none.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) admit(s *socket, packets, bytes *bucket, length uint32) bool {
	if packets.cost|bytes.cost|m.loop.shared.bandwidth.cost == 0 {
		return true
	}
	now := m.loop.now
	packet, byteCost := packets.cost>>10, bytes.cost*uint64(length)>>10
	switch {
	case !packets.room(now, packet):
		s.drops.PacketRate++
		m.loop.counters.Drops.PacketRate++
		return false
	case !bytes.room(now, byteCost):
		s.drops.Bandwidth++
		m.loop.counters.Drops.Bandwidth++
		return false
	case !m.draw(now, int64(length)):
		s.drops.Server++
		m.loop.counters.Drops.Server++
		return false
	}
	packets.full, bytes.full = max(packets.full, now)+packet, max(bytes.full, now)+byteCost
	return true
}

// room tells whether a bucket has what costs so many ns. What costs more than a whole bucket passes when it is full.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (b *bucket) room(now, cost uint64) bool {
	start := max(b.full, now)
	return b.cost == 0 || start == now || start+cost-now <= ceilingBurst
}

// shareBytes is how much a loop draws at once from the ceiling of the whole plane.
const shareBytes = 16 << 10

// draw takes bytes from the ceiling of the whole plane.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) draw(now uint64, length int64) bool {
	b := &m.loop.shared.bandwidth
	if b.cost == 0 {
		return true
	}
	if m.loop.drawn < length {
		for {
			full := atomic.LoadUint64(&b.full)
			start, cost := max(full, now), b.cost*shareBytes>>10
			if start > now && start+cost-now > ceilingBurst {
				return false
			}
			if atomic.CompareAndSwapUint64(&b.full, full, start+cost) {
				break
			}
		}
		m.loop.drawn += shareBytes
	}
	m.loop.drawn -= length
	return true
}
