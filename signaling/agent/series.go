package agent

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"tourbillon/timing"
)

// Bounds of a measurement.
const (
	maxProbes     = 1000
	minProbeEvery = 5 * time.Millisecond
	maxProbeEvery = time.Second
	minProbeSize  = 12
	maxProbeSize  = 1200
	// probeGrace is how long after the last probe its echo counts.
	probeGrace = time.Second
)

// MeasureRequest is what a caller sends on "measure" as text. The appliance then sends count probes, one each
// interval, as binary messages of the given size: a number of four bytes, the instant of eight, zeros. The caller sends each
// back as it is, and gets a MeasureResult at the end.
type MeasureRequest struct {
	Count      int `json:"count"`
	IntervalMS int `json:"interval_ms"`
	Size       int `json:"size"`
}

// MeasureResult tells what the probes found. Lost ones got no echo; Reordered ones overtook another.
type MeasureResult struct {
	Sent       int   `json:"sent"`
	Received   int   `json:"received"`
	Lost       int   `json:"lost"`
	Reordered  int   `json:"reordered"`
	Duplicates int   `json:"duplicates"`
	RTTMicros  int64 `json:"rtt_us"`
	// VarianceMicros is RTTVAR of RFC 6298, JitterMicros the jitter of RFC 3550 section 6.4.1.
	VarianceMicros int64 `json:"rttvar_us"`
	JitterMicros   int64 `json:"jitter_us"`
}

// series is one measurement; pure, its owner serialises the calls.
type series struct {
	every      time.Duration
	size       int
	sent       []timing.Instant
	back       []bool
	count      int
	highest    int
	received   int
	reordered  int
	duplicates int
	rtt        timing.RTT
}

// readSeries judges a request.
func readSeries(text []byte) (*series, error) {
	var r MeasureRequest
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	every := time.Duration(r.IntervalMS) * time.Millisecond
	if r.Count < 1 || r.Count > maxProbes || every < minProbeEvery || every > maxProbeEvery || r.Size < minProbeSize || r.Size > maxProbeSize {
		return nil, fmt.Errorf("ask for 1 to %d probes, one in %v to %v, of %d to %d bytes", maxProbes, minProbeEvery, maxProbeEvery, minProbeSize, maxProbeSize)
	}
	return &series{every: every, size: r.Size, count: r.Count, back: make([]bool, r.Count), highest: -1}, nil
}

// next makes the probe that leaves now; nil when all have left.
func (s *series) next(now timing.Instant) []byte {
	if len(s.sent) == s.count {
		return nil
	}
	probe := make([]byte, s.size)
	binary.BigEndian.PutUint32(probe, uint32(len(s.sent)))
	binary.BigEndian.PutUint64(probe[4:], uint64(now))
	s.sent = append(s.sent, now)
	return probe
}

// echo takes what came back. The instant is our own record, whatever the message says.
func (s *series) echo(message []byte, now timing.Instant) {
	if len(message) != s.size {
		return
	}
	n := int(binary.BigEndian.Uint32(message))
	switch {
	case n >= len(s.sent):
		return
	case s.back[n]:
		s.duplicates++
		return
	case n < s.highest:
		s.reordered++
	}
	s.highest = max(s.highest, n)
	s.back[n] = true
	s.received++
	s.rtt.Observe(now.Sub(s.sent[n]))
}

func (s *series) result() MeasureResult {
	return MeasureResult{
		Sent: len(s.sent), Received: s.received, Lost: len(s.sent) - s.received, Reordered: s.reordered, Duplicates: s.duplicates,
		RTTMicros: s.rtt.Smoothed.Microseconds(), VarianceMicros: s.rtt.Variation.Microseconds(), JitterMicros: s.rtt.Jitter.Microseconds(),
	}
}
