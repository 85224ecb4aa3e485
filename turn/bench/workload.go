//go:build linux

package bench

import (
	"net/netip"
	"time"
)

// Bounds of one workload.
const (
	minSize     = 16 // what the generator writes into each message
	maxSize     = 1400
	maxClients  = 10_000
	maxRate     = 100_000
	maxDuration = time.Hour
	maxAllocs   = 50_000
	// maxSamples bounds the generator's memory: eight bytes each.
	maxSamples = 30_000_000
	// maxTraffic is the longest warm-up with its window. Nothing is refreshed meanwhile: permissions end 5 min after they
	// were made (RFC 8656 9), and setUpPatience may pass before the traffic begins.
	maxTraffic = 4 * time.Minute
)

// workload is what the generator is told.
type workload struct {
	Server    netip.AddrPort `json:"server"`
	Transport string         `json:"transport"`
	Login     login          `json:"login"`
	// Peer is where the echo listens. Direct has the clients send to it without a relay.
	Peer   netip.AddrPort `json:"peer"`
	Direct bool           `json:"direct"`
	// RelayedEcho has the echo be a client with an allocation of its own on the server, in place of Peer.
	RelayedEcho bool `json:"relayed_echo"`
	// PID is the server's process, 0 for one that cannot be seen.
	PID int `json:"pid"`

	Clients int `json:"clients"`
	Size    int `json:"size"`
	// Rate is in messages per client and second; 0 keeps InFlight messages of each client under way.
	Rate     int           `json:"rate"`
	InFlight int           `json:"in_flight"`
	WarmUp   time.Duration `json:"warm_up_ns"`
	Window   time.Duration `json:"window_ns"`
	// AllocateFor is how long allocations are made and released to count them.
	AllocateFor time.Duration `json:"allocate_for_ns"`
	// Idle is how many allocations are held to see what memory they take; 0 leaves that out.
	Idle int `json:"idle"`
}

// outcome is what the generator measured.
type outcome struct {
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
	// Echo is where the relays sent to.
	Echo netip.AddrPort `json:"echo"`
	// Seconds is the length of the window as it was.
	Seconds float64       `json:"seconds"`
	CPU     time.Duration `json:"cpu_ns"`
	// Own is the generator's CPU time in the window.
	Own       time.Duration `json:"own_ns"`
	RTTP50    int64         `json:"rtt_p50_ns"`
	RTTP99    int64         `json:"rtt_p99_ns"`
	JitterP99 int64         `json:"jitter_p99_ns"`
	AllocPerS float64       `json:"alloc_per_s"`
	// CPUPerAlloc is the server's CPU time for an allocation made and released.
	CPUPerAlloc time.Duration `json:"cpu_per_alloc_ns"`
	RSS         int64         `json:"rss_bytes"`
	IdleBytes   int64         `json:"idle_bytes"`
	IdleGranted int           `json:"idle_granted"`
}
