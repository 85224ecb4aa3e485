package agent_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/sctp"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

const sctpPath = "github.com/pion/sctp"

// sctpInit is when INIT leaves, in milliseconds: RTO.Initial of 1 s, doubling up to RTO.Max of 60 s, Max.Init.Retransmits
// of 8 (RFC 9260 sections 5.1 and 16), so that T1-init expires for the last time sctpInitFailure after the start.
var sctpInit = []int64{0, 1000, 3000, 7000, 15000, 31000, 63000, 123000, 183000}

const sctpInitFailure = 243 * time.Second

// TestSCTPInitSchedule opens an association with a peer that never answers.
func TestSCTPInitSchedule(t *testing.T) {
	want := timingtest.NewSchedule("pion/sctp T1-init", "RFC 9260 sections 5.1 and 16", "INIT", sctpInit, sctpInit).
		Then("failure", sctpInitFailure, sctpInitFailure)
	timingtest.InVirtualTime(t, sctpPath, func(t *testing.T, v *timingtest.VirtualTime) {
		network := memory(t, v, timingtest.Deliver)
		client, server := listen(t, network, clientHost), listen(t, network, serverHost)
		start, failed := v.Clock.Now(), make(chan timing.Instant, 1)
		go func() {
			if _, err := sctp.ClientWithOptions(sctp.WithNetConn(client.Dial(server.Address())), sctp.WithLoggerFactory(silent())); !errors.Is(err, sctp.ErrHandshakeInitAck) {
				t.Errorf("opening failed with %v, want ErrHandshakeInitAck", err)
			}
			failed <- v.Clock.Now()
		}()
		v.Pass(5 * time.Minute)
		want.Check(t, start, append(timingtest.Instants(network.Sent()), <-failed))
	})
}

// sctpData is when DATA leaves that is never acknowledged, in milliseconds: RTO.Min of 1 s, doubling up to RTO.Max of 60 s
// (RFC 9260 sections 6.3.3 and 16). The eleventh expiry of T3-rtx, sctpDataFailure after the start, is one more than
// Association.Max.Retrans of 10 and ends the association (section 8.1).
var sctpData = []int64{0, 1000, 3000, 7000, 15000, 31000, 63000, 123000, 183000, 243000, 303000}

const sctpDataFailure = 363 * time.Second

// TestSCTPDataSchedule measures an association's round trip on a path of 20 ms each way, which with the delayed SACK is
// 240 ms, and then loses all that is sent.
//
// pion sends a tail loss probe before T3-rtx expires, after two round trips and the peer's 200 ms of delayed SACK (RFC
// 8985 section 7.2 for TCP; SCTP's standard has none), and leaves it to ICE to end the association.
func TestSCTPDataSchedule(t *testing.T) {
	const oneWay, delayedSACK = 20 * time.Millisecond, 200 * time.Millisecond
	const probe = 2*(2*oneWay+delayedSACK) + delayedSACK
	want := timingtest.NewSchedule("pion/sctp T3-rtx", "RFC 9260 sections 6.3.3, 8.1 and 16", "DATA", sctpData, sctpData)
	want.Steps = slices.Insert(want.Steps, 1, timingtest.Step{What: "tail loss probe", Standard: timingtest.NoFigure, Want: probe})
	want.Steps = append(want.Steps, timingtest.Step{What: "DATA 12, or the end", Standard: sctpDataFailure, Want: sctpDataFailure})
	timingtest.InVirtualTime(t, sctpPath, func(t *testing.T, v *timingtest.VirtualTime) {
		var cut atomic.Bool
		network := memory(t, v, func(timingtest.Packet) timingtest.Fate {
			return timingtest.Fate{Lose: cut.Load(), Delay: oneWay}
		})
		client, server := sctpPair(t, v, network)
		stream, err := client.OpenStream(1, sctp.PayloadTypeWebRTCBinary)
		check(t, "open a stream", err)
		write := func() (at timing.Instant) {
			t.Helper()
			at = v.Clock.Now()
			_, err := stream.Write([]byte("x"))
			check(t, "write", err)
			return at
		}
		start := write()
		v.Pass(10 * time.Second)
		timingtest.Schedule{Name: "pion/sctp delayed acknowledgement", Standard: "RFC 9260 sections 6.2 and 16", Steps: []timingtest.Step{
			{What: "SACK", Standard: oneWay + delayedSACK, Want: oneWay + delayedSACK},
		}}.Check(t, start, timingtest.Instants(chunks(network, start, sctpSACK)))
		cut.Store(true)
		start = write()
		v.Pass(400 * time.Second)
		want.Check(t, start, timingtest.Instants(chunks(network, start, sctpDATA, sctpIDATA)))
		check(t, "close", client.Close())
		check(t, "close", server.Close())
	})
}

// Chunk types (RFC 9260 section 3.2, RFC 8260 section 2.1).
const (
	sctpDATA  = 0
	sctpSACK  = 3
	sctpIDATA = 64
)

// chunks are the packets from an instant on whose first chunk is of one of the types; it follows the 12 bytes of the
// common header.
func chunks(network *timingtest.Network, from timing.Instant, types ...byte) []timingtest.Packet {
	return slices.DeleteFunc(network.Sent(), func(p timingtest.Packet) bool {
		return p.Sent < from || len(p.Data) <= 12 || !slices.Contains(types, p.Data[12])
	})
}

func sctpPair(t *testing.T, v *timingtest.VirtualTime, network *timingtest.Network, more ...sctp.AssociationOption) (client, server *sctp.Association) {
	t.Helper()
	a, b := listen(t, network, clientHost), listen(t, network, serverHost)
	opened := make(chan error, 2)
	go func() {
		options := []sctp.ServerOption{sctp.WithNetConn(b.Dial(a.Address())), sctp.WithLoggerFactory(silent())}
		for _, o := range more {
			options = append(options, o)
		}
		var err error
		server, err = sctp.ServerWithOptions(options...)
		opened <- err
	}()
	go func() {
		options := []sctp.ClientOption{sctp.WithNetConn(a.Dial(b.Address())), sctp.WithLoggerFactory(silent())}
		for _, o := range more {
			options = append(options, o)
		}
		var err error
		client, err = sctp.ClientWithOptions(options...)
		opened <- err
	}()
	v.Pass(time.Second)
	for range 2 {
		check(t, "open an association", <-opened)
	}
	return client, server
}
