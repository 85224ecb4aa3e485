package timing

import (
	"math"
	"time"
)

// Heartbeat arithmetic.
const (
	// BeatSmoothing is the share of its drift that a beat armed by delay takes back with the next one. The browser
	// client uses the same figure.
	BeatSmoothing = 0.3
	// MinBeatDelay is the shortest delay that drift correction asks for, so that a beat far behind cannot turn into a
	// burst. The browser client uses the same figure.
	MinBeatDelay = 10 * time.Millisecond
	// DefaultBeatLead is the most that a beat leaves early on account of its path: round trips count up to 400 µs.
	DefaultBeatLead = 200 * time.Microsecond
)

// Beat is one planned heartbeat.
type Beat struct {
	// Due is the grid instant at which the beat is meant to reach the peer, Send the instant at which it leaves.
	Due, Send Instant
	// Overrun counts the grid instants just before Due that passed without a beat. They are skipped, never replayed.
	Overrun int
}

// Beats plans heartbeats on an absolute grid. It is pure: it reads no clock and takes no lock; its owner serialises
// calls. Make one with [NewBeats].
type Beats struct {
	period, leadLimit, lead time.Duration
	due                     Instant
}

// NewBeats plans beats that are due at first and then every period (more than 0). They leave early by at most
// leadLimit, and not at all before the first round trip is known.
func NewBeats(first Instant, period, leadLimit time.Duration) *Beats {
	return &Beats{period: max(period, 1), leadLimit: leadLimit, due: first}
}

// Observe lets later beats leave early by half the path's smoothed round trip, within the limit.
func (b *Beats) Observe(rtt RTT) { b.lead = max(rtt.Lead(b.leadLimit), 0) }

// Next returns the beat to send next.
func (b *Beats) Next() Beat { return Beat{Due: b.due, Send: b.due.Add(-b.lead)} }

// Sent tells that the beat left at the given instant and returns the one after it.
func (b *Beats) Sent(at Instant) Beat {
	var overrun int
	b.due, overrun = NextOnGrid(b.due, b.period, at)
	next := b.Next()
	next.Overrun = overrun
	return next
}

// Delay is for callers that can arm a delay only, as browsers can: how long to wait when the beat left at the given
// instant, which Sent has been told. It takes back [BeatSmoothing] of the drift; taking back all of it would make
// each beat pay for the jitter of the one before.
func (b *Beats) Delay(sent Instant) time.Duration {
	planned := b.Next().Send.Add(-b.period)
	return BeatDelay(b.period, sent.Sub(planned))
}

// SetPeriod changes the period: the next beat is due one new period after the last grid instant, or after now if that
// has passed.
func (b *Beats) SetPeriod(period time.Duration, now Instant) {
	last := b.due.Add(-b.period)
	b.period = max(period, 1)
	b.due = last.Add(b.period)
	if b.due < now {
		b.due = now.Add(b.period)
	}
}

// BeatDelay is the delay to the next beat when the last one came drift behind its grid (negative: ahead of it).
func BeatDelay(period, drift time.Duration) time.Duration {
	return max(period-time.Duration(BeatSmoothing*float64(drift)), MinBeatDelay)
}

// BeatModel predicts the drift of beats that are armed one after another by delay, each late by an independent amount
// with the given mean and standard deviation. Sums of many such amounts are normal.
type BeatModel struct {
	Mean, Deviation time.Duration
}

// Uncorrected predicts the sum of lateness after n beats of which each waits one whole period: n·μ and σ·√n. Both grow
// without bound.
func (m BeatModel) Uncorrected(n int) (mean, deviation time.Duration) {
	return time.Duration(n) * m.Mean, scaleDuration(m.Deviation, math.Sqrt(float64(n)))
}

// Corrected predicts the drift after n beats that follow [BeatDelay]. Each keeps k = 1-[BeatSmoothing] of the drift
// before it, which makes the sums geometric: the mean tends to μ/(1-k), the deviation to σ/√(1-k²).
func (m BeatModel) Corrected(n int) (mean, deviation time.Duration) {
	const k = 1 - BeatSmoothing
	left := math.Pow(k, float64(n))
	return scaleDuration(m.Mean, (1-left)/(1-k)), scaleDuration(m.Deviation, math.Sqrt((1-left*left)/(1-k*k)))
}

func scaleDuration(d time.Duration, factor float64) time.Duration {
	return time.Duration(math.Round(float64(d) * factor))
}
