package agent_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

const icePath = "github.com/pion/ice/v4"

// rfc8489 is when a STUN transaction sends (RFC 8489 section 6.2.1), in milliseconds; it fails at rfc8489Failure.
var rfc8489 = []int64{0, 500, 1500, 3500, 7500, 15500, 31500}

const rfc8489Failure = 39500 * time.Millisecond

// TestICEGatherSchedule gathers a server-reflexive candidate from a server that never answers.
func TestICEGatherSchedule(t *testing.T) {
	whole := timingtest.NewSchedule("pion/ice gathering, gather timeout raised", "RFC 8489 section 6.2.1", "request", rfc8489, rfc8489).
		Then("gathering over", rfc8489Failure, rfc8489Failure)
	// pion's default gather timeout of 5 s cuts the transaction off.
	const timeout = 5 * time.Second
	cut := timingtest.NewSchedule("pion/ice gathering, pion's defaults", "RFC 8489 section 6.2.1", "request", rfc8489, rfc8489[:4]).
		Then("gathering over", rfc8489Failure, timeout)
	t.Run("raised", func(t *testing.T) {
		timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
			gather(t, v, time.Minute, whole, ice.WithSTUNGatherTimeout(time.Minute))
		})
	})
	t.Run("default", func(t *testing.T) {
		timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) { gather(t, v, timeout, cut) })
	})
}

// gather holds what is sent before the timeout to the schedule. At the timeout's very instant pion may send what is left
// of its seven requests in one burst: the wait that it cut short ends in that instant, as does its context, but on
// another goroutine.
func gather(t *testing.T, v *timingtest.VirtualTime, timeout time.Duration, want timingtest.Schedule, options ...ice.AgentOption) {
	network := memory(t, v, timingtest.Deliver)
	a := silentGatherer(t, network, options...)
	over := make(chan timing.Instant, 1)
	check(t, "hear of candidates", a.OnCandidate(func(c ice.Candidate) {
		if c == nil {
			over <- v.Clock.Now()
		}
	}))
	start := v.Clock.Now()
	check(t, "gather", a.GatherCandidates())
	v.Pass(2 * time.Minute)
	seen := timingtest.Instants(network.SentTo(stunServer))
	scheduled := slices.DeleteFunc(slices.Clone(seen), func(at timing.Instant) bool { return at == start.Add(timeout) })
	if burst := len(seen) - len(scheduled); burst > 0 {
		t.Logf("%d requests more at the instant of the timeout, %v", burst, timeout)
	}
	if len(seen) > len(rfc8489) {
		t.Errorf("%d requests, want at most %d (Rc)", len(seen), len(rfc8489))
	}
	want.Check(t, start, append(scheduled, <-over))
	check(t, "close", a.GracefulClose())
}

// stunServer is where no test has a server.
var stunServer = netip.AddrPortFrom(serverHost, 3478)

// silentGatherer is an agent that gathers from stunServer.
func silentGatherer(t *testing.T, network *timingtest.Network, options ...ice.AgentOption) *ice.Agent {
	t.Helper()
	url := &stun.URI{Scheme: stun.SchemeTypeSTUN, Host: stunServer.Addr().String(), Port: int(stunServer.Port()), Proto: stun.ProtoTypeUDP}
	return newICEAgent(t, network, clientHost, append(options,
		ice.WithUrls([]*stun.URI{url}), ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeServerReflexive}))...)
}
