//go:build linux

package bench

import (
	"cmp"
	"slices"
	"time"
)

// Row is one run of one arm. Times are in nanoseconds; null is what does not exist there.
type Row struct {
	Arm   string `json:"arm"`
	Conns int    `json:"conns"`
	// MsgsPerS counts what clients received of each other, two to a round trip.
	MsgsPerS float64 `json:"msgs_per_s"`
	RTTP50NS *int64  `json:"rtt_p50_ns"`
	RTTP95NS *int64  `json:"rtt_p95_ns"`
	RTTP99NS *int64  `json:"rtt_p99_ns"`
	// HBLate is deadline → ping's write returned.
	HBLateP50NS *int64 `json:"hb_late_p50_ns"`
	HBLateP99NS *int64 `json:"hb_late_p99_ns"`
	// CPUNSPerMsg is the server's user and system time of the window by message.
	CPUNSPerMsg     *int64  `json:"cpu_ns_per_msg"`
	RSSBytesPerConn int64   `json:"rss_bytes_per_conn"`
	AcceptsPerS     float64 `json:"accepts_per_s"`
	ConnectP99NS    int64   `json:"connect_p99_ns"`
}

// outcome is a Row with what only the text and the search use.
type outcome struct {
	Row
	measured
	cpu    time.Duration
	window time.Duration
}

// newRow puts what was measured into figures. It is pure.
func newRow(arm string, o order, c connected, m measured, w watched) Row {
	window := time.Duration(m.WindowNS).Seconds()
	row := Row{
		Arm: arm, Conns: o.Conns, MsgsPerS: float64(m.Messages) / window,
		RSSBytesPerConn: (w.residentAfter - w.residentBefore) / int64(o.Conns),
		AcceptsPerS:     float64(o.Conns) / time.Duration(c.TookNS).Seconds(), ConnectP99NS: c.P99NS,
	}
	if m.RoundTrips > 0 {
		row.RTTP50NS, row.RTTP95NS, row.RTTP99NS = &m.P50NS, &m.P95NS, &m.P99NS
	}
	if m.Messages > 0 {
		each := int64(w.cpu) / m.Messages
		row.CPUNSPerMsg = &each
	}
	if w.beats.Fires > 0 {
		p50, p99 := int64(w.beats.P50), int64(w.beats.P99)
		row.HBLateP50NS, row.HBLateP99NS = &p50, &p99
	}
	return row
}

// perMille returns the sample below or at which the given thousandths of a sorted set lie (nearest rank), 0 of none.
func perMille(sorted []int64, thousandths int) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max((len(sorted)*thousandths+999)/1000, 1)-1]
}

// spread is the middle and the ends of several runs' figures; an even count's middle is the mean of two.
type spread struct{ median, low, high float64 }

func spreadOf(figures []float64) spread {
	if len(figures) == 0 {
		return spread{}
	}
	sorted := slices.SortedFunc(slices.Values(figures), cmp.Compare[float64])
	n := len(sorted)
	return spread{median: (sorted[(n-1)/2] + sorted[n/2]) / 2, low: sorted[0], high: sorted[n-1]}
}
