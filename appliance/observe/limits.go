package observe

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"tourbillon/turn"
)

// Limit is one of the relay's limits by its name in the configuration, below turn.limits.
type Limit struct {
	Name string
	// Ceiling is turn.Unlimited for none.
	Ceiling int
}

// Limits lists all limits in the order of the configuration.
func Limits(l turn.Limits) []Limit {
	return []Limit{
		{"allocations", l.Allocations},
		{"allocations_per_user", l.AllocationsPerUser},
		{"allocations_per_source", l.AllocationsPerSource},
		{"peers_per_allocation", l.PeersPerAllocation},
		{"channels_per_allocation", l.ChannelsPerAllocation},
		{"new_peers_per_second", l.NewPeersPerSecond},
		{"packets_per_second", l.PacketsPerSecond},
		{"bytes_per_second", l.BytesPerSecond},
		{"server_bytes_per_second", l.ServerBytesPerSecond},
		{"challenges_per_second", l.ChallengesPerSecond},
		{"bindings_per_second", l.BindingsPerSecond},
		{"unauthenticated_conns", l.UnauthenticatedConns},
		{"unauthenticated_conns_per_source", l.UnauthenticatedConnsPerSource},
	}
}

// NewLimitMetric returns the ceilings as a gauge by name. What is not limited is +Inf, so that a ratio with it is 0.
func NewLimitMetric(limits turn.Limits) prometheus.Collector {
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: prefix + "turn_limit", Help: "The relay's limits by their name in turn.limits; +Inf for none.",
	}, []string{"name"})
	for _, l := range Limits(limits) {
		ceiling := float64(l.Ceiling)
		if l.Ceiling == turn.Unlimited {
			ceiling = math.Inf(1)
		}
		gauge.WithLabelValues(l.Name).Set(ceiling)
	}
	return gauge
}
