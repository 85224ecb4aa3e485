package appliance

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"tourbillon/appliance/config"
	"tourbillon/appliance/observe"
	"tourbillon/timing"
	"tourbillon/turn"
	"tourbillon/web"
)

// TestLimitsAreListedByTheirKeys: each limit of the configuration is in the list, by its key and with its own ceiling.
func TestLimitsAreListedByTheirKeys(t *testing.T) {
	var configured config.TURNLimits
	fields := reflect.ValueOf(&configured).Elem()
	for i := range fields.NumField() {
		fields.Field(i).SetInt(int64(1000 + i))
	}
	listed := map[string]int{}
	for _, l := range observe.Limits(turnLimits(configured)) {
		listed[l.Name] = l.Ceiling
	}
	for i := range fields.NumField() {
		if key := fields.Type().Field(i).Tag.Get("yaml"); listed[key] != 1000+i {
			t.Errorf("%s is listed as %d, want %d", key, listed[key], 1000+i)
		}
	}
	if len(listed) != fields.NumField() {
		t.Errorf("%d limits are listed, %d can be configured", len(listed), fields.NumField())
	}
}

// TestLimitsInForce: what is shown is what the relay has, the defaults filled in, and nothing without limits.
func TestLimitsInForce(t *testing.T) {
	c := config.Default()
	c.TURN.RelayPorts = "50000-50099"
	if got := turnLimitsOf(c); got.Allocations != 50 || got.AllocationsPerUser != 12 {
		t.Errorf("half of 100 ports, and 12 for a user: %+v", got)
	}
	c.Limits = "off"
	for _, l := range newUsage(turnLimitsOf(c)).describe(turn.Stats{}, nil, 0) {
		if l.Ceiling != nil {
			t.Errorf("%s has the ceiling %d without limits", l.Name, *l.Ceiling)
		}
	}
}

func TestUsageOfLimits(t *testing.T) {
	limits := turnLimitsOf(config.Default())
	u := newUsage(limits)
	start := time.Unix(1000, 0)
	of := func(client, user string, packets uint64) turn.Allocation {
		return turn.Allocation{
			Client: netip.MustParseAddrPort(client), User: user, Since: start, Permissions: len(user), Channels: 2,
			ToPeers: turn.Traffic{Packets: packets, Bytes: 100 * packets}, FromPeers: turn.Traffic{Packets: packets / 2, Bytes: 50 * packets},
		}
	}
	stats := turn.Stats{
		Allocations: 4, Challenges: 10, Bindings: 100, ToPeers: turn.Traffic{Bytes: 1000}, RefusedConns: 9,
		QuotaRefusals: map[string]uint64{"user-quota": 3, "draining": 7}, DeniedPermissions: map[string]uint64{"new-peer-rate": 2},
		DeniedPackets: map[string]uint64{"packet-rate": 5, "loopback": 8},
	}
	live := []turn.Allocation{
		of("192.0.2.1:1", "ada", 1000), of("192.0.2.1:2", "ada", 10), of("[2001:db8::1]:1", "bob", 10), of("[2001:db8::2]:1", "ada", 10),
	}
	first := byName(u.describe(stats, live, 0))
	for name, want := range map[string]float64{
		"allocations": 4, "allocations_per_user": 3, "allocations_per_source": 2, "peers_per_allocation": 3, "channels_per_allocation": 2,
	} {
		if l := first[name]; l.InUse == nil || *l.InUse != want {
			t.Errorf("%s: %v in use, want %v", name, l.InUse, want)
		}
	}
	for name, want := range map[string]uint64{
		"allocations": 0, "allocations_per_user": 3, "new_peers_per_second": 2, "packets_per_second": 5, "unauthenticated_conns": 9,
	} {
		if l := first[name]; l.Refused == nil || *l.Refused != want {
			t.Errorf("%s: %v refused, want %d", name, l.Refused, want)
		}
	}
	if first["packets_per_second"].InUse != nil || *first["packets_per_second"].Ceiling != limits.PacketsPerSecond {
		t.Error("a rate is told before there are two readings, or its ceiling is another")
	}

	stats.Challenges, stats.Bindings, stats.ToPeers.Bytes, stats.FromPeers.Bytes = 12, 104, 5000, 1000
	live = []turn.Allocation{of("192.0.2.1:1", "ada", 1500), of("192.0.2.9:9", "new", 20)}
	rated := u.describe(stats, live, timing.Instant(2*time.Second))
	for name, want := range map[string]float64{
		"packets_per_second": 250, "bytes_per_second": 25_000, "server_bytes_per_second": 2500, "challenges_per_second": 1, "bindings_per_second": 2,
	} {
		if l := byName(rated)[name]; l.InUse == nil || *l.InUse != want {
			t.Errorf("%s: %v, want %v a second", name, l.InUse, want)
		}
	}
	again := byName(u.describe(turn.Stats{}, nil, timing.Instant(2*time.Second+1)))
	if l := again["packets_per_second"]; *l.InUse != 250 {
		t.Errorf("a second reader a nanosecond later is told %v packets a second", *l.InUse)
	}
}

// TestRatesAfterALongTime: after hours in which nobody looked their average is no rate, nor is what was told before them. The
// next look has rates of the time between.
func TestRatesAfterALongTime(t *testing.T) {
	u := newUsage(turnLimitsOf(config.Default()))
	look := func(bindings uint64, at time.Duration) *float64 {
		return byName(u.describe(turn.Stats{Bindings: bindings}, nil, timing.Instant(at)))["bindings_per_second"].InUse
	}
	for _, c := range []struct {
		bindings uint64
		at       time.Duration
		want     float64 // -1 where it is not known.
	}{
		{0, 0, -1},
		{500, 5 * time.Second, 100},
		{1_000_000, 3 * time.Hour, -1},
		{1_000_000, 3*time.Hour + time.Millisecond, -1},
		{1_000_010, 3*time.Hour + time.Second, 10},
		{2_000_000, 3*time.Hour + 6*time.Second + 1, -1},
	} {
		if got := look(c.bindings, c.at); (got == nil) != (c.want < 0) || got != nil && *got != c.want {
			t.Errorf("after %v: %v, want %v a second", c.at, got, c.want)
		}
	}
}

func byName(limits []web.Limit) map[string]web.Limit {
	named := map[string]web.Limit{}
	for _, l := range limits {
		named[l.Name] = l
	}
	return named
}
