//go:build linux

package relay_test

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
	"tourbillon/turn/relay"
)

// TestABurstOfRequests sends as many requests as many clients send at once when their server has come back, while nobody
// takes them: each waits for Go, and none has to be sent again.
func TestABurstOfRequests(t *testing.T) {
	const burst = 250
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		listeners, err := p.Listen(anywhere, false)
		if err != nil {
			t.Fatal(err)
		}
		listener, client := listeners[0], socket(t)
		for n := range burst {
			m := stun.MustBuild(stun.NewType(stun.MethodRefresh, stun.ClassRequest))
			binary.BigEndian.PutUint64(m.TransactionID[:], uint64(n))
			m.WriteHeader()
			if _, err := client.WriteTo(m.Raw, net.UDPAddrFromAddrPort(addr(listener))); err != nil {
				t.Fatal(err)
			}
		}
		if err := listener.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for waited := time.Duration(0); p.Counters().Packets < burst; waited += time.Millisecond {
			if waited > patience {
				t.Fatalf("the loop has not taken all: %+v", p.Counters())
			}
			timingtest.Real(timing.Runtime{}).Pass(time.Millisecond)
		}
		for n := range burst {
			var packet [64]byte
			if _, _, _, err := listener.ReadPacket(packet[:]); err != nil {
				t.Fatalf("request %d of %d: %v; %+v", n+1, burst, err, p.Counters())
			}
			if got := binary.BigEndian.Uint64(packet[8:]); got != uint64(n) {
				t.Fatalf("request %d came in place of %d", got, n)
			}
		}
		if lost := p.Counters().QueueFull; lost != 0 {
			t.Errorf("%d requests were lost", lost)
		}
	})
}
