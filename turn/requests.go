package turn

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/turn/relay"
)

// Lifetimes of allocations (RFC 8656 7.2: the default, and the recommended maximum).
const (
	defaultLifetime = 10 * time.Minute
	maxLifetime     = time.Hour
)

// lifetimeAsked is the lifetime for what a request asks: never less than the default, never more than the maximum
// (RFC 8656 7.2).
func lifetimeAsked(value []byte) time.Duration {
	if len(value) != 4 {
		return defaultLifetime
	}
	asked := time.Duration(binary.BigEndian.Uint32(value)) * time.Second
	return min(max(asked, defaultLifetime), maxLifetime)
}

// allocate serves an Allocate request (RFC 8656 7.2).
func (x *transaction) allocate() {
	if e := x.core.allocations.of(x.key); e != nil {
		if e.transaction == x.in.TransactionID && e.user == x.user { // Its answer was lost.
			x.allocated(e)
			return
		}
		x.refuse(stun.CodeAllocMismatch)
		return
	}
	wanted, code := x.wanted()
	switch {
	case x.in.dontFragment && code == 0: // We cannot set the DF bit, so we do not comprehend the attribute (RFC 8656 7.2).
		x.refuse(stun.CodeUnknownAttribute, stun.UnknownAttributes{stun.AttrDontFragment})
	case code != 0:
		x.refuse(code)
	default:
		x.make(wanted)
	}
}

// wish is what kind of relay an Allocate asks for: one with an even port, perhaps with the next port reserved, or the port
// that a token stands for.
type wish struct {
	end          *relayEnd
	even, paired bool
	token        *token
	port         uint16
}

// wanted reads what an Allocate asks for, or says why we cannot have it.
func (x *transaction) wanted() (w wish, code stun.ErrorCode) {
	in := &x.in
	family, ok := x.family()
	switch {
	case len(in.transport) != 4, !ok, in.lifetime != nil && len(in.lifetime) != 4, in.evenPort != nil && len(in.evenPort) != 1,
		in.reservation != nil && (len(in.reservation) != len(token{}) || in.evenPort != nil || in.family != nil):
		return w, stun.CodeBadRequest
	case in.transport[0] != protocolUDP:
		return w, stun.CodeUnsupportedTransProto
	case in.reservation != nil:
		return x.reserved()
	}
	if w.end = x.core.relays.end(family); w.end == nil {
		return w, stun.CodeAddrFamilyNotSupported
	}
	w.even = in.evenPort != nil
	if w.paired = w.even && in.evenPort[0]&0x80 != 0; w.paired {
		if reason := x.core.reserved.full(x.user); reason != "" {
			return w, x.overQuota(reason)
		}
	}
	return w, 0
}

// overQuota counts what stands against an Allocate and says how that is answered: by 486 where it is this user's doing,
// by 508 where another server may do.
func (x *transaction) overQuota(reason Reason) stun.ErrorCode {
	x.core.counters.quotaRefusals.add(string(reason))
	switch reason {
	case reasonTotalQuota, reasonDraining, reasonReservedPorts:
		return stun.CodeInsufficientCapacity
	}
	return stun.CodeAllocQuotaReached
}

// reserved is the wish for a port that was reserved (RFC 8656 7.2).
func (x *transaction) reserved() (w wish, code stun.ErrorCode) {
	t := token(x.in.reservation)
	held := x.core.reserved.of(t, x.user)
	if held == nil {
		return w, stun.CodeInsufficientCapacity
	}
	return wish{end: held.end, token: &t, port: held.port}, 0
}

