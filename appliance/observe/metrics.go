package observe

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tourbillon/turn"
)

// prefix begins every name of ours.
const prefix = "tourbillon_"

// Relay is what the metrics want of the TURN server.
type Relay interface{ Stats() turn.Stats }

// NewMetrics returns a registry of its own with the program's metrics: of the Go runtime, the process, the build and
// the relay. selfTest tells whether relaying through ourselves works, and its round trip; it must not block. No label
// holds a user, a room or an address.
func NewMetrics(build Build, relay Relay, selfTest func() (up bool, rtt time.Duration)) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: prefix + "build_info", Help: "1, labelled with what this binary is.",
		ConstLabels: prometheus.Labels{"version": build.Version, "go": build.Go, "clock": build.Timers.Clock},
	})
	info.Set(1)
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info,
		&relayMetrics{relay: relay, selfTest: selfTest},
	)
	return registry
}

// NewReloadMetric returns the metric of whether the latest reload read all that it was to read; true before the first.
func NewReloadMetric(good func() bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: prefix + "config_last_reload_successful", Help: "1 unless something could not be read at the latest reload.",
	}, func() float64 { return one(good()) })
}

// MetricsHandler serves a registry to Prometheus.
func MetricsHandler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry})
}

func described(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

// What the relay is described by. The labels take values out of small fixed sets.
var (
	allocationsLive    = described("turn_allocations", "Live allocations.")
	allocationsMade    = described("turn_allocations_created_total", "Allocations made.")
	allocationsRefused = described("turn_allocation_failures_total", "Allocate requests refused, by the quota that was reached.", "reason")
	authFailures       = described("turn_auth_failures_total", "Credentials refused.", "reason")
	deniedPeers        = described("turn_denied_peers_total", "Permissions and channels refused, by policy or limit.", "reason")
	droppedPackets     = described("turn_dropped_packets_total", "Packets between client and peer that were not relayed, by policy or ceiling.", "reason")
	relayedBytes       = described("turn_relayed_bytes_total", "Relayed payload bytes.", "dir")
	relayedPackets     = described("turn_relayed_packets_total", "Relayed packets.", "dir")
	clientBytes        = described("turn_client_bytes_total", "Bytes on the listeners, headers included.", "dir")
	clientPackets      = described("turn_client_packets_total", "Packets on the listeners.", "dir")
	replies            = described("turn_unauthenticated_replies_total", "Replies over UDP to requests that need no credential.", "kind")
	suppressed         = described("turn_replies_suppressed_total", "Replies withheld from sources that had their share.", "kind")
	garbage            = described("turn_garbage_packets_total", "Packets that were neither STUN nor ChannelData.")
	strangers          = described("turn_stranger_packets_total", "ChannelData and Send indications of clients without an allocation.")
	lostPackets        = described("turn_lost_packets_total", "Packets that a full socket or a full queue of the relay lost.", "reason")
	connections        = described("turn_connections_dropped_total", "TCP, TLS and DTLS connections refused or failed.", "reason")
	socketRetries      = described("turn_socket_errors_total", "Socket errors survived.")
	panics             = described("turn_panics_total", "Panics survived; each cost one packet or request.")
	portsInUse         = described("turn_ports_in_use_ratio", "Live allocations over relay ports.")
	draining           = described("turn_draining", "1 while no allocation is made any more.")
	selfTestUp         = described("turn_selftest_up", "1 while a call to ourselves through our own relay stands.")
	selfTestRTT        = described("turn_selftest_rtt_seconds", "Smoothed round trip of that call.")
)

// relayMetrics reads the relay's counters at each scrape.
type relayMetrics struct {
	relay    Relay
	selfTest func() (up bool, rtt time.Duration)
}

// Describe implements [prometheus.Collector].
func (*relayMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		allocationsLive, allocationsMade, allocationsRefused, authFailures, deniedPeers, droppedPackets, relayedBytes,
		relayedPackets, clientBytes, clientPackets, replies, suppressed, garbage, strangers, lostPackets, connections,
		socketRetries, panics, portsInUse, draining, selfTestUp, selfTestRTT,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *relayMetrics) Collect(to chan<- prometheus.Metric) {
	s := m.relay.Stats()
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	byReason := func(d *prometheus.Desc, counts map[string]uint64) {
		for reason, n := range counts {
			count(d, n, reason)
		}
	}
	gauge(allocationsLive, float64(s.Allocations))
	count(allocationsMade, s.Created)
	byReason(allocationsRefused, s.QuotaRefusals)
	byReason(authFailures, s.AuthFailures)
	byReason(deniedPeers, s.DeniedPermissions)
	byReason(droppedPackets, s.DeniedPackets)
	for dir, t := range map[string]turn.Traffic{"to_peers": s.ToPeers, "from_peers": s.FromPeers} {
		count(relayedBytes, t.Bytes, dir)
		count(relayedPackets, t.Packets, dir)
	}
	for dir, t := range map[string]turn.Traffic{"from_clients": s.FromClients, "to_clients": s.ToClients} {
		count(clientBytes, t.Bytes, dir)
		count(clientPackets, t.Packets, dir)
	}
	count(replies, s.Challenges, "challenge")
	count(replies, s.Bindings, "binding")
	count(suppressed, s.ThrottledChallenges, "challenge")
	count(suppressed, s.ThrottledBindings, "binding")
	count(garbage, s.Garbage)
	count(strangers, s.Strangers)
	count(lostPackets, s.SocketFull, "socket-full")
	count(lostPackets, s.QueueFull, "queue-full")
	count(connections, s.RefusedConns, "refused")
	count(connections, s.FailedConns, "failed")
	count(socketRetries, s.Retries)
	count(panics, s.Panics)
	gauge(portsInUse, float64(s.Allocations)/float64(max(1, s.Ports)))
	gauge(draining, one(s.Draining))
	up, rtt := m.selfTest()
	gauge(selfTestUp, one(up))
	gauge(selfTestRTT, rtt.Seconds())
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
