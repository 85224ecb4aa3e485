package turn

import (
	"net/netip"
	"sync"

	"tourbillon/timing"
)

// clientKey names a client on one listener: the part of the 5-tuple (RFC 8656 3.2) that varies there. local is the
// address of this host where that varies too, on a wildcard address; it is invalid otherwise.
type clientKey struct {
	listener int
	client   netip.AddrPort
	local    netip.Addr
}

// allocations is the table of what lives. It owns the quota; its mutex is a leaf and is never held over I/O or a
// callback.
type allocations struct {
	limits Limits
	clock  timing.Clock

	mu       sync.Mutex // guards what follows
	quota    *quota
	byClient map[clientKey]*entry
	// draining refuses every reservation, closed every entry; empty says that no allocation is left.
	draining, closed bool
	empty            *latch
	// made counts; toPeers and fromPeers are what ended allocations have relayed.
	made               uint64
	toPeers, fromPeers Traffic
}

func newAllocations(limits Limits, clock timing.Clock) *allocations {
	return &allocations{
		limits: limits, clock: clock, quota: newQuota(limits), byClient: make(map[clientKey]*entry), empty: newLatch(),
	}
}

// of is a client's allocation, nil for none.
func (t *allocations) of(key clientKey) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byClient[key]
}

// reserve asks the quota for one more allocation, which enter or cancel must follow. It says what stands against it;
// nothing, if empty.
func (t *allocations) reserve(key clientKey, user string) Reason {
	now := t.clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return reasonDraining
	}
	return t.quota.reserve(key, user, now)
}

// cancel gives back what was reserved.
func (t *allocations) cancel(key clientKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.quota.release(key)
}

// enter records an allocation. It reports false, and what was reserved is given back, when the server is closing.
func (t *allocations) enter(e *entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		t.quota.release(e.key)
		return false
	}
	t.made++
	t.byClient[e.key] = e
	t.quota.confirm(e.key, e.user)
	return true
}

// forget takes an allocation out of the table.
func (t *allocations) forget(e *entry) {
	up, down := e.socket.traffic()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byClient, e.key)
	t.quota.release(e.key)
	t.toPeers, t.fromPeers = t.toPeers.plus(up), t.fromPeers.plus(down)
	if t.draining && len(t.byClient) == 0 {
		t.empty.close()
	}
}

// drain refuses every allocation from now on. The returned channel closes when none is left.
func (t *allocations) drain() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	if len(t.byClient) == 0 {
		t.empty.close()
	}
	return t.empty.done
}

// close ends every allocation and refuses new ones.
func (t *allocations) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for _, e := range t.those(func(*entry) bool { return true }) {
		e.end()
	}
}

// those are the allocations for which a condition holds, in no order.
func (t *allocations) those(hold func(*entry) bool) (all []*entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.byClient {
		if hold(e) {
			all = append(all, e)
		}
	}
	return all
}

// count is how many allocations live.
func (t *allocations) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byClient)
}

// fill completes the counters with what the table knows.
func (t *allocations) fill(s *Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Allocations, s.Created, s.Draining = len(t.byClient), t.made, t.draining
	s.ToPeers, s.FromPeers = t.toPeers, t.fromPeers
	for _, e := range t.byClient {
		up, down := e.socket.traffic()
		s.ToPeers, s.FromPeers = s.ToPeers.plus(up), s.FromPeers.plus(down)
	}
}
