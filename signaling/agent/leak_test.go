package agent_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"tourbillon/signaling/agent"
)

// cycles is how many calls are made and ended one after another.
const cycles = 1000 / raceFactor

// TestNothingIsLeftBehind answers and ends a thousand calls, by each of the ways in which calls end without a word of the
// caller's: no agent, goroutine, descriptor or port is left over, nor memory that grows with each.
func TestNothingIsLeftBehind(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{})
	c := newClient(t, 1, agent.EchoChannel)
	sdp := c.offer(t, nil)
	check(t, "close the client", c.connection.GracefulClose())
	cycle := func(n int) {
		c.as.Peer, c.as.Stay = fmt.Sprint("peer", n), uint64(n)
		check(t, "call", a.Offer(c.as, sdp, c))
		if n%3 != 0 {
			<-c.answers
		}
		if n%3 == 2 {
			check(t, "trickle", a.Candidate(c.as, "candidate:1 1 udp 1 127.0.0.1 9 typ host"))
		}
		a.Leave(c.as)
		for len(a.Calls()) > 0 {
			runtime.Gosched()
		}
		for len(c.answers) > 0 {
			<-c.answers
		}
	}
	for n := range 50 {
		cycle(n) // What grows once is no leak.
	}
	before := takeStock(t)
	for n := range cycles {
		cycle(50 + n)
	}
	after := takeStock(t)
	for range 2000 {
		if after.goroutines <= before.goroutines && after.descriptors <= before.descriptors {
			break
		}
		pass() // pion's mux forgets a connection on a goroutine that nobody waits for.
		after = takeStock(t)
	}
	t.Logf("before %+v, after %d more calls %+v", before, cycles, after)
	if after.goroutines > before.goroutines || after.descriptors > before.descriptors || after.ports > before.ports {
		t.Errorf("before %+v, after %d calls %+v", before, cycles, after)
	}
	if grown := after.heap - before.heap; grown > 1000*cycles {
		t.Errorf("%d bytes of memory are left of each call", grown/cycles)
	}
	if s := a.Stats(); s.Begun != cycles+50 || s.Ended[agent.EndLeft] != cycles+50 {
		t.Errorf("%+v", s)
	}
	closeAll()
}

// stock is what a process holds.
type stock struct{ goroutines, descriptors, ports, heap int }

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
