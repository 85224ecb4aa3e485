//go:build linux

package relay_test

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
	"testing"

	"tourbillon/timing/timingtest"
	"tourbillon/turn/relay"
)

// foreign is a request that a loop leaves to Go.
var foreign = []byte{0, 8, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

// busily is a receiver that is never without a packet: it has one more sent for each that it is given, and with the first
// ends a relay. It stops when that has ended, or after so many packets that it should have.
type busily struct {
	t       *testing.T
	plane   *relay.Plane
	ends    *relay.Relay
	send    func() error // one packet
	patient context.Context
	served  int
	done    chan struct{}
	once    sync.Once
}

func newBusily(t *testing.T, p *relay.Plane, ends *relay.Relay, send func() error) *busily {
	return &busily{t: t, plane: p, ends: ends, send: send, patient: timingtest.Patient(t), done: make(chan struct{})}
}

const (
	alwaysThere = 8
	enough      = 10_000
)

// begin sends the packets that are always there.
func (b *busily) begin() {
	for range alwaysThere {
		b.another()
	}
}

func (b *busily) another() {
	if err := b.send(); err != nil {
		b.t.Error(err)
	}
}

// take is called for each packet.
func (b *busily) take() {
	if b.served++; b.served == 1 {
		_ = b.ends.Close()
	}
	select {
	case <-b.ends.Ended():
		b.once.Do(func() { close(b.done) })
		return
	case <-b.done:
		return
	default:
	}
	if b.served == enough {
		b.t.Errorf("the relay's port is not free after %d packets", b.served)
		b.once.Do(func() { close(b.done) })
		return
	}
	seen := b.plane.Counters().Packets
	b.another()
	for b.plane.Counters().Packets == seen && b.patient.Err() == nil { // The next wait already.
		runtime.Gosched()
	}
}

// TestReapsBesideAFlood ends a relay while a listener's goroutine has more packets than it can serve.
func TestReapsBesideAFlood(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		b := newBusily(t, p, s.relay, func() error {
			_, err := s.client.WriteToUDPAddrPort(foreign, addr(s.listener))
			return err
		})
		b.begin()
		served := make(chan struct{})
		go func() {
			defer close(served)
			s.listener.Serve(func([]byte, netip.AddrPort, netip.Addr) { b.take() })
		}()
		<-b.done
		_ = s.listener.Close()
		<-served
	})
}

// TestReapsBesideAStreamsFlood is the same for a client on a stream.
func TestReapsBesideAStreamsFlood(t *testing.T) {
	p := ringPlane(t)
	s := newStreaming(t, p, nil)
	ends, err := s.loop.OpenRelay(anywhere)
	if err != nil {
		t.Fatal(err)
	}
	b := newBusily(t, p, ends, func() error {
		_, err := s.near.Write(foreign)
		return err
	})
	s.up.answer = func([]byte) { b.take() }
	b.begin()
	<-b.done
	s.close()
}
