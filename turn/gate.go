package turn

import (
	"net/netip"
	"sync"
	"time"
)

// connDeadline is how long a TCP or TLS connection has for its handshake, and then again for its first authenticated
// request.
const connDeadline = 10 * time.Second

// gate counts the connections that have not authenticated yet, in total and per source.
type gate struct {
	total, perSource int

	mu      sync.Mutex // guards what follows
	count   int
	sources map[netip.Prefix]int
}

func newGate(l Limits) *gate {
	return &gate{
		total: l.UnauthenticatedConns, perSource: l.UnauthenticatedConnsPerSource,
		sources: make(map[netip.Prefix]int),
	}
}

// enter admits a new connection; leave must follow, once.
func (g *gate) enter(source netip.Addr) bool {
	group := sourceGroup(source)
	g.mu.Lock()
	defer g.mu.Unlock()
	if reaches(g.count, g.total) || reaches(g.sources[group], g.perSource) {
		return false
	}
	g.count++
	g.sources[group]++
	return true
}

// leave is called when the connection has authenticated or ended.
func (g *gate) leave(source netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count--
	decrement(g.sources, sourceGroup(source))
}
