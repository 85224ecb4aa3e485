package turn

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
)

// Lifetimes of permissions and channels (RFC 8656 9 and 12).
const (
	permissionLifetime = 5 * time.Minute
	channelLifetime    = 10 * time.Minute
)

// Reasons for refusing a permission or a channel that are not the policy's.
const (
	reasonNoAllocation Reason = "no-allocation"
	reasonPermissions  Reason = "permission-limit"
	reasonChannels     Reason = "channel-limit"
	reasonNewPeers     Reason = "new-peer-rate"
	reasonTCPRelay     Reason = "tcp-relay"
	reasonChannelTaken Reason = "channel-taken"
)

// Reasons for dropping a packet that are not the policy's.
const (
	reasonNoPermission Reason = "no-permission"
	reasonNoChannel    Reason = "no-channel"
	reasonTooLong      Reason = "too-long"
)

// lapse is when something ends unless it is refreshed: at is when it does, shown is what the admin page says.
type lapse struct {
	at    timing.Instant
	shown time.Time
}

// bound is a channel's peer.
type bound struct {
	peer    netip.AddrPort
	expires lapse
}

// entry is one allocation. Its mutex is above the table's and those of the data plane, which is told of changes while
// it is held, so that it learns of them in order.
type entry struct {
	core        *core
	key         clientKey
	user        string     // the raw user id, which quotas count by
	shown       Allocation // what does not change, and no counts
	socket      *relayConn
	back        back
	from        tuple // the client, as its socket names it
	transaction [stun.TransactionIDSize]byte
	token       []byte // RESERVATION-TOKEN, nil for none

	mu          sync.Mutex // guards what follows
	ended       bool
	expires     lapse
	granted     time.Duration // the lifetime that was answered last
	permissions map[netip.Addr]lapse
	channels    map[uint16]bound
	numbers     map[netip.AddrPort]uint16 // channels by peer
	newPeers    bucket
	timer       timing.Timer // fires at wake, which is not after the first end of anything here
	wake        timing.Instant
}

// after is a lapse that far from now.
func (e *entry) after(d time.Duration) lapse {
	return lapse{at: e.core.clock.Now().Add(d), shown: e.core.now().Add(d)}
}

// begin puts the allocation into service. It reports false, and everything is given back, when the server is closing.
func (e *entry) begin(lifetime time.Duration) bool {
	begun := e.enter(lifetime)
	if begun {
		e.tell("turn: allocation made")
	}
	return begun
}

func (e *entry) enter(lifetime time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expires, e.granted = e.after(lifetime), lifetime
	if !e.core.allocations.enter(e) {
		e.ended = true
		e.socket.end()
		return false
	}
	e.wake = e.expires.at
	e.timer = timing.Coarse(e.core.clock).At(e.wake, e.expire)
	e.socket.serve(e)
	return true
}

// tell logs the allocation for who wants to know of each. No lock is held.
func (e *entry) tell(what string) {
	if log := e.core.log; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug(what, "user", e.shown.User, "client", e.shown.Client.String(), "relay", e.shown.Relay.String())
	}
}

// end ends the allocation and reports whether it was this call that did.
func (e *entry) end() bool {
	e.mu.Lock()
	ended := e.endLocked()
	e.mu.Unlock()
	if ended {
		e.tell("turn: allocation ended")
	}
	return ended
}

func (e *entry) endLocked() bool {
	if e.ended {
		return false
	}
	e.ended = true
	e.timer.Stop()
	if conn, ok := e.back.(*streamConn); ok {
		conn.released()
	}
	e.core.allocations.forget(e)
	e.socket.end()
	return true
}

// lifetime is what the allocation was last granted.
func (e *entry) lifetime() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.granted
}

// prolong gives the allocation a new lifetime from now on. It reports false for one that has ended.
func (e *entry) prolong(lifetime time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return false
	}
	e.expires, e.granted = e.after(lifetime), lifetime
	e.wakeBy(e.expires.at)
	return true
}

// wakeBy has the timer fire at an instant, if it would not before.
func (e *entry) wakeBy(at timing.Instant) {
	if at < e.wake {
		e.wake = at
		e.timer.ResetAt(at)
	}
}

// expire ends what has run out, which may be the allocation itself.
func (e *entry) expire() {
	defer e.core.survive("expiry")
	if e.lapsed() {
		e.tell("turn: allocation ended")
	}
}

// lapsed does what expire says and reports whether it has ended the allocation.
func (e *entry) lapsed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.core.clock.Now()
	if e.ended {
		return false
	}
	if e.expires.at <= now {
		return e.endLocked()
	}
	e.wake = e.expires.at
	for number, b := range e.channels {
		if b.expires.at <= now {
			delete(e.channels, number)
			delete(e.numbers, b.peer)
			e.socket.fast.unbind(b.peer)
			continue
		}
		e.wake = min(e.wake, b.expires.at)
	}
	for peer, expires := range e.permissions {
		if expires.at <= now {
			delete(e.permissions, peer)
			e.socket.fast.revoke(peer)
			continue
		}
		e.wake = min(e.wake, expires.at)
	}
	e.timer.ResetAt(e.wake)
	return false
}

