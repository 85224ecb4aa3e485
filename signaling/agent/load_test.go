package agent_test

import (
	"context"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/sctp"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// loadInterval is what intervals that can be set are set to, in milliseconds loadIntervalMS.
const (
	loadIntervalMS = 50
	loadInterval   = loadIntervalMS * time.Millisecond
)

// enough is how many packets of each kind are waited for: of STUN requests the third leaves after 1.5 s.
const enough = 3

// TestSchedulesUnderLoad runs the protocols on real clocks while the program and the collector are busy: nothing may leave
// before its time, and each protocol's timers have to show with their lateness.
func TestSchedulesUnderLoad(t *testing.T) {
	if !timingtest.Alone(t) {
		return
	}
	labels := timingtest.UnderLoad(t, func(clock timing.Clock) {
		network := timingtest.NewNetwork(clock, timingtest.Deliver)
		defer network.Close()
		var finish []func()
		for _, start := range []func(*testing.T, timing.Clock, *timingtest.Network) func(){gatherUnderLoad, connectUnderLoad, dtlsUnderLoad, sctpUnderLoad} {
			finish = append(finish, start(t, clock, network))
		}
		for _, f := range finish {
			f()
		}
	})
	timingtest.CheckFired(t, labels, "pion.ice", "pion.dtls", "pion.sctp")
}

// waitFor lets the clock go on until a list of packets is long enough.
func waitFor(t *testing.T, clock timing.Clock, what string, list func() []timingtest.Packet) []timingtest.Packet {
	t.Helper()
	const patience = 2 * time.Minute // Nothing comes near it unless something is broken.
	for limit := clock.Now().Add(patience); clock.Now() < limit; {
		if sent := list(); len(sent) >= enough {
			return sent
		}
		timingtest.Real(clock).Pass(loadInterval)
	}
	t.Errorf("%s: %d packets in %v, want %d", what, len(list()), patience, enough)
	return list()
}

// notEarly waits for packets and holds them to the instants before which they must not leave, in milliseconds from start.
func notEarly(t *testing.T, clock timing.Clock, what string, start timing.Instant, list func() []timingtest.Packet, ms []int64) {
	t.Helper()
	for i, p := range waitFor(t, clock, what, list) {
		if i == len(ms) {
			break
		}
		if due := start.Add(time.Duration(ms[i]) * time.Millisecond); p.Sent < due {
			t.Errorf("%s %d left %v early", what, i+1, due.Sub(p.Sent))
		}
	}
}

func gatherUnderLoad(t *testing.T, clock timing.Clock, network *timingtest.Network) (finish func()) {
	a := silentGatherer(t, network, ice.WithSTUNGatherTimeout(time.Minute))
	check(t, "hear of candidates", a.OnCandidate(func(ice.Candidate) {}))
	start := clock.Now()
	check(t, "gather", a.GatherCandidates())
	return func() {
		notEarly(t, clock, "STUN request", start, func() []timingtest.Packet { return network.SentTo(stunServer) }, rfc8489)
		check(t, "close", a.GracefulClose())
	}
}

func connectUnderLoad(t *testing.T, clock timing.Clock, network *timingtest.Network) (finish func()) {
	p := newICEPair(t, clock, network, ice.WithKeepaliveInterval(loadInterval))
	ended := p.connect(t, func() {})
	return func() {
		for range 2 {
			check(t, "connect", <-ended)
		}
		connected := p.reached(t, ice.ConnectionStateConnected)
		sent := waitFor(t, clock, "keepalive", func() []timingtest.Packet { return requests(network, connected+1, timing.Never) })
		p.close(t)
		for i := range len(sent) - 1 {
			if apart := sent[i+1].Sent.Sub(sent[i].Sent); apart < loadInterval {
				t.Errorf("keepalive %d came %v after the one before, want %v at least", i+2, apart, loadInterval)
			}
		}
	}
}

func dtlsUnderLoad(t *testing.T, clock timing.Clock, network *timingtest.Network) (finish func()) {
	client, server := listen(t, network, clientHost), listen(t, network, serverHost)
	c := dtlsClient(t, client, server.LocalAddr(), dtls.WithFlightInterval(loadInterval))
	ctx, cancel := context.WithCancel(t.Context())
	start, ended := clock.Now(), make(chan error, 1)
	go func() { ended <- c.HandshakeContext(ctx) }()
	var due []int64
	for i := range 10 {
		due = append(due, loadIntervalMS*(1<<i-1))
	}
	return func() {
		notEarly(t, clock, "ClientHello", start, func() []timingtest.Packet { return network.SentFrom(client.Address()) }, due)
		cancel()
		if err := <-ended; err == nil {
			t.Error("a handshake with nobody succeeded")
		}
		_ = c.Close() // The cancelled handshake has closed it.
	}
}

func sctpUnderLoad(t *testing.T, clock timing.Clock, network *timingtest.Network) (finish func()) {
	client, server := listen(t, network, clientHost), listen(t, network, serverHost)
	start, ended := clock.Now(), make(chan error, 1)
	go func() {
		_, err := sctp.ClientWithOptions(sctp.WithNetConn(client.Dial(server.Address())), sctp.WithLoggerFactory(silent()), sctp.WithRTOMax(loadIntervalMS))
		ended <- err
	}()
	var due []int64
	for i := range len(sctpInit) {
		due = append(due, loadIntervalMS*int64(i))
	}
	return func() {
		if err := <-ended; err == nil { // After Max.Init.Retransmits.
			t.Error("an association with nobody opened")
		}
		notEarly(t, clock, "INIT", start, func() []timingtest.Packet { return network.SentFrom(client.Address()) }, due)
	}
}
