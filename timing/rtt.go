package timing

import "time"

// RTT estimates a path's round-trip time as RFC 6298 section 2 does, and its jitter as RFC 3550 section 6.4.1 does.
// The zero value has seen no sample. It is pure: no clock, no lock; its owner serialises calls.
type RTT struct {
	// Smoothed is SRTT, Variation is RTTVAR, Jitter the RFC 3550 interarrival jitter of the samples.
	Smoothed, Variation, Jitter time.Duration
	// Samples counts what was observed.
	Samples int
	last    time.Duration
}

// Observe adds one measured round trip; a negative one counts as 0. Samples from retransmitted requests must not be
// given (Karn's rule).
func (r *RTT) Observe(sample time.Duration) {
	sample = max(sample, 0)
	if r.Samples == 0 {
		r.Smoothed, r.Variation = sample, sample/2
	} else {
		r.Variation += (absolute(r.Smoothed-sample) - r.Variation) / 4
		r.Smoothed += (sample - r.Smoothed) / 8
		r.Jitter += (absolute(sample-r.last) - r.Jitter) / 16
	}
	r.last = sample
	r.Samples++
}

// Lead returns how much early a beat is sent so that it arrives on its grid instant: half the smoothed round trip,
// at most limit.
func (r *RTT) Lead(limit time.Duration) time.Duration {
	return max(0, min(r.Smoothed/2, limit))
}

func absolute(d time.Duration) time.Duration {
	if d < 0 {
		return -d
	}
	return d
}
