package appliance

import (
	"net/netip"
	"sync"
	"time"

	"tourbillon/appliance/observe"
	"tourbillon/timing"
	"tourbillon/turn"
	"tourbillon/web"
)

// leastRateWindow is the shortest time that rates are told of: two readers at once would else divide by next to nothing.
const leastRateWindow = 250 * time.Millisecond

// mostRateWindow is the longest: readings are taken when somebody looks, and what a relay carried over hours in which nobody
// did is no present rate. A page looks twice a second, so that some of its looks may be late; whoever asks for the state more
// seldom asks twice to have rates.
const mostRateWindow = 5 * time.Second

// usage tells how near the relay is to each of its limits.
type usage struct {
	limits turn.Limits

	mu     sync.Mutex // guards what follows
	last   reading
	latest rates
}

func newUsage(limits turn.Limits) *usage { return &usage{limits: limits} }

// reading is the relay's counters at one instant.
type reading struct {
	at    timing.Instant
	stats turn.Stats
	live  map[allocationKey]turn.Allocation
}

// allocationKey tells an allocation from a later one of the same client.
type allocationKey struct {
	client, relay netip.AddrPort
	since         time.Time
}

// rates are per second; those of allocations are of the busiest one in its busier direction.
type rates struct {
	known                             bool
	packets, bytes                    float64
	serverBytes, challenges, bindings float64
}

// describe lists all limits with what counts toward them at now. Rates are over the time since the last call; they are not
// known at the first, and at one that comes after [mostRateWindow].
func (u *usage) describe(stats turn.Stats, live []turn.Allocation, now timing.Instant) []web.Limit {
	r := u.rates(newReading(stats, live, now))
	most := mostOf(live)
	in := map[string]float64{
		"allocations": float64(stats.Allocations), "allocations_per_user": float64(most.user),
		"allocations_per_source": float64(most.source), "peers_per_allocation": float64(most.peers),
		"channels_per_allocation": float64(most.channels),
	}
	if r.known {
		in["packets_per_second"], in["bytes_per_second"], in["server_bytes_per_second"] = r.packets, r.bytes, r.serverBytes
		in["challenges_per_second"], in["bindings_per_second"] = r.challenges, r.bindings
	}
	refused := refusals(stats)
	limits := observe.Limits(u.limits)
	shown := make([]web.Limit, len(limits))
	for i, l := range limits {
		shown[i] = web.Limit{Name: l.Name, Ceiling: pointer(l.Ceiling, l.Ceiling != turn.Unlimited)}
		if n, ok := in[l.Name]; ok {
			shown[i].InUse = &n
		}
		if n, ok := refused[l.Name]; ok {
			shown[i].Refused = &n
		}
	}
	return shown
}

// refusals is what each limit has turned away since the start. The relay counts the connections of both limits together;
// they are told with the limit of all.
func refusals(s turn.Stats) map[string]uint64 {
	return map[string]uint64{
		"allocations":             s.QuotaRefusals["total-quota"],
		"allocations_per_user":    s.QuotaRefusals["user-quota"] + s.QuotaRefusals["user-reserved-ports"],
		"allocations_per_source":  s.QuotaRefusals["source-quota"],
		"peers_per_allocation":    s.DeniedPermissions["permission-limit"],
		"channels_per_allocation": s.DeniedPermissions["channel-limit"],
		"new_peers_per_second":    s.DeniedPermissions["new-peer-rate"],
		"packets_per_second":      s.DeniedPackets["packet-rate"], "bytes_per_second": s.DeniedPackets["bandwidth"],
		"server_bytes_per_second": s.DeniedPackets["server-bandwidth"],
		"challenges_per_second":   s.ThrottledChallenges, "bindings_per_second": s.ThrottledBindings,
		"unauthenticated_conns": s.RefusedConns,
	}
}

// rates are those up to a reading, which becomes the last.
func (u *usage) rates(r reading) rates {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch window := r.at.Sub(u.last.at); {
	case u.last.live == nil, window > mostRateWindow:
		u.latest, u.last = rates{}, r
	case window >= leastRateWindow:
		u.latest, u.last = ratesBetween(u.last, r), r
	}
	return u.latest
}

func newReading(stats turn.Stats, live []turn.Allocation, now timing.Instant) reading {
	r := reading{at: now, stats: stats, live: make(map[allocationKey]turn.Allocation, len(live))}
	for _, a := range live {
		r.live[allocationKey{a.Client, a.Relay, a.Since}] = a
	}
	return r
}

// ratesBetween is pure. An allocation that is new has counted from 0.
func ratesBetween(a, b reading) rates {
	seconds := b.at.Sub(a.at).Seconds()
	per := func(before, after uint64) float64 { return float64(after-min(before, after)) / seconds }
	r := rates{
		known: true, challenges: per(a.stats.Challenges, b.stats.Challenges), bindings: per(a.stats.Bindings, b.stats.Bindings),
		serverBytes: per(a.stats.ToPeers.Bytes, b.stats.ToPeers.Bytes) + per(a.stats.FromPeers.Bytes, b.stats.FromPeers.Bytes),
	}
	for key, after := range b.live {
		before := a.live[key]
		r.packets = max(r.packets, per(before.ToPeers.Packets, after.ToPeers.Packets), per(before.FromPeers.Packets, after.FromPeers.Packets))
		r.bytes = max(r.bytes, per(before.ToPeers.Bytes, after.ToPeers.Bytes), per(before.FromPeers.Bytes, after.FromPeers.Bytes))
	}
	return r
}

// most is the largest count of any user, source and allocation.
type most struct{ user, source, peers, channels int }

func mostOf(live []turn.Allocation) (m most) {
	users, sources := map[string]int{}, map[netip.Prefix]int{}
	for _, a := range live {
		source := sourceGroup(a.Client.Addr())
		users[a.User]++
		sources[source]++
		m.user, m.source = max(m.user, users[a.User]), max(m.source, sources[source])
		m.peers, m.channels = max(m.peers, a.Permissions), max(m.channels, a.Channels)
	}
	return m
}

func pointer[T any](value T, given bool) *T {
	if !given {
		return nil
	}
	return &value
}
