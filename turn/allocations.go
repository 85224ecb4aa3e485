package turn

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
)

// clientKey names a client on one listener: the part of the 5-tuple (RFC 8656 3.2) that varies there. local is the
// address of this host where that varies too, for UDP on a wildcard address; it is invalid otherwise.
type clientKey struct {
	listener int
	client   netip.AddrPort
	local    netip.Addr
}

// entry is the table's record of one allocation.
type entry struct {
	key         clientKey
	user        string     // the raw user id
	shown       Allocation // what does not change, and no counts
	socket      *relayConn
	expires     time.Time
	permissions map[netip.Addr]time.Time // when each expires, as channels
	channels    map[uint16]Binding
	newPeers    bucket
}

// allocations is the table that pion's events fill. It owns the quota and every entry; its mutex is a leaf and is
// never held over I/O or a callback.
type allocations struct {
	limits Limits
	clock  timing.Clock

	mu       sync.Mutex // guards what follows
	quota    *quota
	byClient map[clientKey]*entry
	byRelay  map[netip.AddrPort]*entry
	// outlived holds entries whose client already has a new allocation while pion's event of the old one's end is
	// still to come; pion names the client in that event and not the relay.
	outlived map[clientKey][]*entry
	// draining refuses every reservation, empty then says that no allocation is left.
	draining bool
	empty    *latch
	// made counts; toPeers and fromPeers are what ended allocations have relayed.
	made               uint64
	toPeers, fromPeers Traffic
}

func newAllocations(limits Limits, clock timing.Clock) *allocations {
	return &allocations{
		limits: limits, clock: clock, quota: newQuota(limits),
		byClient: make(map[clientKey]*entry),
		byRelay:  make(map[netip.AddrPort]*entry),
		outlived: make(map[clientKey][]*entry),
		empty:    newLatch(),
	}
}

// reserve asks the quota for one more allocation. It says what stands against it; nothing, if empty.
func (t *allocations) reserve(key clientKey, user string) Reason {
	now := t.clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return reasonDraining
	}
	return t.quota.reserve(key, user, now)
}

// created records an allocation. shown.User is the raw user id, which quotas count by.
func (t *allocations) created(key clientKey, shown Allocation, socket *relayConn) {
	user := shown.User
	shown.User = printable(user)
	e := &entry{
		key: key, user: user, shown: shown, socket: socket,
		permissions: make(map[netip.Addr]time.Time),
		channels:    make(map[uint16]Binding),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.byClient[key]; ok {
		t.outlived[key] = append(t.outlived[key], old)
	}
	t.made++
	t.byClient[key] = e
	t.byRelay[shown.Relay] = e
	t.quota.confirm(key, user)
}

// deleted forgets a client's allocation: an outlived one first, since it ended first. It tells whether there was one.
func (t *allocations) deleted(key clientKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var e *entry
	if old := t.outlived[key]; len(old) > 0 {
		e = old[0]
		if t.outlived[key] = old[1:]; len(old) == 1 {
			delete(t.outlived, key)
		}
	} else if e = t.byClient[key]; e != nil {
		delete(t.byClient, key)
		t.quota.release(key)
	}
	if e != nil && t.byRelay[e.shown.Relay] == e {
		delete(t.byRelay, e.shown.Relay)
	}
	if e != nil {
		up, down := e.socket.traffic()
		t.toPeers, t.fromPeers = t.toPeers.plus(up), t.fromPeers.plus(down)
	}
	if t.draining && len(t.byRelay) == 0 {
		t.empty.close()
	}
	return e != nil
}

// drain refuses every allocation from now on. The returned channel closes when none is left.
func (t *allocations) drain() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	if len(t.byRelay) == 0 {
		t.empty.close()
	}
	return t.empty.done
}

// socketsOf returns the relays of a user id.
func (t *allocations) socketsOf(user string) (sockets []*relayConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.byRelay {
		if e.user == user {
			sockets = append(sockets, e.socket)
		}
	}
	return sockets
}

// count is how many allocations live.
func (t *allocations) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byRelay)
}

// fill completes the counters with what the table knows.
func (t *allocations) fill(s *Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Allocations, s.Created, s.Draining = len(t.byRelay), t.made, t.draining
	s.ToPeers, s.FromPeers = t.toPeers, t.fromPeers
	for _, e := range t.byRelay {
		up, down := e.socket.traffic()
		s.ToPeers, s.FromPeers = s.ToPeers.plus(up), s.FromPeers.plus(down)
	}
}

// granted notes that a request of a client's was answered with success at now: pion tells of what is installed, but not
// of what is refreshed. lifetime is the allocation's, for Allocate and Refresh.
func (t *allocations) granted(key clientKey, r *request, lifetime time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byClient[key]
	if !ok {
		return
	}
	switch r.method {
	case stun.MethodAllocate, stun.MethodRefresh:
		e.expires = now.Add(lifetime)
	case stun.MethodCreatePermission, stun.MethodChannelBind:
		for _, peer := range r.peers {
			if _, ok := e.permissions[peer]; ok {
				e.permissions[peer] = now.Add(permissionLifetime)
			}
		}
		if bound, ok := e.channels[r.channel]; ok {
			bound.Expires = now.Add(channelLifetime)
			e.channels[r.channel] = bound
		}
	}
}

// owner returns the user id of a client's allocation.
func (t *allocations) owner(key clientKey) (user string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byClient[key]
	if !ok {
		return "", false
	}
	return e.user, true
}

// family is the address family of a client's relay, 0 for none.
func (t *allocations) family(key clientKey) byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.byClient[key]; ok {
		return familyOfAddr(e.shown.Relay.Addr())
	}
	return 0
}

// update changes the entry of a relay address, if there is one.
func (t *allocations) update(relay netip.AddrPort, change func(*entry)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.byRelay[relay]; ok {
		change(e)
	}
}

// Reasons for refusing a permission that are not the policy's.
const (
	reasonNoAllocation Reason = "no-allocation"
	reasonPermissions  Reason = "permission-limit"
	reasonChannels     Reason = "channel-limit"
	reasonNewPeers     Reason = "new-peer-rate"
	reasonTCPRelay     Reason = "tcp-relay"
)

// admit holds a request for permissions or a channel against the allocation's limits, all its peers or none. channel is
// the number that a ChannelBind asks for and 0 for CreatePermission. A refresh of what is installed always passes.
func (t *allocations) admit(key clientKey, peers []netip.Addr, channel uint16) (Reason, bool) {
	now := t.clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byClient[key]
	if !ok {
		return reasonNoAllocation, false
	}
	if _, bound := e.channels[channel]; channel != 0 && !bound &&
		reaches(len(e.channels), t.limits.ChannelsPerAllocation) {
		return reasonChannels, false
	}
	fresh := e.unknown(peers)
	if fresh > 0 && reaches(len(e.permissions)+fresh-1, t.limits.PeersPerAllocation) {
		return reasonPermissions, false
	}
	newPeers := e.newPeers
	if rate := t.limits.NewPeersPerSecond; rate != Unlimited {
		for range fresh {
			if newPeers, ok = newPeers.take(now, float64(rate), float64(2*rate)); !ok {
				return reasonNewPeers, false
			}
		}
	}
	e.newPeers = newPeers
	return "", true
}

// unknown counts the peers, each once, that have no permission yet.
func (e *entry) unknown(peers []netip.Addr) (fresh int) {
	for i, peer := range peers {
		if _, known := e.permissions[peer]; !known && !slices.Contains(peers[:i], peer) {
			fresh++
		}
	}
	return fresh
}
