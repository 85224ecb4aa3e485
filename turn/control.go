package turn

import (
	"net"
	"net/netip"
	"slices"

	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"

	"tourbillon/turn/relay"
)

// door is what control needs of its listener.
type door interface {
	// note returns what the listener noted on the request that pion handles for a client now. It is for the goroutine
	// that handles it.
	note(client netip.AddrPort) *request
	// authenticated tells that a request of a client's was.
	authenticated(client netip.AddrPort)
}

// control answers pion's callbacks for one listener. Each listener has a pion server of its own, since pion's callbacks
// do not say where a request came in. The callbacks run in pion's read loops: nothing here blocks.
type control struct {
	core      *core
	door      door
	listener  int // index, for clientKey
	transport Transport
	server    netip.AddrPort
	loop      *relay.Listener // nil where packets go through pion
}

// serve starts a pion server over one listener: packets for UDP, or conns for TCP and TLS, the other being nil.
func (h *control) serve(realm string, packets net.PacketConn, conns net.Listener) (*pion.Server, error) {
	cfg := pion.ServerConfig{
		Realm:         realm,
		AuthHandler:   h.authenticate,
		QuotaHandler:  h.admitAllocation,
		EventHandler:  h.events(),
		LoggerFactory: pionLogs{log: h.core.log, clock: h.core.clock},
		// A client that names no family gets IPv4 (RFC 8656 7.2), or what we have if that is IPv6 only.
		StrictAddressFamily: h.core.relays.serves(familyIPv4),
	}
	if packets != nil {
		cfg.PacketConnConfigs = []pion.PacketConnConfig{{
			PacketConn: packets, RelayAddressGenerator: relaysAt{h.core.relays, h.loop}, PermissionHandler: h.admitPeer,
		}}
	} else {
		cfg.ListenerConfigs = []pion.ListenerConfig{{
			Listener: conns, RelayAddressGenerator: h.core.relays, PermissionHandler: h.admitPeer,
		}}
	}
	return pion.NewServer(cfg)
}

func (h *control) key(client net.Addr) clientKey {
	return clientKey{listener: h.listener, client: addrPort(client), local: localOf(client)}
}

// authenticate checks a request's user name and gives pion the key to check its integrity with. pion asks once the
// nonce is found good.
func (h *control) authenticate(attrs *pion.RequestAttributes) (userID string, key []byte, ok bool) {
	defer h.core.survive("authentication")
	ring, now := h.core.ring.Load(), h.core.now()
	r := h.door.note(addrPort(attrs.SrcAddr))
	name, failure := ring.judge(attrs.Username, attrs.Realm, attrs.Method, now)
	if failure != authOK {
		h.core.counters.authFailures.add(string(failure))
		r.stage = stageRefused
		return "", nil, false
	}
	secret := 0
	if r.username == attrs.Username {
		secret = r.secret
	}
	r.user, r.key = name.User, ring.key(secret, attrs.Username)
	return r.user, r.key, true
}

// admitAllocation holds an Allocate against what we have and the quotas. pion answers 486 to all of it, which
// request.correct turns into the code that is set here.
func (h *control) admitAllocation(userID, _ string, client net.Addr) (ok bool) {
	defer h.core.survive("quota")
	key := h.key(client)
	r := h.door.note(key.client)
	if r.code = h.unserved(r, key.client.Addr()); r.code != 0 {
		return false
	}
	reason := h.core.allocations.reserve(key, userID)
	switch reason {
	case "":
		return true
	case reasonTotalQuota, reasonDraining: // Not this user's doing (RFC 8656 7.2): another server may do.
		r.code = stun.CodeInsufficientCapacity
	}
	h.core.counters.quotaRefusals.add(string(reason))
	return false
}

// unserved is the error for a kind of allocation that we do not make (RFC 8656 7.2), 0 for one that we do.
func (h *control) unserved(r *request, client netip.Addr) stun.ErrorCode {
	switch {
	case r.transport != protocolUDP:
		return stun.CodeUnsupportedTransProto
	case !h.core.relays.serves(h.family(r, client)):
		return stun.CodeAddrFamilyNotSupported
	}
	return 0
}

// family is the address family that an Allocate is for, as pion decides it.
func (h *control) family(r *request, client netip.Addr) byte {
	if r.family != 0 {
		return r.family
	}
	local := h.server.Addr()
	if local.IsUnspecified() {
		local = client
	}
	if h.core.relays.serves(familyIPv4) || local.Is4() {
		return familyIPv4
	}
	return familyIPv6
}

// admitPeer judges the peers of a CreatePermission or ChannelBind: by address here, by address and port for each packet.
// pion asks for one after the other and installs as it goes, so the first time all are judged, and all or none pass
// (RFC 8656 10.2).
func (h *control) admitPeer(client net.Addr, peer net.IP) (ok bool) {
	defer h.core.survive("permission")
	r := h.door.note(addrPort(client))
	if !r.judged {
		r.judged = true
		r.code = h.judgePeers(r, h.key(client))
		r.admitted = r.code == 0
	}
	return r.admitted && slices.Contains(r.peers, unmapped(peer))
}

