package timing

import "time"

// Raw is a point of CLOCK_MONOTONIC_RAW in nanoseconds: the machine's oscillator, which no time daemon slews
// (clock_gettime(2)). The kernel arms no timer on it (timerfd_create(2)), so it is only read. It does not compare
// with an [Instant].
type Raw int64

// Sub returns the duration from earlier to r, as the oscillator counts it.
func (r Raw) Sub(earlier Raw) time.Duration { return Instant(r).Sub(Instant(earlier)) }

// Add returns the point d after r, saturating as [Instant.Add] does.
func (r Raw) Add(d time.Duration) Raw { return Raw(Instant(r).Add(d)) }

// RawPair is one and the same moment on both clocks.
type RawPair struct {
	Mono Instant
	Raw  Raw
	// Width is how much the oscillator counted while the pair was read: the two belong together within half of it.
	Width time.Duration
}

// rawBrackets is how many readings ReadRawPair takes: most of them are not interrupted.
const rawBrackets = 8

// ReadRawPair reads both clocks, the one bracketed between two readings of the other, and keeps the narrowest
// bracket. It reports false where the system has no CLOCK_MONOTONIC_RAW.
func ReadRawPair() (RawPair, bool) {
	best, ok := readRawBracket()
	for range rawBrackets - 1 {
		if p, read := readRawBracket(); read && p.Width < best.Width {
			best = p
		}
	}
	return best, ok
}

func readRawBracket() (RawPair, bool) {
	before, ok := ReadRaw()
	mono := monotonicNow()
	after, _ := ReadRaw()
	width := after.Sub(before)
	return RawPair{Mono: mono, Raw: before.Add(width / 2), Width: width}, ok
}
