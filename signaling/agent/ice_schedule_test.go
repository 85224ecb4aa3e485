package agent_test

import (
	"bytes"
	"context"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

func newICEAgent(t *testing.T, network *timingtest.Network, host netip.Addr, options ...ice.AgentOption) *ice.Agent {
	t.Helper()
	a, err := ice.NewAgentWithOptions(append([]ice.AgentOption{
		ice.WithNet(hostNet{network: network, address: host}), ice.WithLoggerFactory(silent()),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}), ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
	}, options...)...)
	check(t, "make an ICE agent", err)
	return a
}

// icePair is two agents that know each other's candidates.
type icePair struct {
	controlling, controlled *ice.Agent
	// states are the controlling side's, in order, with their instants.
	mu     sync.Mutex
	states []iceState
}

type iceState struct {
	state ice.ConnectionState
	at    timing.Instant
}

func newICEPair(t *testing.T, clock timing.Clock, network *timingtest.Network, options ...ice.AgentOption) *icePair {
	t.Helper()
	p := &icePair{
		controlling: newICEAgent(t, network, clientHost, options...),
		controlled:  newICEAgent(t, network, peerHost, options...),
	}
	check(t, "follow the state", p.controlling.OnConnectionStateChange(func(s ice.ConnectionState) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.states = append(p.states, iceState{s, clock.Now()})
	}))
	for _, way := range [][2]*ice.Agent{{p.controlling, p.controlled}, {p.controlled, p.controlling}} {
		from, to := way[0], way[1]
		check(t, "hear of candidates", from.OnCandidate(func(c ice.Candidate) {
			if c != nil {
				_ = to.AddRemoteCandidate(c) // Fails on a closed agent alone.
			}
		}))
	}
	for _, a := range []*ice.Agent{p.controlling, p.controlled} {
		check(t, "gather", a.GatherCandidates())
	}
	return p
}

// connect starts the controlled side's checks and, after settle, the controlling side's. Each side that has connected
// sends nil.
func (p *icePair) connect(t *testing.T, settle func()) (connected <-chan error) {
	t.Helper()
	ended := make(chan error, 2)
	start := func(remote *ice.Agent, dial func(context.Context, string, string) (*ice.Conn, error)) {
		ufrag, pwd, err := remote.GetLocalUserCredentials()
		check(t, "read credentials", err)
		go func() {
			_, err := dial(t.Context(), ufrag, pwd) // Ends with its agent.
			ended <- err
		}()
		settle()
	}
	settle()
	start(p.controlling, p.controlled.Accept)
	start(p.controlled, p.controlling.Dial)
	return ended
}

func (p *icePair) close(t *testing.T) {
	t.Helper()
	check(t, "close", p.controlling.GracefulClose())
	check(t, "close", p.controlled.GracefulClose())
}

// reached returns when the controlling side first came into a state.
func (p *icePair) reached(t *testing.T, state ice.ConnectionState) timing.Instant {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.states {
		if s.state == state {
			return s.at
		}
	}
	t.Fatalf("never %v: %v", state, p.states)
	return 0
}

// requests are the controlling side's Binding requests to the other side, from one instant to another.
func requests(network *timingtest.Network, from, to timing.Instant) []timingtest.Packet {
	return slices.DeleteFunc(network.Sent(), func(p timingtest.Packet) bool {
		m := &stun.Message{Raw: bytes.Clone(p.Data)}
		return p.From.Addr() != clientHost || p.To.Addr() != peerHost || p.Sent < from || p.Sent > to || m.Decode() != nil || m.Type != stun.BindingRequest
	})
}

// lastHeard is when the last packet reached a host.
func lastHeard(network *timingtest.Network, host netip.Addr) (last timing.Instant) {
	last = math.MinInt64
	for _, p := range network.Sent() {
		if p.To.Addr() == host && !p.Fate.Lose {
			last = max(last, p.Arrived())
		}
	}
	return last
}

// TestICEKeepaliveAndDisconnect connects two agents, watches the keepalives and cuts the network.
//
// RFC 7675 section 5.1 wants consent checks each 5 s times a random factor from 0.8 to 1.2, and consent to end 30 s after
// the last valid answer. pion checks each 2 s, not randomised; it looks at its 5 s and 30 s limits in these ticks alone,
// and only "more than" counts, so that both come one tick late. Its first check after the connection keeps the 200 ms of
// the checks before.
func TestICEKeepaliveAndDisconnect(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		var cut atomic.Bool
		network := memory(t, v, func(timingtest.Packet) timingtest.Fate { return timingtest.Fate{Lose: cut.Load()} })
		p := newICEPair(t, v.Clock, network)
		defer p.close(t)
		ended := p.connect(t, v.Settle)
		v.Pass(11 * time.Second)
		for range 2 {
			check(t, "connect", <-ended)
		}
		cut.Store(true)
		v.Pass(time.Minute)

		connected := p.reached(t, ice.ConnectionStateConnected)
		timingtest.NewSchedule("pion/ice keepalives", "RFC 7675 section 5.1 (5 s, here without its random factor)", "check after connecting",
			[]int64{5000, 10000, 15000, 20000}, []int64{200, 2200, 4200, 6200, 8200, 10200, 12200, 14200, 16200, 18200, 20200}).
			Check(t, connected, timingtest.Instants(requests(network, connected+1, connected.Add(21*time.Second))))
		timingtest.Schedule{Name: "pion/ice after the last answer", Standard: "RFC 7675 section 5.1", Steps: []timingtest.Step{
			{What: "disconnected", Standard: timingtest.NoFigure, Want: 6 * time.Second},
			{What: "failed (consent expires)", Standard: 30 * time.Second, Want: 32 * time.Second},
		}}.Check(t, lastHeard(network, clientHost), []timing.Instant{
			p.reached(t, ice.ConnectionStateDisconnected), p.reached(t, ice.ConnectionStateFailed),
		})
	})
}

// TestICECheckSchedule has an agent check a peer that never answers.
func TestICECheckSchedule(t *testing.T) {
	want := timingtest.NewSchedule("pion/ice connectivity checks", "RFC 8445 section 14.3 with RTO = 500 ms", "check", rfc8489,
		[]int64{0, 200, 400, 600, 800, 1000, 1200, 1400}).Then("failed", rfc8489Failure, 30200*time.Millisecond)
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		network := memory(t, v, func(timingtest.Packet) timingtest.Fate { return timingtest.Fate{Lose: true} })
		p := newICEPair(t, v.Clock, network)
		defer p.close(t)
		start := v.Clock.Now()
		p.connect(t, v.Settle)
		v.Pass(time.Minute)
		seen := timingtest.Instants(requests(network, start, timing.Never))
		want.Check(t, start, append(seen, p.reached(t, ice.ConnectionStateFailed)))
	})
}
