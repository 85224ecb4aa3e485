package timing

import (
	"math"
	"time"
)

// STUN's retransmission values over UDP.
const (
	// DefaultRTO is the initial retransmission timeout, and the least that a path without a fixed known round trip may
	// have (RFC 8489 section 6.2.1).
	DefaultRTO = 500 * time.Millisecond
	// DefaultRc is how many requests a transaction sends in all (RFC 8489 section 6.2.1).
	DefaultRc = 7
	// DefaultRm is how many initial timeouts after the last request the transaction fails (RFC 8489 section 6.2.1).
	DefaultRm = 16
)

// Retransmission is the schedule of one STUN transaction over UDP (RFC 8489 section 6.2.1): Rc requests, the intervals
// between them beginning at RTO and doubling, and failure Rm initial RTOs after the last one. With the default values
// requests leave at 0, 500, 1500, 3500, 7500, 15500 and 31500 ms and the transaction fails at 39,500 ms.
//
// It is pure: it reads no clock and takes no lock; its owner serialises calls. Its owner calls [Retransmission.Step] at
// each [Retransmission.Due], sends when told to, and forgets it when the response comes. Make one with
// [NewRetransmission].
type Retransmission struct {
	rto, interval  time.Duration
	rm, left, sent int
	first, due     Instant
}

// RetransmissionStep is what there is to do at an instant.
type RetransmissionStep int

// Steps of a Retransmission.
const (
	// RetransmitWait: nothing before Due.
	RetransmitWait RetransmissionStep = iota
	// RetransmitSend: send the request, the first time or again.
	RetransmitSend
	// RetransmitFail: no response came in time; the transaction has failed.
	RetransmitFail
)

func (s RetransmissionStep) String() string {
	switch s {
	case RetransmitWait:
		return "wait"
	case RetransmitSend:
		return "send"
	case RetransmitFail:
		return "fail"
	}
	return "unknown"
}

// NewRetransmission returns a schedule whose first request is due at start. An rto, rc or rm of 0 or less stands for
// its default.
func NewRetransmission(start Instant, rto time.Duration, rc, rm int) *Retransmission {
	r := &Retransmission{rto: rto, left: rc, rm: rm, due: start}
	if r.rto <= 0 {
		r.rto = DefaultRTO
	}
	if r.left <= 0 {
		r.left = DefaultRc
	}
	if r.rm <= 0 {
		r.rm = DefaultRm
	}
	r.interval = r.rto
	return r
}

// retransmissionSlip is the share of the initial RTO by which a request may be late and still keep the schedule.
const retransmissionSlip = 10

// Step tells what is to be done now and, where that is to send, goes on to the next step. It sends once however much
// of the schedule a stall has covered.
//
// A request that leaves late by up to a tenth of RTO keeps the schedule of those after it, so that the lateness of
// timers does not add up. A later one moves the rest by as much: requests never crowd together.
func (r *Retransmission) Step(now Instant) RetransmissionStep {
	switch {
	case now < r.due:
		return RetransmitWait
	case r.left == 0:
		return RetransmitFail
	}
	from := r.due
	if now.Sub(r.due) > r.rto/retransmissionSlip {
		from = now
	}
	if r.sent == 0 {
		r.first = now
	}
	r.left--
	r.sent++
	r.due = from.Add(r.wait())
	return RetransmitSend
}

// wait is the time from the request that has just been sent to the next step.
func (r *Retransmission) wait() time.Duration {
	if r.left == 0 {
		return times(r.rto, r.rm)
	}
	wait := r.interval
	r.interval = times(r.interval, 2)
	return wait
}

// Due is the instant of the next step, to send or to fail.
func (r *Retransmission) Due() Instant { return r.due }

// Sent counts the requests so far.
func (r *Retransmission) Sent() int { return r.sent }

// RoundTrip is the time from the request to a response at now. It is no measurement after a retransmission, when the
// request that a response belongs to cannot be told (Karn's algorithm, RFC 8489 section 6.2.1).
func (r *Retransmission) RoundTrip(now Instant) (rtt time.Duration, ok bool) {
	return now.Sub(r.first), r.sent == 1
}

// times multiplies a positive duration by a positive factor and saturates.
func times(d time.Duration, factor int) time.Duration {
	if d > math.MaxInt64/time.Duration(factor) {
		return math.MaxInt64
	}
	return d * time.Duration(factor)
}
