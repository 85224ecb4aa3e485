//go:build linux

package bench

import (
	"cmp"
	"slices"
)

// samples are the round trips of a window. One goroutine owns them.
type samples struct {
	rtt, jitter []int64
	last        []int64 // the latest round trip of each client, 0 for none
	limit       int
}

// newSamples makes room for about that many, so that nothing is allocated while they come in.
func newSamples(clients, expected int) *samples {
	limit := min(expected, maxSamples)
	return &samples{rtt: make([]int64, 0, limit), jitter: make([]int64, 0, limit), last: make([]int64, clients), limit: limit}
}

// add records one round trip. What exceeds the room is not recorded; throughput and loss are counted elsewhere.
func (s *samples) add(client int, rtt int64) {
	if len(s.rtt) == s.limit {
		return
	}
	s.rtt = append(s.rtt, rtt)
	if last := s.last[client]; last != 0 {
		s.jitter = append(s.jitter, max(rtt-last, last-rtt))
	}
	s.last[client] = rtt
}

// perMille returns the sample below or at which the given thousandths of a set lie (nearest rank), 0 of none. It sorts
// the set.
func perMille(set []int64, thousandths int) int64 {
	if len(set) == 0 {
		return 0
	}
	slices.Sort(set)
	rank := (len(set)*thousandths + 999) / 1000
	return set[max(rank, 1)-1]
}

// sortBy sorts clients by their keys.
func sortBy(clients []int, keys []int64) {
	slices.SortFunc(clients, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
}
