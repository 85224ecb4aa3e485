package turn

import (
	"net/netip"
	"slices"
	"time"
)

// Allocation is one live allocation as the admin page shows it.
type Allocation struct {
	// Client is the client's address as seen here, Server the listener's, Relay what the client was given.
	Client, Server, Relay netip.AddrPort
	Transport             Transport
	// User is the user id fit to be shown: at most 256 bytes, no control characters. It is still text of a stranger.
	User string
	// Since is when it was made, Expires when it ends unless it is refreshed.
	Since, Expires time.Time
	// Permissions and Channels count what is installed now; Peers and Bindings list it, in order of address and number.
	Permissions, Channels int
	Peers                 []Peer
	Bindings              []Binding
	// ToPeers and FromPeers count what the relay socket sent and received, payload bytes only. Denied counts packets
	// of both directions that were not passed on, Drops the same by reason.
	ToPeers, FromPeers Traffic
	Denied             uint64
	Drops              map[string]uint64
}

// Refused is Denied without what had no permission, which is usual: the first of a peer's connectivity checks come before
// the client has asked for one.
func (a Allocation) Refused() uint64 { return a.Denied - a.Drops[string(reasonNoPermission)] }

// Peer is an address that an allocation has a permission for, until Expires unless it is refreshed.
type Peer struct {
	Addr    netip.Addr
	Expires time.Time
}

// Binding is a channel of an allocation, until Expires unless it is refreshed.
type Binding struct {
	Number  uint16
	Peer    netip.AddrPort
	Expires time.Time
}

// snapshot copies the table, oldest allocation first.
func (t *allocations) snapshot() []Allocation {
	live := t.those(func(*entry) bool { return true })
	all := make([]Allocation, 0, len(live))
	for _, e := range live {
		all = append(all, e.copy())
	}
	slices.SortFunc(all, func(a, b Allocation) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return a.Relay.Compare(b.Relay)
	})
	return all
}

func (e *entry) copy() Allocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.shown
	a.Expires = e.expires.shown
	a.Permissions, a.Channels = len(e.permissions), len(e.channels)
	for addr, expires := range e.permissions {
		a.Peers = append(a.Peers, Peer{Addr: addr, Expires: expires.shown})
	}
	for number, b := range e.channels {
		a.Bindings = append(a.Bindings, Binding{Number: number, Peer: b.peer, Expires: b.expires.shown})
	}
	slices.SortFunc(a.Peers, func(x, y Peer) int { return x.Addr.Compare(y.Addr) })
	slices.SortFunc(a.Bindings, func(x, y Binding) int { return int(x.Number) - int(y.Number) })
	a.ToPeers, a.FromPeers = e.socket.traffic()
	a.Drops = e.socket.dropped.read()
	for _, n := range a.Drops { // Not counted anew, so that the sum is theirs.
		a.Denied += n
	}
	e.socket.fast.addDrops(a.Drops, &a.Denied)
	return a
}
