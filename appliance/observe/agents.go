package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/link"
)

// Calls is what the metrics want of the appliance as a peer, Socket what they want of its socket.
type (
	Calls  interface{ Stats() agent.Stats }
	Socket interface{ Counts() link.Counts }
)

// What agents are described by. The labels take values out of small fixed sets.
var (
	agentsLive       = described("ice_agents", "Calls of the appliance as a peer that have not ended.", "state")
	agentCalls       = described("ice_calls_total", "Calls begun.")
	agentEnds        = described("ice_calls_ended_total", "Calls that have ended, by the kind of end.", "reason")
	agentRefusals    = described("ice_calls_refused_total", "Offers and candidates refused.", "reason")
	consentFailures  = described("ice_consent_failures_total", "Losses of consent (RFC 7675).")
	consentForged    = described("ice_consent_forged_answers_total", "Answers to consent checks that were not the peer's.")
	agentRestarts    = described("ice_restarts_total", "Restarts of ICE asked for.")
	agentBytes       = described("ice_data_bytes_total", "Bytes that data channels carried both ways.")
	agentDropped     = described("ice_data_messages_dropped_total", "Messages of callers that came too fast.")
	agentPassedOver  = described("ice_candidates_passed_over_total", "Candidates that are names or at addresses where agents do not send.")
	agentChecks      = described("ice_checks_total", "Connectivity checks, by what became of them.", "fate")
	agentQueueTotal  = described("ice_check_queue_seconds_total", "Time that the sent checks waited for their turn.")
	agentQueueMost   = described("ice_check_queue_longest_seconds", "The longest that a sent check waited.")
	agentKeptBack    = described("ice_datagrams_kept_back_total", "Datagrams that did not leave.", "reason")
	agentReadRetries = described("ice_socket_errors_total", "Read errors of the agents' socket survived.")
)

// agentMetrics reads the counters at each scrape.
type agentMetrics struct {
	calls  Calls
	socket Socket
}

// NewAgentMetrics returns the metrics of the appliance as a peer. No label holds a room, a peer or an address.
func NewAgentMetrics(calls Calls, socket Socket) prometheus.Collector {
	return &agentMetrics{calls, socket}
}

// Describe implements [prometheus.Collector].
func (*agentMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		agentsLive, agentCalls, agentEnds, agentRefusals, consentFailures, consentForged, agentRestarts, agentBytes, agentDropped,
		agentPassedOver, agentChecks, agentQueueTotal, agentQueueMost, agentKeptBack, agentReadRetries,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *agentMetrics) Collect(to chan<- prometheus.Metric) {
	s, c := m.calls.Stats(), m.socket.Counts()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		send(d, prometheus.CounterValue, float64(n), labels...)
	}
	for state, n := range s.Present {
		send(agentsLive, prometheus.GaugeValue, float64(n), string(state))
	}
	count(agentCalls, s.Begun)
	for end, n := range s.Ended {
		count(agentEnds, n, string(end))
	}
	for refusal, n := range s.Refused {
		count(agentRefusals, n, string(refusal))
	}
	count(consentFailures, s.ConsentLost)
	count(consentForged, c.Forged)
	count(agentRestarts, s.Restarts)
	count(agentBytes, s.Bytes)
	count(agentDropped, s.Dropped)
	count(agentPassedOver, s.PassedOver)
	p := c.Pacing
	for fate, n := range map[string]int{"sent": p.Sent, "dropped": p.Dropped, "replaced": p.Replaced, "ended": p.Ended} {
		count(agentChecks, uint64(n), fate)
	}
	send(agentQueueTotal, prometheus.CounterValue, p.Waited.Seconds())
	send(agentQueueMost, prometheus.GaugeValue, p.Longest.Seconds())
	for reason, n := range map[string]uint64{"forbidden": c.Forbidden, "foreign": c.Foreign, "consent-expired": c.Stopped} {
		count(agentKeptBack, n, reason)
	}
	count(agentReadRetries, c.ReadErrors)
}
