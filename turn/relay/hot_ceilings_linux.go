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
	refusal := takeBoth(packets, bytes, m.loop.now, length)
	if refusal == Admitted && !m.draw(m.loop.now, int64(length)) {
		giveBackBoth(packets, bytes, length)
		refusal = Server
	}
	switch refusal {
	case Admitted:
		return true
	case PacketRate:
		s.drops.PacketRate++
		m.loop.counters.Drops.PacketRate++
	case Bandwidth:
		s.drops.Bandwidth++
		m.loop.counters.Drops.Bandwidth++
	case Server:
		s.drops.Server++
		m.loop.counters.Drops.Server++
	}
	return false
}

// takeBoth takes a packet from the buckets of its direction, or from neither.
//
//go:nosplit
//go:norace
//go:nocheckptr
func takeBoth(packets, bytes *bucket, now uint64, length uint32) Refusal {
	if packets.cost != 0 && !packets.take(now, packets.cost>>10) {
		return PacketRate
	}
	if bytes.cost != 0 && !bytes.take(now, bytes.cost*uint64(length)>>10) {
		packets.giveBack(packets.cost >> 10)
		return Bandwidth
	}
	return Admitted
}

// giveBackBoth gives back what takeBoth took.
//
//go:nosplit
//go:norace
//go:nocheckptr
func giveBackBoth(packets, bytes *bucket, length uint32) {
	packets.giveBack(packets.cost >> 10)
	bytes.giveBack(bytes.cost * uint64(length) >> 10)
}

// take takes what costs so many ns from a bucket that limits something, or nothing. What costs more than a whole bucket
// passes when it is full. A loop and Go take from the same buckets, the one for the packets that it relays and the other
// for those that go the slow way, so the word changes by compare-and-swap. A loop finds it in its own cache but where Go
// took in between, and waits for nobody.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (b *bucket) take(now, cost uint64) bool {
	for {
		full := atomic.LoadUint64(&b.full)
		start := max(full, now)
		if start > now && start+cost-now > ceilingBurst {
			return false
		}
		if atomic.CompareAndSwapUint64(&b.full, full, start+cost) {
			return true
		}
	}
}

// giveBack returns what was taken and not used; 0 where the bucket limits nothing.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (b *bucket) giveBack(cost uint64) {
	if cost != 0 {
		atomic.AddUint64(&b.full, -cost)
	}
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
		if !b.take(now, b.cost*shareBytes>>10) {
			return false
		}
		m.loop.drawn += shareBytes
	}
	m.loop.drawn -= length
	return true
}