// bind makes the socket of a wish, and the token of the next port if that is to be reserved.
func (x *transaction) bind(w wish, at *relay.Loop) (conn *relayConn, next []byte, err error) {
	relays := x.core.relays
	switch {
	case w.token != nil:
		if !x.core.reserved.take(*w.token, x.user) { // It has lapsed while we looked.
			return nil, nil, errRelayPorts
		}
		conn, err = relays.open(w.end, w.port, at)
		return conn, nil, err
	case !w.even:
		conn, err = relays.allocate(w.end, anyPort, at)
		return conn, nil, err
	case !w.paired:
		conn, err = relays.allocate(w.end, evenPort, at)
		return conn, nil, err
	}
	var t token
	conn, err = relays.allocate(w.end, func(port uint16) (ok bool) {
		if evenPort(port) && relays.inRange(port+1) {
			x.core.reserved.take(t, x.user) // Of a port whose neighbour was taken.
			t, ok = x.core.reserved.keep(w.end, port+1, x.user)
		}
		return ok
	}, at)
	if err != nil {
		x.core.reserved.take(t, x.user)
	}
	return conn, t[:], err
}

// family is the address family that an Allocate is for. A client that names none gets IPv4 (RFC 8656 7.2), or what we
// have if that is IPv6 only.
func (x *transaction) family() (family byte, ok bool) {
	if f := x.in.family; f != nil {
		if len(f) != 4 {
			return 0, false
		}
		return f[0], true
	}
	if x.core.relays.serves(familyIPv4) {
		return familyIPv4, true
	}
	return familyIPv6, true
}

// make makes an allocation, if the quotas admit one, and answers.
func (x *transaction) make(w wish) {
	table := x.core.allocations
	if reason := table.reserve(x.key, x.user); reason != "" {
		x.refuse(x.overQuota(reason))
		return
	}
	loop, stream := x.place()
	socket, next, err := x.bind(w, loop)
	if err != nil {
		table.cancel(x.key)
		if !errors.Is(err, errClosing) {
			x.core.allocationFailed(err)
		}
		x.refuse(stun.CodeInsufficientCapacity)
		return
	}
	e := &entry{
		core: x.core, key: x.key, user: x.user, socket: socket, back: x.back, from: x.from,
		transaction: x.in.TransactionID, token: next,
		shown: Allocation{
			Client: x.key.client, Server: x.from.server(x.server), Relay: netip.AddrPortFrom(w.end.announced(), socket.port),
			Transport: x.transport, User: printable(x.user), Since: x.core.now(),
		},
	}
	socket.fast.attach(x.key, x.loop, stream)
	if conn, ok := x.back.(*streamConn); ok {
		socket.attachStream(conn)
	}
	if !e.begin(lifetimeAsked(x.in.lifetime)) { // The server has begun to close.
		x.refuse(stun.CodeInsufficientCapacity)
		return
	}
	x.allocated(e)
}

// place is the loop that relays for the client, nil for none: its listener's, or its connection's. A connection that is
// served by the loop is a stream.
func (x *transaction) place() (*relay.Loop, *relay.Stream) {
	if conn, ok := x.back.(*streamConn); ok {
		return conn.place()
	}
	if x.loop == nil {
		return nil, nil
	}
	return x.loop.Loop(), nil
}

// allocated answers an Allocate with success.
func (x *transaction) allocated(e *entry) {
	x.begin(stun.ClassSuccessResponse)
	addAddress(&x.out, stun.AttrXORRelayedAddress, e.shown.Relay)
	addWord(&x.out, stun.AttrLifetime, uint32(e.lifetime()/time.Second))
	addAddress(&x.out, stun.AttrXORMappedAddress, x.key.client)
	if e.token != nil {
		x.out.Add(stun.AttrReservationToken, e.token)
	}
	x.finish()
}

// own is the allocation that an authenticated request is about, or answers that there is none: 441 where another user
// has one on the 5-tuple, else 437 (RFC 8656 5).
func (x *transaction) own() *entry {
	e := x.core.allocations.of(x.key)
	switch {
	case e == nil:
		x.refuse(stun.CodeAllocMismatch)
		return nil
	case e.user != x.user:
		x.refuse(stun.CodeWrongCredentials)
		return nil
	}
	return e
}

