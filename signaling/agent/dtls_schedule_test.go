package agent_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

const dtlsPath = "github.com/pion/dtls/v3"

// dtlsFlights is when a flight leaves, in milliseconds: 1 s after the first time, then doubling up to 60 s (RFC 6347
// section 4.2.4.1, RFC 9147 section 5.8.2).
var dtlsFlights = []int64{0, 1000, 3000, 7000, 15000, 31000, 63000, 123000, 183000, 243000}

// preShared makes handshakes quick and alike: no certificate, no signature.
func preShared() []dtls.Option {
	return []dtls.Option{
		dtls.WithPSK(func([]byte) ([]byte, error) { return []byte("key of the test"), nil }),
		dtls.WithPSKIdentityHint([]byte("test")), dtls.WithLoggerFactory(silent()),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_GCM_SHA256),
	}
}

func dtlsClient(t *testing.T, conn net.PacketConn, peer net.Addr, more ...dtls.Option) *dtls.Conn {
	t.Helper()
	var options []dtls.ClientOption
	for _, o := range append(preShared(), more...) {
		options = append(options, o)
	}
	c, err := dtls.ClientWithOptions(conn, peer, options...)
	check(t, "make a DTLS client", err)
	return c
}

// TestDTLSFlight1Schedule sends ClientHello to a server that never answers.
func TestDTLSFlight1Schedule(t *testing.T) {
	want := timingtest.NewSchedule("pion/dtls flight 1", "RFC 6347 section 4.2.4.1 and RFC 9147 section 5.8.2", "ClientHello", dtlsFlights, dtlsFlights)
	timingtest.InVirtualTime(t, dtlsPath, func(t *testing.T, v *timingtest.VirtualTime) {
		network := memory(t, v, timingtest.Deliver)
		client, server := listen(t, network, clientHost), listen(t, network, serverHost)
		c := dtlsClient(t, client, server.LocalAddr())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		start := v.Clock.Now()
		go func() { ended <- c.HandshakeContext(ctx) }()
		v.Pass(4*time.Minute + 30*time.Second)
		cancel()
		if err := <-ended; err == nil {
			t.Error("a handshake with nobody succeeded")
		}
		want.Check(t, start, timingtest.Instants(network.Sent()))
		_ = c.Close() // The cancelled handshake has closed it.
	})
}

// TestDTLSLostFlights loses the client's first two ClientHellos on a path of 20 ms each way: the handshake takes what the
// two retransmissions take, and its flights' six ways.
func TestDTLSLostFlights(t *testing.T) {
	timingtest.InVirtualTime(t, dtlsPath, func(t *testing.T, v *timingtest.VirtualTime) {
		const oneWay = 20 * time.Millisecond
		var fromClient atomic.Int32
		network := memory(t, v, func(p timingtest.Packet) timingtest.Fate {
			lose := p.From.Addr() == clientHost && fromClient.Add(1) <= 2
			return timingtest.Fate{Lose: lose, Delay: oneWay}
		})
		client, server := listen(t, network, clientHost), listen(t, network, serverHost)
		c := dtlsClient(t, client, server.LocalAddr())
		s := dtlsServer(t, server, client.LocalAddr())
		start := v.Clock.Now()
		done := make(chan timing.Instant, 2)
		for _, side := range []*dtls.Conn{c, s} {
			go func() {
				if err := side.HandshakeContext(t.Context()); err != nil {
					t.Errorf("handshake: %v", err)
				}
				done <- v.Clock.Now()
			}()
		}
		v.Pass(time.Minute)
		timingtest.Schedule{Name: "pion/dtls with two ClientHellos lost", Standard: "RFC 6347 section 4.2.4.1", Steps: []timingtest.Step{
			{What: "server done", Standard: 3000*time.Millisecond + 5*oneWay, Want: 3000*time.Millisecond + 5*oneWay},
			{What: "client done", Standard: 3000*time.Millisecond + 6*oneWay, Want: 3000*time.Millisecond + 6*oneWay},
		}}.Check(t, start, []timing.Instant{<-done, <-done})
		for _, side := range []*dtls.Conn{c, s} {
			check(t, "close", side.Close())
		}
		v.Settle()
	})
}

func dtlsServer(t *testing.T, conn net.PacketConn, peer net.Addr, more ...dtls.Option) *dtls.Conn {
	t.Helper()
	var options []dtls.ServerOption
	for _, o := range append(preShared(), more...) {
		options = append(options, o)
	}
	s, err := dtls.ServerWithOptions(conn, peer, options...)
	check(t, "make a DTLS server", err)
	return s
}
