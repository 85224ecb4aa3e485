package agent_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/link"
	"tourbillon/timing"
	"tourbillon/timing/stdtime"
)

// cycles is how many calls are made and ended one after another: fewer under the race detector, and where pion's timers
// run on the injected clock, whose build has other tests of its length.
func cycles() int {
	if len(stdtime.Modules()) > 0 {
		return 300 / raceFactor
	}
	return 1000 / raceFactor
}

// TestNothingIsLeftBehind connects and ends many calls, over UDP and, every seventh, over TCP, in each way that takes no
// waiting: before and after the answer, in the middle of the call, by the client's end, by a bound, by another call of the
// same peer. No agent, goroutine, descriptor or port is left over, nor memory that grows with each.
func TestNothingIsLeftBehind(t *testing.T) {
	a, _, closeAll := openBoth(t, agent.Limits{Bytes: 50_000, PerAddress: 1})
	ends := []func(*testing.T, *agent.Answerer, *client){leaveUnanswered, leaveAnswered, leaveOpen, hangUp, flood, replace}
	connected := 0
	cycle := func(n int) {
		c := newClient(t, 1, agent.EchoChannel)
		if n%7 == 6 {
			check(t, "close", c.connection.GracefulClose())
			c = onlyTCP(t, 1)
		}
		c.as.Peer, c.as.Stay = fmt.Sprint("peer", n), uint64(n)
		ends[n%len(ends)](t, a, c)
		for len(a.Calls()) > 0 {
			pass()
		}
		select {
		case <-c.open:
			connected++
		default:
		}
		check(t, "close the client", c.connection.GracefulClose())
	}
	const first = 42
	for n := range first {
		cycle(n) // What grows once is no leak.
	}
	before, cycles := atRest(t), cycles()
	for n := range cycles {
		cycle(first + n)
	}
	after := takeStock(t)
	for range 2000 {
		if after.goroutines <= before.goroutines && after.descriptors <= before.descriptors && after.heap <= before.heap+1000*cycles {
			break
		}
		pass() // pion's mux forgets a connection on a goroutine that nobody waits for, and what that held goes with it.
		after = takeStock(t)
	}
	t.Logf("before %+v, after %d more calls %+v", before, cycles, after)
	if after.goroutines > before.goroutines || after.descriptors > before.descriptors || after.ports > before.ports {
		t.Errorf("before %+v, after %d calls %+v", before, cycles, after)
	}
	if grown := after.heap - before.heap; grown > 1000*cycles {
		t.Errorf("%d bytes of memory are left of each call", grown/cycles)
	}
	s := a.Stats()
	for _, end := range []agent.End{agent.EndLeft, agent.EndConnection, agent.EndFlood, agent.EndReplaced} {
		if least := uint64(cycles / len(ends)); s.Ended[end] < least {
			t.Errorf("%d calls ended with %q, want %d and more", s.Ended[end], end, least)
		}
	}
	if connected < cycles/2 {
		t.Errorf("%d of %d calls were connected", connected, cycles)
	}
	closeAll()
}

// openBoth is the appliance as a peer on loopback, over UDP and TCP.
func openBoth(t *testing.T, limits agent.Limits) (a *agent.Answerer, socket *link.Socket, closeAll func()) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, "listen", err)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, "listen", err)
	socket, err = link.Open(link.Config{
		Conn: link.UDP(conn), Listener: listener, Clock: timing.Runtime{}, Admit: link.Admit(netip.MustParsePrefix("127.0.0.0/8")),
	})
	check(t, "open the socket", err)
	a = agent.NewAnswerer(agent.AnswererConfig{Socket: socket, Clock: timing.Runtime{}, Limits: limits})
	return a, socket, func() {
		a.Close()
		check(t, "close the socket", socket.Close())
	}
}

func leaveUnanswered(t *testing.T, a *agent.Answerer, c *client) {
	check(t, "call", a.Offer(c.as, c.offer(t, nil), c))
	check(t, "trickle", a.Candidate(c.as, "candidate:1 1 udp 1 127.0.0.1 9 typ host"))
	a.Leave(c.as)
}

func leaveAnswered(t *testing.T, a *agent.Answerer, c *client) {
	c.call(t, a, nil)
	a.Leave(c.as)
}

func leaveOpen(t *testing.T, a *agent.Answerer, c *client) {
	c.call(t, a, nil)
	<-c.open
	a.Leave(c.as)
}

func hangUp(t *testing.T, a *agent.Answerer, c *client) {
	c.call(t, a, nil)
	<-c.open
	check(t, "hang up", c.connection.GracefulClose())
}

func flood(t *testing.T, a *agent.Answerer, c *client) {
	c.call(t, a, nil)
	<-c.open
	for len(c.ended) == 0 {
		_ = c.channel.Send(make([]byte, 1000)) // Fails when the call has ended.
	}
}

func replace(t *testing.T, a *agent.Answerer, c *client) {
	c.call(t, a, nil)
	<-c.open
	other := newClient(t, 1, agent.EchoChannel)
	other.as = c.as
	other.call(t, a, nil)
	<-other.open
	a.Leave(c.as)
	check(t, "close the other client", other.connection.GracefulClose())
}

// stock is what a process holds.
type stock struct{ goroutines, descriptors, ports, heap int }

// atRest is the least that is seen of each in a hundred looks: a goroutine that nobody waits for, and some 180 KiB that it
// holds, outlive the last call for a moment.
func atRest(t *testing.T) stock {
	t.Helper()
	s := takeStock(t)
	for range 100 {
		pass()
		next := takeStock(t)
		s = stock{
			goroutines: min(s.goroutines, next.goroutines), descriptors: min(s.descriptors, next.descriptors),
			ports: min(s.ports, next.ports), heap: min(s.heap, next.heap),
		}
	}
	return s
}

func takeStock(t *testing.T) stock {
	t.Helper()
	descriptors, err := os.ReadDir("/proc/self/fd")
	check(t, "list the descriptors", err)
	s := stock{goroutines: runtime.NumGoroutine(), descriptors: len(descriptors)}
	for _, d := range descriptors {
		if to, err := os.Readlink("/proc/self/fd/" + d.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			s.ports++
		}
	}
	runtime.GC()
	runtime.GC() // What pools held.
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	s.heap = int(memory.HeapAlloc)
	return s
}