// refresh serves a Refresh request (RFC 8656 8).
func (x *transaction) refresh() {
	e := x.own()
	if e == nil {
		return
	}
	lifetime := lifetimeAsked(x.in.lifetime)
	if asked := x.in.lifetime; len(asked) == 4 && binary.BigEndian.Uint32(asked) == 0 {
		lifetime = 0
	}
	switch f := x.in.family; {
	case f != nil && len(f) != 4, x.in.lifetime != nil && len(x.in.lifetime) != 4:
		x.refuse(stun.CodeBadRequest)
		return
	case f != nil && f[0] != e.socket.home.family:
		x.refuse(stun.CodePeerAddrFamilyMismatch)
		return
	}
	if lifetime == 0 && !e.end() || lifetime != 0 && !e.prolong(lifetime) { // It ended while we looked.
		x.refuse(stun.CodeAllocMismatch)
		return
	}
	x.begin(stun.ClassSuccessResponse)
	addWord(&x.out, stun.AttrLifetime, uint32(lifetime/time.Second))
	x.finish()
}

// createPermission serves a CreatePermission request (RFC 8656 10.2): all peers are admitted, or none.
func (x *transaction) createPermission() {
	e := x.own()
	if e == nil {
		return
	}
	if x.in.malformed || len(x.in.peers) == 0 {
		x.refuse(stun.CodeBadRequest)
		return
	}
	x.answer(x.admit(e, 0))
}

// channelBind serves a ChannelBind request (RFC 8656 12.2).
func (x *transaction) channelBind() {
	e := x.own()
	if e == nil {
		return
	}
	if x.in.malformed || len(x.in.peers) == 0 || len(x.in.channel) != 4 || !isChannel(binary.BigEndian.Uint16(x.in.channel)) {
		x.refuse(stun.CodeBadRequest)
		return
	}
	x.in.peers = x.in.peers[:1]
	x.answer(x.admit(e, binary.BigEndian.Uint16(x.in.channel)))
}

// answer answers with an error, or with success where there is none.
func (x *transaction) answer(code stun.ErrorCode) {
	if code != 0 {
		x.refuse(code)
		return
	}
	x.begin(stun.ClassSuccessResponse)
	x.finish()
}

// admit judges the peers of a request, by address, or by address and port where it is for a channel, and installs their
// permissions and the channel. Each packet is judged anew. The error is 0 where all are admitted.
func (x *transaction) admit(e *entry, channel uint16) stun.ErrorCode {
	policy := x.core.policy.Load()
	for _, peer := range x.in.peers {
		if familyOfAddr(peer.Addr()) != e.socket.home.family {
			return stun.CodePeerAddrFamilyMismatch
		}
		verdict := policy.JudgeIP(peer.Addr())
		if channel != 0 { // A channel is for one port alone.
			verdict = policy.Judge(peer, x.core.relays.mayBeLive)
		}
		if !verdict.Allowed {
			x.core.counters.deniedPermissions.add(string(verdict.Reason))
			return stun.CodeForbidden
		}
	}
	if conn, ok := x.back.(*streamConn); ok {
		if err := conn.toLoop(e); err != nil { // Before anything of a peer's may come.
			if !errors.Is(err, errClosing) {
				x.core.allocationFailed(err)
			}
			return stun.CodeInsufficientCapacity
		}
	}
	reason := e.install(x.in.peers, channel)
	switch reason {
	case "":
		return 0
	case reasonChannelTaken:
		return stun.CodeBadRequest
	case reasonNoAllocation: // It ended while we looked.
		return stun.CodeAllocMismatch
	}
	x.core.counters.deniedPermissions.add(string(reason))
	return stun.CodeInsufficientCapacity
}

// connect refuses RFC 6062 (5.2: forbidden by policy).
func (x *transaction) connect() {
	if x.own() != nil {
		x.core.counters.deniedPermissions.add(string(reasonTCPRelay))
		x.refuse(stun.CodeForbidden)
	}
}

// connectionBind refuses RFC 6062: there is no connection to bind.
func (x *transaction) connectionBind() { x.refuse(stun.CodeBadRequest) }
