package turn

import (
	"net"
	"net/netip"

	pion "github.com/pion/turn/v5"

	"tourbillon/turn/relay"
)

// door is what control needs of its listener.
type door interface {
	// note returns what the listener noted on the request that pion handles for a client now.
	note(client netip.AddrPort) request
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
		StrictAddressFamily: h.core.relays.announce.Is4(),
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
	return clientKey{listener: h.listener, client: addrPort(client)}
}

// authenticate checks a request's user name and gives pion the key to check its integrity with.
func (h *control) authenticate(attrs *pion.RequestAttributes) (userID string, key []byte, ok bool) {
	defer h.core.survive("authentication")
	ring := h.core.ring.Load()
	name, failure := ring.judge(attrs.Username, attrs.Realm, attrs.Method, h.core.now())
	if failure != authOK {
		h.core.counters.authFailures.add(string(failure))
		return "", nil, false
	}
	secret := 0
	if note := h.door.note(addrPort(attrs.SrcAddr)); note.username == attrs.Username {
		secret = note.secret
	}
	return name.User, ring.key(secret, attrs.Username), true
}

// admitAllocation is the quota, answered 486 (RFC 8656 7.2).
func (h *control) admitAllocation(userID, _ string, client net.Addr) (ok bool) {
	defer h.core.survive("quota")
	if h.core.allocations.reserve(h.key(client), userID) {
		return true
	}
	h.core.counters.quotaRefusals.Add(1)
	return false
}

// admitPeer judges the peer of a CreatePermission or ChannelBind: by address here, by address and port for each packet.
func (h *control) admitPeer(client net.Addr, peer net.IP) (ok bool) {
	defer h.core.survive("permission")
	addr, _ := netip.AddrFromSlice(peer)
	verdict := h.core.policy.JudgeIP(addr)
	reason := verdict.Reason
	if verdict.Allowed {
		key := h.key(client)
		reason, ok = h.core.allocations.admit(key, addr.Unmap(), h.door.note(key.client).channel)
	}
	if !ok {
		h.core.counters.deniedPermissions.add(string(reason))
	}
	return ok
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
			table.update(addrPort(relay), func(e *entry) { e.permissions[unmapped(peer)] = struct{}{} })
			h.fast(relay).grant(unmapped(peer))
		},
		OnPermissionDeleted: func(_, _ net.Addr, _, _, _ string, relay net.Addr, peer net.IP) {
			defer h.core.survive("event")
			table.update(addrPort(relay), func(e *entry) { delete(e.permissions, unmapped(peer)) })
			h.fast(relay).revoke(unmapped(peer))
		},
		OnChannelCreated: func(_, _ net.Addr, _, _, _ string, relay, peer net.Addr, number uint16) {
			defer h.core.survive("event")
			table.update(addrPort(relay), func(e *entry) { e.channels[number] = struct{}{} })
			h.fast(relay).bind(addrPort(peer), number)
		},
		OnChannelDeleted: func(_, _ net.Addr, _, _, _ string, relay, peer net.Addr, number uint16) {
			defer h.core.survive("event")
			table.update(addrPort(relay), func(e *entry) { delete(e.channels, number) })
			h.fast(relay).unbind(addrPort(peer))
		},
	}
}

func (h *control) authenticated(client net.Addr, verified bool) {
	if !verified {
		h.core.counters.authFailures.add(string(authIntegrity))
		return
	}
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
	socket.fast.attach(key.client, h.loop)
	h.core.allocations.created(key, Allocation{
		Client: key.client, Server: h.server, Relay: announced,
		Transport: h.transport, User: userID, Since: h.core.now(),
	}, socket)
}

func unmapped(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
