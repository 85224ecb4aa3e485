package probe

import (
	"slices"
	"time"

	"tourbillon/timing"
)

// Series is what a number of packets sent at an even pace experienced. Times are in nanoseconds.
type Series struct {
	// What tells the way of the packets: "binding" to the server and back, "relay" through it to a peer and back.
	What string `json:"what"`
	// SentBy is what made the packets leave: "kernel" (io_uring), or "clock" where a timer of the process did.
	SentBy   string `json:"sent_by"`
	Sent     int    `json:"sent"`
	Received int    `json:"received"`
	// Open is how many were on their way when the series was interrupted: neither back nor lost.
	Open int `json:"open"`
	// LossPercent is the share of the others that did not come back in time, Duplicates what came back more than once.
	LossPercent float64 `json:"loss_percent"`
	Duplicates  int     `json:"duplicates"`
	MinNS       int64   `json:"rtt_min_ns"`
	MeanNS      int64   `json:"rtt_mean_ns"`
	MedianNS    int64   `json:"rtt_p50_ns"`
	MaxNS       int64   `json:"rtt_max_ns"`
	// JitterNS is that of RFC 3550 section 6.4.1, over the round trips in the order in which they ended.
	JitterNS int64 `json:"jitter_ns"`
}

// tally makes a Series of packets as they leave and come back. It is pure; its owner serialises calls.
type tally struct {
	due        []timing.Instant
	back       []bool
	rtt        timing.RTT
	samples    []time.Duration
	duplicates int
	open       int
}

// sent notes that the next packet leaves at an instant.
func (t *tally) sent(due timing.Instant) {
	t.due = append(t.due, due)
	t.back = append(t.back, false)
}

// received notes that packet i came back. It reports false for one that was never sent.
func (t *tally) received(i int, at timing.Instant) bool {
	switch {
	case i < 0 || i >= len(t.due):
		return false
	case t.back[i]:
		t.duplicates++
		return true
	}
	t.back[i] = true
	rtt := max(0, at.Sub(t.due[i]))
	t.rtt.Observe(rtt)
	t.samples = append(t.samples, rtt)
	return true
}

// complete tells whether n packets have been sent and all are back.
func (t *tally) complete(n int) bool { return len(t.due) == n && len(t.samples) == n }

// withdraw takes back all but the first n packets, which have not left.
func (t *tally) withdraw(n int) { t.due, t.back = t.due[:n], t.back[:n] }

// minPatience is how long any path is given: the least first timeout of RFC 8489 section 6.2.1.
const minPatience = 500 * time.Millisecond

// leave ends the tally before its time. What is not back and younger than a round trip may take (RFC 6298 section 2;
// limit where none was measured, and at most) stays open.
func (t *tally) leave(now timing.Instant, limit time.Duration) {
	patience := limit
	if len(t.samples) > 0 {
		patience = min(limit, max(minPatience, t.rtt.Smoothed+4*t.rtt.Variation))
	}
	for i, due := range t.due {
		if !t.back[i] && now.Sub(due) < patience {
			t.open++
		}
	}
}

func (t *tally) series(what, sentBy string) *Series {
	s := &Series{What: what, SentBy: sentBy, Sent: len(t.due), Received: len(t.samples), Open: t.open, Duplicates: t.duplicates, JitterNS: int64(t.rtt.Jitter)}
	if ended := s.Sent - s.Open; ended > 0 {
		s.LossPercent = 100 * float64(ended-s.Received) / float64(ended)
	}
	if s.Received == 0 {
		return s
	}
	sorted := slices.Sorted(slices.Values(t.samples))
	var sum time.Duration
	for _, sample := range sorted {
		sum += sample
	}
	n := len(sorted)
	s.MinNS, s.MaxNS = int64(sorted[0]), int64(sorted[n-1])
	s.MeanNS, s.MedianNS = int64(sum)/int64(n), int64(sorted[(n-1)/2])
	return s
}
