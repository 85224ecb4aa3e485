package signaling

import (
	"time"

	"tourbillon/timing"
)

const (
	// missedBeats is how many pings in a row may stay unanswered before a connection counts as dead.
	missedBeats = 3
	// minSilence is how long a connection has to be silent before it does: at short intervals three beats are less
	// than the round trip of many a path.
	minSilence = 250 * time.Millisecond
	// maxLead bounds how early a ping is sent to arrive on its grid instant.
	maxLead = timing.DefaultBeatLead
)

const (
	// maxBeatGrid and gridsPerBeat bound the grid that deadlines lie on: a thousandth of the interval, at most 1 ms. Each
	// connection has its own timer and its own deadline, but those of thousands of connections then coincide, and one wake
	// of the program serves them all.
	maxBeatGrid  = time.Millisecond
	gridsPerBeat = 1000
	// leadStep is how finely a lead is set, for the same reason.
	leadStep = maxLead / 2
)

// firstBeat is when a connection that joins now gets its first ping: an interval later, at the latest one step of the
// grid after that.
func firstBeat(now timing.Instant, interval time.Duration) timing.Instant {
	grid := timing.Instant(max(min(interval/gridsPerBeat, maxBeatGrid), 1))
	return (now.Add(interval) + grid - 1) / grid * grid
}

// heartbeat is one connection's beat: how many pings wait for their pong, and what the answered ones say about the
// path. It is pure: its owner serialises calls and tells the time.
//
// One ping at a time is the probe whose round trip is measured. On a path longer than one interval others are sent
// meanwhile; their pongs are signs of life as good as any.
type heartbeat struct {
	rtt timing.RTT
	// seq is the number of the latest ping, answered of the latest that was answered or settled.
	seq, answered uint64
	// probe is the number of the ping that was sent at probed; 0 for none.
	probe  uint64
	probed timing.Instant
}

// beat returns the number of the ping to send at now, given the interval of the beats; false when the connection is
// dead.
func (h *heartbeat) beat(now timing.Instant, interval time.Duration) (seq uint64, alive bool) {
	if h.seq-h.answered >= allowedMisses(interval) {
		return 0, false
	}
	h.seq++
	if h.probe == 0 {
		h.probe, h.probed = h.seq, now
	}
	return h.seq, true
}

// allowedMisses is missedBeats, or as many as minSilence takes.
func allowedMisses(interval time.Duration) uint64 {
	return max(missedBeats, uint64((minSilence+interval-1)/interval))
}

// sent corrects when a ping went out, for one that waited in a queue.
func (h *heartbeat) sent(seq uint64, now timing.Instant) {
	if seq == h.probe {
		h.probed = now
	}
}

// pong takes an answer. It reports false for a number that waits for none: given twice, or made up. An answer settles
// the pings before it too, since a WebSocket keeps order.
func (h *heartbeat) pong(seq uint64, now timing.Instant) bool {
	if seq <= h.answered || seq > h.seq {
		return false
	}
	h.answered = seq
	if seq == h.probe {
		h.rtt.Observe(now.Sub(h.probed))
	}
	if seq >= h.probe {
		h.probe = 0
	}
	return true
}

// lead is how early the next ping is sent to arrive on its grid instant.
func (h *heartbeat) lead() time.Duration { return h.rtt.Lead(maxLead) / leadStep * leadStep }
