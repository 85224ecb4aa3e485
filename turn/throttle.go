package turn

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"tourbillon/timing"
)

// throttleBuckets is the size of the table. Sources share buckets by a keyed hash, so memory is fixed, no flood of
// spoofed sources evicts a bucket to refill it, and all replies together are capped at rate x throttleBuckets.
const throttleBuckets = 4096

// bucket is a token bucket; the zero value is full at any instant after it. It is pure: a function of itself and now.
type bucket struct {
	spent float64 // tokens taken and not yet grown back
	at    timing.Instant
}

// take returns the bucket after an attempt at now to take one of burst tokens, which grow back at rate per second.
func (b bucket) take(now timing.Instant, rate, burst float64) (bucket, bool) {
	elapsed := max(now.Sub(b.at), 0)
	b.spent = max(0, b.spent-rate*elapsed.Seconds())
	b.at = max(now, b.at)
	if b.spent+1 > burst {
		return b, false
	}
	b.spent++
	return b, true
}

// throttle limits what one source, a /32 or a /64, gets per second.
type throttle struct {
	rate int // per second, which is also the burst; Unlimited turns the throttle off
	seed maphash.Seed

	mu      sync.Mutex // guards buckets
	buckets [throttleBuckets]bucket
}

func newThrottle(rate int) *throttle { return &throttle{rate: rate, seed: maphash.MakeSeed()} }

func (t *throttle) allow(source netip.Addr, now timing.Instant) bool {
	if t.rate == Unlimited {
		return true
	}
	i := maphash.Comparable(t.seed, sourceGroup(source)) % throttleBuckets
	t.mu.Lock()
	defer t.mu.Unlock()
	var ok bool
	t.buckets[i], ok = t.buckets[i].take(now, float64(t.rate), float64(t.rate))
	return ok
}

// sourceGroup is what is counted as one source: an IPv4 address, or the /64 that an IPv6 host owns whole.
func sourceGroup(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		bits = 64
	}
	group, err := addr.Prefix(bits)
	if err != nil { // Only the invalid address has no prefix.
		return netip.Prefix{}
	}
	return group
}

// logWindow is how often a condition that attackers can repeat at will may appear in the log.
const logWindow = 10 * time.Second

// logGate lets one line per window through and counts the others.
type logGate struct {
	mu         sync.Mutex // guards what follows
	next       timing.Instant
	suppressed uint64
}

// pass tells whether a line may be written now, and how many were not since the last.
func (g *logGate) pass(now timing.Instant) (suppressed uint64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now < g.next {
		g.suppressed++
		return 0, false
	}
	suppressed, g.suppressed = g.suppressed, 0
	g.next = now.Add(logWindow)
	return suppressed, true
}
