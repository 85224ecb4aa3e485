package observe_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tourbillon/appliance/observe"
	"tourbillon/turn"
)

type fixedRelay turn.Stats

func (f fixedRelay) Stats() turn.Stats { return turn.Stats(f) }

func TestMetrics(t *testing.T) {
	relay := fixedRelay{
		Allocations: 3, Created: 7, Ports: 12, Draining: true, ToPeers: turn.Traffic{Packets: 5, Bytes: 500},
		QuotaRefusals: map[string]uint64{"user-quota": 2}, AuthFailures: map[string]uint64{"integrity": 1},
		DeniedPermissions: map[string]uint64{"loopback": 4}, DeniedPackets: map[string]uint64{"packet-rate": 6},
		SocketFull: 8, QueueFull: 9,
	}
	registry := observe.NewMetrics(observe.Build{Version: "1", Go: "go"}, relay, func() (bool, time.Duration) { return true, 2 * time.Millisecond })
	limits := (turn.Limits{AllocationsPerUser: turn.Unlimited}).WithDefaults(16384)
	registry.MustRegister(observe.NewLimitMetric(limits))
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	server := httptest.NewServer(observe.MetricsHandler(registry))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"tourbillon_turn_allocations 3", "tourbillon_turn_allocations_created_total 7",
		`tourbillon_turn_allocation_failures_total{reason="user-quota"} 2`, `tourbillon_turn_auth_failures_total{reason="integrity"} 1`,
		`tourbillon_turn_denied_peers_total{reason="loopback"} 4`, `tourbillon_turn_dropped_packets_total{reason="packet-rate"} 6`,
		`tourbillon_turn_relayed_bytes_total{dir="to_peers"} 500`, `tourbillon_turn_relayed_packets_total{dir="to_peers"} 5`,
		`tourbillon_turn_lost_packets_total{reason="queue-full"} 9`, `tourbillon_turn_lost_packets_total{reason="socket-full"} 8`,
		"tourbillon_turn_ports_in_use_ratio 0.25", "tourbillon_turn_draining 1", "tourbillon_turn_selftest_up 1",
		`tourbillon_turn_limit{name="allocations"} 1000`, `tourbillon_turn_limit{name="allocations_per_user"} +Inf`,
		`tourbillon_turn_limit{name="unauthenticated_conns_per_source"} 20`,
		"tourbillon_turn_selftest_rtt_seconds 0.002", "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(string(text), "\n"+line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}
