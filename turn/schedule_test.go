package turn_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

const silentServer = "192.0.2.3:3478"

// silentClient is pion's client of a server that never answers, on a network in memory. rto is pion's own where 0.
func silentClient(t *testing.T, network *timingtest.Network, rto time.Duration) *pion.Client {
	t.Helper()
	conn, err := network.Listen(netip.MustParseAddrPort("192.0.2.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	c, err := pion.NewClient(&pion.ClientConfig{
		STUNServerAddr: silentServer, TURNServerAddr: silentServer, Conn: conn, RTO: rto,
		Username: "user", Password: "password", LoggerFactory: logs,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	return c
}

// allocate asks for an allocation and sends the instant at which that failed.
func allocate(t *testing.T, clock timing.Clock, c *pion.Client) (failed <-chan timing.Instant) {
	at := make(chan timing.Instant, 1)
	go func() {
		if _, err := c.Allocate(); err == nil {
			t.Error("an allocation without an answer")
		}
		at <- clock.Now()
	}()
	return at
}

// TestTURNClientSchedule sends an Allocate request to a server that never answers.
//
// pion starts at 200 ms instead of at least 500 ms, doubles up to 1600 ms instead of without bound, and gives up one
// interval after the last of its seven requests instead of 8 s.
func TestTURNClientSchedule(t *testing.T) {
	timingtest.InVirtualTime(t, "github.com/pion/turn/v5", func(t *testing.T, v *timingtest.VirtualTime) {
		network := timingtest.NewNetwork(v.Clock, timingtest.Deliver)
		defer network.Close()
		c := silentClient(t, network, 0)
		start, failed := v.Clock.Now(), allocate(t, v.Clock, c)
		v.Pass(time.Minute)
		for _, p := range network.Sent() {
			m := &stun.Message{Raw: p.Data}
			if err := m.Decode(); err != nil || m.Type != stun.NewType(stun.MethodAllocate, stun.ClassRequest) {
				t.Errorf("sent %v (%v)", m, err)
			}
		}
		timingtest.NewSchedule("pion/turn transaction", "RFC 8489 section 6.2.1", "request",
			[]int64{0, 500, 1500, 3500, 7500, 15500, 31500}, []int64{0, 200, 600, 1400, 3000, 4600, 6200}).
			Then("failure", 39500*time.Millisecond, 7800*time.Millisecond).
			Check(t, start, append(timingtest.Instants(network.Sent()), <-failed))
		c.Close()
	})
}

// TestTURNClientUnderLoad runs a whole failing transaction on real clocks while the program and the collector are busy.
func TestTURNClientUnderLoad(t *testing.T) {
	if !timingtest.Alone(t) {
		return
	}
	const rto = 5 * time.Millisecond // Seven requests and the failure take 127 of them.
	labels := timingtest.UnderLoad(t, func(clock timing.Clock) {
		network := timingtest.NewNetwork(clock, timingtest.Deliver)
		defer network.Close()
		c := silentClient(t, network, rto)
		start, failed := clock.Now(), allocate(t, clock, c)
		if at := <-failed; at < start.Add(127*rto) {
			t.Errorf("gave up %v after the start, want %v at least", at.Sub(start), 127*rto)
		}
		c.Close()
		due := start
		for i, p := range network.Sent() {
			if p.Sent < due {
				t.Errorf("request %d left %v early", i+1, due.Sub(p.Sent))
			}
			due = due.Add(rto << i)
		}
		if n := len(network.Sent()); n != 7 {
			t.Errorf("%d requests, want 7", n)
		}
	})
	timingtest.CheckFired(t, labels, "pion.turn")
}
