package bench

import (
	"net/netip"
	"time"
)

// sliceLength is how long requests come, and then do not, in turn: short against what else happens on a machine, long
// against a round trip.
const sliceLength = 250 * time.Millisecond

// probeOrder asks for round trips to a server and for the CPU time of its process.
type probeOrder struct {
	Server netip.AddrPort `json:"server"`
	PID    int            `json:"pid"`
	// Rate is in requests per second of the slices in which there are any; Duration is that of all slices.
	Rate     int           `json:"rate"`
	Duration time.Duration `json:"duration_ns"`
}

// outcome is what one round gave for one arm.
type outcome struct {
	Sent     int   `json:"sent"`
	Answered int   `json:"answered"`
	MeanNS   int64 `json:"mean_ns"`
	P50NS    int64 `json:"p50_ns"`
	P95NS    int64 `json:"p95_ns"`
	P99NS    int64 `json:"p99_ns"`
	CPUPer   int64 `json:"cpu_ns_per_req"`
}
