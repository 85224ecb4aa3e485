package appliance

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"tourbillon/timing"
)

// limiterBuckets is the size of a limiter's table. Sources share buckets by a keyed hash, so memory is fixed.
const limiterBuckets = 1024

// limiter lets each source do something so many times in a period, spread evenly, with all of them at once at most.
type limiter struct {
	burst  time.Duration // the period
	each   time.Duration // what one time costs of it
	seed   maphash.Seed
	mu     sync.Mutex // guards full
	fullAt [limiterBuckets]timing.Instant
}

func newLimiter(times int, period time.Duration) *limiter {
	return &limiter{burst: period, each: period / time.Duration(times), seed: maphash.MakeSeed()}
}

// take counts one time of a source's, or returns how long it has to wait.
func (l *limiter) take(source netip.Prefix, now timing.Instant) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := l.bucket(source)
	if wait = l.waitAt(*bucket, now); wait == 0 {
		*bucket = max(*bucket, now).Add(l.each)
	}
	return wait
}

// ask returns what take would, without counting.
func (l *limiter) ask(source netip.Prefix, now timing.Instant) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waitAt(*l.bucket(source), now)
}

func (l *limiter) bucket(source netip.Prefix) *timing.Instant {
	return &l.fullAt[maphash.Comparable(l.seed, source)%limiterBuckets]
}

// waitAt is pure: fullAt is when the bucket is full again.
func (l *limiter) waitAt(fullAt, now timing.Instant) time.Duration {
	return max(0, max(fullAt, now).Add(l.each).Sub(now)-l.burst)
}
