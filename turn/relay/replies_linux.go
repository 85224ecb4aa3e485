package relay

import (
	"net/netip"
	"sync/atomic"
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

// SetChallenge has the loops answer an Allocate that has no credentials with 401. Until it is called, and after it is
// good no more, such requests come to Go. A realm of more than a few hundred bytes is left to Go.
func (p *Plane) SetChallenge(c Challenge) {
	p.using.Lock() // One writes at a time.
	defer p.using.Unlock()
	if p.closed || len(c.Realm) > maxRealm {
		return
	}
	s := &p.shared.challenge
	atomic.AddUint32(&s.turn, 1)
	s.text = challengeText{until: uint64(nanotime()) + uint64(c.Good), key: c.Key, step: c.Step, length: uint32(len(c.Realm))}
	copy(s.text.realm[:], c.Realm)
	atomic.AddUint32(&s.turn, 1)
}
