package observe_test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tourbillon/appliance/observe"
	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/signaling/agent/pacing"
)

type (
	fixedCalls  agent.Stats
	fixedSocket link.Counts
)

func (f fixedCalls) Stats() agent.Stats   { return agent.Stats(f) }
func (f fixedSocket) Counts() link.Counts { return link.Counts(f) }

func TestAgentMetrics(t *testing.T) {
	calls := fixedCalls{
		Present: map[orchestrate.State]int{orchestrate.Connected: 2}, Begun: 9,
		Ended: map[agent.End]uint64{agent.EndIdle: 3}, Refused: map[agent.Refusal]uint64{agent.RefusedOffer: 4},
		ConsentLost: 5, Restarts: 6, Bytes: 700, Dropped: 8, PassedOver: 10,
	}
	socket := fixedSocket{
		Pacing:    pacing.Counts{Sent: 11, Dropped: 12, Replaced: 13, Ended: 14, Waited: 1500 * time.Millisecond, Longest: 100 * time.Millisecond},
		Forbidden: 15, Foreign: 16, Stopped: 17, Forged: 18, ReadErrors: 19,
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(observe.NewAgentMetrics(calls, socket))
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	answer := httptest.NewRecorder()
	observe.MetricsHandler(registry).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`agents{state="connected"} 2`, "calls_total 9", `calls_ended_total{reason="idle"} 3`, `calls_refused_total{reason="bad-offer"} 4`,
		"consent_failures_total 5", "restarts_total 6", "data_bytes_total 700", "data_messages_dropped_total 8", "candidates_passed_over_total 10",
		`checks_total{fate="sent"} 11`, `checks_total{fate="dropped"} 12`, `checks_total{fate="replaced"} 13`, `checks_total{fate="ended"} 14`,
		"check_queue_seconds_total 1.5", "check_queue_longest_seconds 0.1", `datagrams_kept_back_total{reason="forbidden"} 15`,
		`datagrams_kept_back_total{reason="foreign"} 16`, `datagrams_kept_back_total{reason="consent-expired"} 17`,
		"consent_forged_answers_total 18", "socket_errors_total 19",
	} {
		if !strings.Contains(string(text), "\ntourbillon_ice_"+line+"\n") {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}
