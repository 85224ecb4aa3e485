package relay

import (
	"sync/atomic"
	"unsafe"

	"tourbillon/turn/nonce"
)

// challengeRequest answers an Allocate without credentials as Go would (RFC 8489 9.2.4: 401 with realm and nonce). It
// reports false for what is Go's: every other request, and this one while there is no challenge.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) challengeRequest(p *packet) (done bool) {
	if !isBare(p) || !m.haveChallenge() {
		return false
	}
	m.clientPacket(p)
	if !m.admitReply(ChallengeReply, &p.from) {
		m.loop.counters.ThrottledChallenges++
		return true
	}
	length := m.writeChallenge(p)
	m.loop.counters.Challenges++
	m.loop.counters.ToClients++
	m.loop.counters.ToClientBytes += uint64(length)
	o := m.send(p.socket, p.socket, p.payload, length, (*[nameBytes]byte)(p.name()), p.nameLen)
	o.control, o.controlLen = uint64(uintptr(p.control())), p.controlLen
	return true
}

// writeChallenge makes a challenge of the request and returns its length.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) writeChallenge(p *packet) uint32 {
	const (
		codeAt  = stunHeader
		nonceAt = codeAt + attrHeader + 4
		realmAt = nonceAt + attrHeader + nonce.Size
	)
	c := &m.loop.challenge
	length := uint32(realmAt+attrHeader) + (c.length+3)&^3
	putHalf(p.payload, 0, allocateError)
	putHalf(p.payload, 2, uint16(length-stunHeader))
	putHalf(p.payload, codeAt, attrErrorCode)
	putHalf(p.payload, codeAt+2, 4)
	putWord(p.payload, codeAt+attrHeader, unauthorized)
	putHalf(p.payload, nonceAt, attrNonce)
	putHalf(p.payload, nonceAt+2, nonce.Size)
	source := nonce.Source{Hi: p.from.hi, Lo: p.from.lo, Port: p.from.port}
	nonce.Put((*[nonce.Size]byte)(unsafe.Add(p.payload, nonceAt+attrHeader)), &c.key, c.step, &source)
	putHalf(p.payload, realmAt, attrRealm)
	putHalf(p.payload, realmAt+2, uint16(c.length))
	copyWords(unsafe.Add(p.payload, realmAt+attrHeader), unsafe.Pointer(&c.realm), uintptr(c.length+3)&^3)
	return length
}

// isBare tells whether a message is well formed and has no attribute that speaks of credentials or proves anything.
// Whatever else it holds does not matter before it is authenticated.
//
//go:nosplit
//go:norace
//go:nocheckptr
func isBare(p *packet) bool {
	end := stunHeader + uint32(half(p.payload, 2))
	if end != p.length {
		return false
	}
	for at := uint32(stunHeader); at != end; {
		if end-at < attrHeader {
			return false
		}
		switch half(p.payload, uintptr(at)) {
		case attrIntegrity, attrIntegritySHA256, attrMark:
			return false
		}
		size := attrHeader + (uint32(half(p.payload, uintptr(at+2)))+3)&^3
		if size > end-at {
			return false
		}
		at += size
	}
	return true
}

// haveChallenge brings the loop's copy of the challenge up to date and tells whether it may be used.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) haveChallenge() bool {
	s, c := &m.loop.shared.challenge, &m.loop.challenge
	if turn := atomic.LoadUint32(&s.turn); turn != m.loop.challengeTurn {
		if turn%2 != 0 { // It is being written.
			return false
		}
		copyWords(unsafe.Pointer(c), unsafe.Pointer(&s.text), unsafe.Sizeof(s.text))
		if atomic.LoadUint32(&s.turn) != turn {
			return false
		}
		m.loop.challengeTurn = turn
	}
	return c.length <= maxRealm && m.loop.now < c.until
}

// admitReply takes a reply from the share of its source.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) admitReply(kind Reply, to *endpoint) bool {
	return m.loop.shared.sources[kind%replyKinds].admit(&m.loop.shared.seed, to, m.loop.now)
}

// admit takes one reply from the share of a source, a /32 or a /64. All loops and Go take from the same, so the word
// changes by compare-and-swap; they meet there only when one source asks all of them.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *sourceLimit) admit(seed *[3]uint64, to *endpoint, now uint64) bool {
	if l.cost == 0 {
		return true
	}
	source := endpoint{hi: to.hi}
	if to.hi == 0 {
		source.lo = to.lo
	}
	full := &l.full[hashEndpoint(seed, &source, 1)%sourceBuckets]
	for {
		was := atomic.LoadUint64(full)
		start := max(was, now)
		if start+l.cost-now > l.burst {
			return false
		}
		if atomic.CompareAndSwapUint64(full, was, start+l.cost) {
			return true
		}
	}
}
