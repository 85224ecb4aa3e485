package signaling

import (
	"time"

	"tourbillon/timing"
)

const (
	// missedBeats is how many pings in a row may stay unanswered before a connection counts as dead.
	missedBeats = 3
	// maxLead bounds how early a ping is sent to arrive on its grid instant.
	maxLead = 200 * time.Microsecond
)

// heartbeat is one connection's beat: which pings wait for their pong, and what the answered ones say about the path.
// It is pure: its owner serialises calls and tells the time.
//
// The last missedBeats pings may all be answered: on a path longer than one interval a pong always comes after the
// next ping, and it is as good a sample and as good a sign of life as any.
type heartbeat struct {
	rtt timing.RTT
	// seq is that of the latest ping.
	seq uint64
	// waiting holds when the pings seq-unanswered+1 … seq were sent, oldest first.
	waiting    [missedBeats]timing.Instant
	unanswered int
}

// beat returns the number of the ping to send at now; false when missedBeats pings have gone unanswered.
func (h *heartbeat) beat(now timing.Instant) (seq uint64, alive bool) {
	if h.unanswered == missedBeats {
		return 0, false
	}
	h.waiting[h.unanswered] = now
	h.unanswered++
	h.seq++
	return h.seq, true
}

// sent corrects when a ping went out, for one that waited in a queue.
func (h *heartbeat) sent(seq uint64, now timing.Instant) {
	if i, ok := h.index(seq); ok {
		h.waiting[i] = now
	}
}

// pong takes an answer. It reports false for a number that waits for none: late, given twice, or made up. An answer
// settles the pings before it too, since a WebSocket keeps order.
func (h *heartbeat) pong(seq uint64, now timing.Instant) bool {
	i, ok := h.index(seq)
	if !ok {
		return false
	}
	h.rtt.Observe(now.Sub(h.waiting[i]))
	h.unanswered = copy(h.waiting[:], h.waiting[i+1:h.unanswered])
	return true
}

func (h *heartbeat) index(seq uint64) (int, bool) {
	first := h.seq - uint64(h.unanswered) + 1
	if seq < first || seq > h.seq {
		return 0, false
	}
	return int(seq - first), true
}
