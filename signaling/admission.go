package signaling

import (
	"net/netip"
	"sync"
	"time"

	"tourbillon/timing"
)

const (
	// maxTracked is how many networks are kept without looking which of them are at rest.
	maxTracked = 4096
	// sweepInterval is the least time between two such looks. Joins come back within two seconds, so a flood from many
	// addresses is remembered for no longer than that and this.
	sweepInterval = time.Second
)

// admission keeps what is counted per client network: an IPv4 address or an IPv6 /64, which one customer holds whole.
type admission struct {
	limits Limits

	// mu guards what follows.
	mu       sync.Mutex
	networks map[netip.Prefix]*network
	swept    timing.Instant
}

// network is what one client network uses.
type network struct {
	// open counts its connections, unjoined those of them that have not joined.
	open, unjoined int
	joins          bucket
}

func newAdmission(limits Limits) *admission {
	return &admission{limits: limits, networks: map[netip.Prefix]*network{}}
}

// open counts a connection that has not joined; false when its network has too many of them.
func (a *admission) open(addr netip.Addr, now timing.Instant) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweepLocked(now)
	n := a.networkLocked(addr)
	if !a.limits.Off && (n.unjoined >= a.limits.Unjoined || n.open >= a.limits.Connections) {
		return false
	}
	n.open++
	n.unjoined++
	return true
}

// settle ends a connection's count as one that has not joined.
func (a *admission) settle(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.networkLocked(addr).unjoined--
}

// close ends a connection's count.
func (a *admission) close(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.networkLocked(addr)
	if n.open--; n.open == 0 && n.joins.used == 0 {
		delete(a.networks, networkOf(addr))
	}
}

// returnCost is what coming back with a good session counts, as part of a join: those who share an address all come
// back at once after a restart.
const returnCost = 0.05

// join counts a join, or a part of one; false when the network's rate is spent.
func (a *admission) join(addr netip.Addr, now timing.Instant, cost float64) bool {
	if a.limits.Off {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.networkLocked(addr).joins.takeN(cost, now, a.limits.JoinsPerSecond, 2*a.limits.JoinsPerSecond)
}

func (a *admission) networkLocked(addr netip.Addr) *network {
	prefix := networkOf(addr)
	n := a.networks[prefix]
	if n == nil {
		n = &network{}
		a.networks[prefix] = n
	}
	return n
}

// sweepLocked drops the networks without connections whose joins have come back, once there are many.
func (a *admission) sweepLocked(now timing.Instant) {
	if len(a.networks) <= maxTracked || now.Sub(a.swept) < sweepInterval {
		return
	}
	a.swept = now
	for prefix, n := range a.networks {
		if n.joins.refill(now, a.limits.JoinsPerSecond); n.open == 0 && n.joins.used == 0 {
			delete(a.networks, prefix)
		}
	}
}

func networkOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // Fails only for the invalid address, whose zero prefix serves as well.
	return prefix
}
