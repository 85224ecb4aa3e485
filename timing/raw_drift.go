package timing

import "time"

const (
	// driftPairs is how many pairs a window keeps; those that come quicker are passed over.
	driftPairs = 64
	// RateStepPPM is the change of rate, in parts per million, that counts as a step. A time daemon's steady steering
	// stays under it; a slew reaches 500 ppm (adjtime(3), adjtimex(2)).
	RateStepPPM = 10
)

// Slew is the rate of CLOCK_MONOTONIC against CLOCK_MONOTONIC_RAW: what the time daemon (NTP, PTP) does to it.
type Slew struct {
	// PPM is the rate in parts per million, positive where CLOCK_MONOTONIC runs faster than the oscillator; the true
	// mean rate over the window is within UncertaintyPPM of it.
	PPM, UncertaintyPPM float64
	// Over is the stretch of the oscillator's time that PPM is the mean of.
	Over time.Duration
	// Steps counts the changes of rate by more than [RateStepPPM] since the start.
	Steps int
}

// Drift estimates the slewing of CLOCK_MONOTONIC over a sliding window from pairs of readings. A step of rate begins
// the window anew, so that no figure mixes two rates. It is pure: no clock, no lock; its owner serialises calls. Make
// one with [NewDrift].
type Drift struct {
	window time.Duration
	pairs  []RawPair // Oldest first, at most driftPairs.
	steps  int
}

// NewDrift returns an estimator over the given window (more than 0). A minute suits a reading a second.
func NewDrift(window time.Duration) *Drift {
	return &Drift{window: window, pairs: make([]RawPair, 0, driftPairs)}
}

// Observe adds a pair of readings. One that follows the last by less than 1/64 of the window is passed over. A slew
// that begins and ends between two pairs counts as one step.
func (d *Drift) Observe(p RawPair) {
	if n := len(d.pairs); n > 0 && p.Raw.Sub(d.pairs[n-1].Raw) < max(d.window/driftPairs, 1) {
		return
	}
	if d.stepped(p) {
		d.steps++
		d.pairs = d.pairs[:0]
	}
	d.forget(p.Raw)
	d.pairs = append(d.pairs, p)
}

// Slew returns the estimate; false while the window holds fewer than two pairs, when only Steps is meant.
func (d *Drift) Slew() (Slew, bool) {
	if len(d.pairs) < 2 {
		return Slew{Steps: d.steps}, false
	}
	s := slewBetween(d.pairs[0], d.pairs[len(d.pairs)-1])
	s.Steps = d.steps
	return s, true
}

// stepped reports whether the rate since the last pair is surely another than the window's: by more than what the
// widths of the readings and the window's own uncertainty can explain.
func (d *Drift) stepped(p RawPair) bool {
	steady, ok := d.Slew()
	if !ok {
		return false
	}
	latest := slewBetween(d.pairs[len(d.pairs)-1], p)
	change := latest.PPM - steady.PPM
	return max(change, -change) > RateStepPPM+latest.UncertaintyPPM+steady.UncertaintyPPM
}

// forget drops what lies more than a window before the given point, and the oldest pair where there is no room.
func (d *Drift) forget(before Raw) {
	drop := 0
	for drop < len(d.pairs) && before.Sub(d.pairs[drop].Raw) > d.window {
		drop++
	}
	if drop == 0 && len(d.pairs) == driftPairs {
		drop = 1
	}
	d.pairs = append(d.pairs[:0], d.pairs[drop:]...)
}

// slewBetween is the mean rate between two pairs. The ends alone decide it: the error of each is bounded by its
// width, so a line through all the pairs between them would not tighten the bound.
func slewBetween(first, last RawPair) Slew {
	over := last.Raw.Sub(first.Raw)
	gained := last.Mono.Sub(first.Mono) - over
	perMillion := 1e6 / float64(over)
	return Slew{
		PPM:            float64(gained) * perMillion,
		UncertaintyPPM: float64(first.Width+last.Width) / 2 * perMillion,
		Over:           over,
	}
}
