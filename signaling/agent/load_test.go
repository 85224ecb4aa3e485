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

const (
	// loadTime is how long the protocols run on the real clock.
	loadTime = 1600 * time.Millisecond
	// loadInterval is what intervals that can be set are set to, in milliseconds loadIntervalMS.
	loadIntervalMS = 50
	loadInterval   = loadIntervalMS * time.Millisecond
)

// TestSchedulesUnderLoad runs the protocols on real clocks while the program and the collector are busy: nothing may leave
// before its time, and each protocol's timers have to show with their lateness.
func TestSchedulesUnderLoad(t *testing.T) {
	labels := timingtest.UnderLoad(t, func(clock timing.Clock) {
		network := timingtest.NewNetwork(clock, timingtest.Deliver)
		defer network.Close()
		var finish []func()
		for _, start := range []func(*testing.T, timing.Clock, *timingtest.Network) func(){gatherUnderLoad, connectUnderLoad, dtlsUnderLoad, sctpUnderLoad} {
			finish = append(finish, start(t, clock, network))
		}
		timingtest.Real(clock).Pass(loadTime)
		for _, f := range finish {
			f()
		}
	})
	timingtest.CheckFired(t, labels, "pion.ice", "pion.dtls", "pion.sctp")
}

// notEarly holds packets to the instants before which they must not leave, in milliseconds from start.
func notEarly(t *testing.T, what string, start timing.Instant, sent []timingtest.Packet, ms []int64) {
	t.Helper()
	if len(sent) < 3 {
		t.Errorf("%s: %d packets in %v, want 3 at least", what, len(sent), loadTime)
	}
	for i, p := range sent[:min(len(sent), len(ms))] {
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
		check(t, "close", a.GracefulClose())
		notEarly(t, "STUN request", start, network.SentTo(stunServer), rfc8489)
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
		p.close(t)
		if n := len(requests(network, connected, timing.Never)); n < 3 || n > int(loadTime/loadInterval) {
			t.Errorf("%d keepalives in %v at one in %v", n, loadTime, loadInterval)
		}
	}
}

func dtlsUnderLoad(t *testing.T, clock timing.Clock, network *timingtest.Network) (finish func()) {
	client, server := listen(t, network, clientHost), listen(t, network, serverHost)
	c := dtlsClient(t, client, server.LocalAddr(), dtls.WithFlightInterval(loadInterval))
	ctx, cancel := context.WithCancel(t.Context())
	start, ended := clock.Now(), make(chan error, 1)
	go func() { ended <- c.HandshakeContext(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err == nil {
			t.Error("a handshake with nobody succeeded")
		}
		_ = c.Close() // The cancelled handshake has closed it.
		var due []int64
		for i := range int64(5) {
			due = append(due, loadIntervalMS*(1<<i-1))
		}
		notEarly(t, "ClientHello", start, network.SentFrom(client.Address()), due)
	}
}

func sctpUnderLoad(t *testing.T, clock timing.Clock, network *timingtest.Network) (finish func()) {
	client, server := listen(t, network, clientHost), listen(t, network, serverHost)
	start, ended := clock.Now(), make(chan error, 1)
	go func() {
		_, err := sctp.ClientWithOptions(sctp.WithNetConn(client.Dial(server.Address())), sctp.WithLoggerFactory(silent()), sctp.WithRTOMax(loadIntervalMS))
		ended <- err
	}()
	return func() {
		if err := <-ended; err == nil {
			t.Error("an association with nobody opened")
		}
		var due []int64
		for i := range int64(len(sctpInit)) {
			due = append(due, loadIntervalMS*i)
		}
		notEarly(t, "INIT", start, network.SentFrom(client.Address()), due)
	}
}