// install gives permissions for peers, and the first a channel where its number is not 0, or refreshes them: all, or
// none and a reason.
func (e *entry) install(peers []netip.AddrPort, channel uint16) Reason {
	e.mu.Lock()
	defer e.mu.Unlock()
	if reason := e.admit(peers, channel); reason != "" {
		return reason
	}
	until := e.after(permissionLifetime)
	if e.permissions == nil {
		e.permissions = make(map[netip.Addr]lapse)
	}
	for _, peer := range peers {
		_, known := e.permissions[peer.Addr()]
		if e.permissions[peer.Addr()] = until; !known {
			e.socket.fast.grant(peer.Addr())
		}
	}
	e.wakeBy(until.at)
	if channel != 0 {
		e.bind(channel, peers[0])
	}
	return ""
}

func (e *entry) bind(channel uint16, peer netip.AddrPort) {
	if e.channels == nil {
		e.channels, e.numbers = make(map[uint16]bound), make(map[netip.AddrPort]uint16)
	}
	_, known := e.channels[channel]
	until := e.after(channelLifetime)
	e.channels[channel], e.numbers[peer] = bound{peer: peer, expires: until}, channel
	e.wakeBy(until.at)
	if !known {
		e.socket.fast.bind(peer, channel)
	}
}

// admit holds a request against the allocation's limits, all its peers or none. A refresh of what is installed always
// passes.
func (e *entry) admit(peers []netip.AddrPort, channel uint16) Reason {
	limits := e.core.limits
	if e.ended {
		return reasonNoAllocation
	}
	if channel != 0 {
		present, known := e.channels[channel]
		number, numbered := e.numbers[peers[0]]
		switch {
		case !known && reaches(len(e.channels), limits.ChannelsPerAllocation):
			return reasonChannels
		case known && present.peer != peers[0], numbered && number != channel:
			return reasonChannelTaken
		}
	}
	fresh := e.unknown(peers)
	if fresh > 0 && reaches(len(e.permissions)+fresh-1, limits.PeersPerAllocation) {
		return reasonPermissions
	}
	newPeers, now, ok := e.newPeers, e.core.clock.Now(), true
	if rate := limits.NewPeersPerSecond; rate != Unlimited {
		for range fresh {
			if newPeers, ok = newPeers.take(now, float64(rate), float64(max(rate, limits.peersAtOnce()))); !ok {
				return reasonNewPeers
			}
		}
	}
	e.newPeers = newPeers
	return ""
}

// unknown counts the peers, each address once, that have no permission yet.
func (e *entry) unknown(peers []netip.AddrPort) (fresh int) {
	for i, peer := range peers {
		same := func(p netip.AddrPort) bool { return p.Addr() == peer.Addr() }
		if _, known := e.permissions[peer.Addr()]; !known && !slices.ContainsFunc(peers[:i], same) {
			fresh++
		}
	}
	return fresh
}

// permits tells whether a peer's address has a permission.
func (e *entry) permits(peer netip.Addr) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.permissions[peer]
	return ok && !e.ended
}

// peerOf is the peer of a channel.
func (e *entry) peerOf(channel uint16) (peer netip.AddrPort, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, ok := e.channels[channel]
	return b.peer, ok && !e.ended
}

// toClient sends what a peer sent on to the client if the peer's address has a permission: as ChannelData where the peer has
// a channel, else as a Data indication (RFC 8656 11.3, 11.5, 12.7).
func (e *entry) toClient(peer netip.AddrPort, data []byte) {
	e.mu.Lock()
	channel, bound := e.numbers[peer]
	_, permitted := e.permissions[peer.Addr()]
	e.mu.Unlock()
	switch {
	case !permitted: // It has lapsed just now.
	case bound:
		frame := make([]byte, channelHeaderBytes+(len(data)+3)&^3)
		binary.BigEndian.PutUint16(frame, channel)
		binary.BigEndian.PutUint16(frame[2:], uint16(len(data)))
		copy(frame[channelHeaderBytes:], data)
		e.back.send(frame, e.from)
	default:
		m := stun.New()
		m.Type = stun.NewType(stun.MethodData, stun.ClassIndication)
		m.TransactionID = stun.NewTransactionID()
		m.WriteHeader()
		addAddress(m, stun.AttrXORPeerAddress, peer)
		m.Add(stun.AttrData, data)
		e.back.send(m.Raw, e.from)
	}
}
