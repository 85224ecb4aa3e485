package relay

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// AdmitReply takes a reply that Go is about to send from the share of its source, a /32 or a /64, which is the one that
// the loops take from. It neither blocks nor allocates.
func (p *Plane) AdmitReply(kind Reply, to netip.Addr) bool {
	p.using.RLock()
	defer p.using.RUnlock()
	if p.closed {
		return false
	}
	source := endpointOf(netip.AddrPortFrom(to.WithZone(""), 0))
	return p.shared.sources[kind%replyKinds].admit(&p.shared.seed, &source, uint64(nanotime()))
}

// SetChallenge has the loops answer an Allocate that has no credentials with 401 and these attributes, for so long; then
// such requests come to Go again. Attributes of more than a few hundred bytes are left to Go.
func (p *Plane) SetChallenge(attributes []byte, good time.Duration) {
	p.using.Lock() // One writes at a time.
	defer p.using.Unlock()
	if p.closed || len(attributes) > maxChallenge {
		return
	}
	s := &p.shared.challenge
	atomic.AddUint32(&s.turn, 1)
	s.text.length = uint32(copy(s.text.text[:], attributes))
	s.text.until = uint64(nanotime()) + uint64(good)
	atomic.AddUint32(&s.turn, 1)
}
