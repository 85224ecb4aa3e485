package signaling

import (
	"net/netip"
	"sync"

	"tourbillon/timing"
)

// maxTracked bounds the networks whose joins are remembered, so that a flood from many addresses cannot fill memory.
const maxTracked = 4096

// admission keeps what is counted per client network: an IPv4 address or an IPv6 /64, which one customer holds whole.
type admission struct {
	limits Limits

	// mu guards what follows.
	mu       sync.Mutex
	unjoined map[netip.Prefix]int
	joins    map[netip.Prefix]*bucket
}

func newAdmission(limits Limits) *admission {
	return &admission{limits: limits, unjoined: map[netip.Prefix]int{}, joins: map[netip.Prefix]*bucket{}}
}

// open counts a connection that has not joined; false when its network has too many of them.
func (a *admission) open(addr netip.Addr) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	network := networkOf(addr)
	if !a.limits.Off && a.unjoined[network] >= a.limits.Unjoined {
		return false
	}
	a.unjoined[network]++
	return true
}

// settle ends what open counted: the connection has joined or is gone.
func (a *admission) settle(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	network := networkOf(addr)
	if a.unjoined[network]--; a.unjoined[network] <= 0 {
		delete(a.unjoined, network)
	}
}

// join counts a join; false when the network's rate is spent.
func (a *admission) join(addr netip.Addr, now timing.Instant) bool {
	if a.limits.Off {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	network := networkOf(addr)
	b := a.joins[network]
	if b == nil {
		if len(a.joins) >= maxTracked && !a.forgetLocked(now) {
			return false
		}
		b = &bucket{last: now}
		a.joins[network] = b
	}
	return b.take(now, a.limits.JoinsPerSecond, 2*a.limits.JoinsPerSecond)
}

// forgetLocked drops the networks whose buckets are full again; false when there is none.
func (a *admission) forgetLocked(now timing.Instant) bool {
	for network, b := range a.joins {
		if b.refill(now, a.limits.JoinsPerSecond); b.used == 0 {
			delete(a.joins, network)
		}
	}
	return len(a.joins) < maxTracked
}

func networkOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	network, _ := addr.Prefix(bits) // Fails only for the invalid address, whose zero prefix serves as well.
	return network
}