// judgePeers is the error for a request with these peers, 0 for none.
func (h *control) judgePeers(r *request, key clientKey) stun.ErrorCode {
	deny := func(reason Reason, code stun.ErrorCode) stun.ErrorCode {
		h.core.counters.deniedPermissions.add(string(reason))
		return code
	}
	switch {
	case r.method == stun.MethodConnect: // RFC 6062 5.2: forbidden by policy. pion would dial.
		return deny(reasonTCPRelay, stun.CodeForbidden)
	case r.malformed, r.method == stun.MethodChannelBind && !isChannel(r.channel):
		return stun.CodeBadRequest
	}
	family := h.core.allocations.family(key)
	for _, peer := range r.peers {
		if familyOfAddr(peer) != family {
			return stun.CodePeerAddrFamilyMismatch
		}
		if verdict := h.core.policy.Load().JudgeIP(peer); !verdict.Allowed {
			return deny(verdict.Reason, stun.CodeForbidden)
		}
	}
	if reason, ok := h.core.allocations.admit(key, r.peers, r.channel); !ok {
		return deny(reason, stun.CodeInsufficientCapacity)
	}
	return 0
}

// events keeps the table of allocations in step with pion's.
func (h *control) events() pion.EventHandler {
	table := h.core.allocations
	return pion.EventHandler{
		OnAuth: func(src, _ net.Addr, _, _, _, _ string, verified bool) {
			defer h.core.survive("event")
			h.authenticated(src, verified)
		},
		OnAllocationCreated: func(src, _ net.Addr, _, userID, _ string, relay net.Addr, _ int) {
			defer h.core.survive("event")
			h.created(src, userID, relay)
		},
		OnAllocationDeleted: func(src, _ net.Addr, _, _, _ string) {
			defer h.core.survive("event")
			if table.deleted(h.key(src)) {
				h.core.tasks.Done()
			}
		},
		OnPermissionCreated: func(_, _ net.Addr, _, _, _ string, relay net.Addr, peer net.IP) {
			defer h.core.survive("event")
			expires := h.core.now().Add(permissionLifetime)
			table.update(addrPort(relay), func(e *entry) { e.permissions[unmapped(peer)] = expires })
			h.fast(relay).grant(unmapped(peer))
		},
		OnPermissionDeleted: func(_, _ net.Addr, _, _, _ string, relay net.Addr, peer net.IP) {
			defer h.core.survive("event")
			table.update(addrPort(relay), func(e *entry) { delete(e.permissions, unmapped(peer)) })
			h.fast(relay).revoke(unmapped(peer))
		},
		OnChannelCreated: func(_, _ net.Addr, _, _, _ string, relay, peer net.Addr, number uint16) {
			defer h.core.survive("event")
			bound := Binding{Number: number, Peer: addrPort(peer), Expires: h.core.now().Add(channelLifetime)}
			table.update(addrPort(relay), func(e *entry) { e.channels[number] = bound })
			h.fast(relay).bind(bound.Peer, number)
		},
		OnChannelDeleted: func(_, _ net.Addr, _, _, _ string, relay, peer net.Addr, number uint16) {
			defer h.core.survive("event")
			table.update(addrPort(relay), func(e *entry) { delete(e.channels, number) })
			h.fast(relay).unbind(addrPort(peer))
		},
	}
}

func (h *control) authenticated(client net.Addr, verified bool) {
	r := h.door.note(addrPort(client))
	if !verified {
		r.stage = stageRefused
		h.core.counters.authFailures.add(string(authIntegrity))
		return
	}
	r.stage = stageVerified
	h.door.authenticated(addrPort(client))
}

// fast is the part in the data plane of the allocation with an announced address; one that does nothing where there is
// none.
func (h *control) fast(announced net.Addr) *fastPath {
	if socket := h.core.relays.socket(addrPort(announced)); socket != nil {
		return &socket.fast
	}
	return &fastPath{}
}

func (h *control) created(client net.Addr, userID string, relay net.Addr) {
	key, announced := h.key(client), addrPort(relay)
	socket := h.core.relays.socket(announced)
	if socket == nil { // The server is closing and has ended the socket already.
		return
	}
	h.core.tasks.Add(1) // Until pion's event of its deletion.
	socket.fast.attach(key, h.loop)
	if conns, ok := h.door.(*streamListener); ok {
		socket.attachStream(conns.conn(key.client))
	}
	h.core.allocations.created(key, Allocation{
		Client: key.client, Server: key.server(h.server), Relay: announced,
		Transport: h.transport, User: userID, Since: h.core.now(),
	}, socket)
}

func unmapped(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
