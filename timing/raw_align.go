package timing

import "time"

const (
	// AlignGain is the share of each error that an [Aligner] takes back by default: half of a lasting error is gone
	// after two sleeps, and random lateness grows by no more than 9 %.
	AlignGain = 0.3
	// AlignLimit bounds by default what one error and the whole correction count for: above the 500 µs that a slew of
	// 500 ppm makes of a second, below a stall, which says nothing of the next sleep.
	AlignLimit = time.Millisecond
)

// Aligner turns deadlines on CLOCK_MONOTONIC_RAW into instants to sleep until on CLOCK_MONOTONIC, and feeds each
// sleep's error back into the next, as slewing and the usual lateness of wakes repeat themselves. Aligned sleeps end
// on both sides of their deadline: this is for keeping a rate, not for deadlines that must never come early.
//
// It is pure: no clock, no lock; its owner serialises calls. The zero value aligns without feedback.
type Aligner struct {
	// Gain is the share of an error that the next sleep takes back: over 0 and under 1, see [AlignGain].
	Gain float64
	// Limit bounds the errors and the correction, see [AlignLimit]. 0 corrects nothing.
	Limit time.Duration

	correction float64 // Nanoseconds.
}

// Next returns the instant to sleep until so as to wake at the deadline, given one moment on both clocks. It is never
// before monoNow.
func (a *Aligner) Next(rawDeadline, rawNow Raw, monoNow Instant) Instant {
	wait := rawDeadline.Sub(rawNow) - time.Duration(a.correction)
	return monoNow.Add(max(wait, 0))
}

// Observe tells by how much the last sleep missed its deadline, on CLOCK_MONOTONIC_RAW: positive when it was late.
func (a *Aligner) Observe(late time.Duration) {
	limited := min(max(late, -a.Limit), a.Limit)
	bound := float64(a.Limit)
	a.correction = min(max(a.correction+a.Gain*float64(limited), -bound), bound)
}

// Correction is how much earlier than the bare difference of the clocks the next sleep will end.
func (a *Aligner) Correction() time.Duration { return time.Duration(a.correction) }
