package relay

import "math/bits"

// The functions of this file and of the other files named hot_*.go run in a loop: without a Go processor, see doc.go.

// hash is a keyed hash of an endpoint and what it belongs to.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (l *loop) hash(e *endpoint, owner uint64) uint32 { return hashEndpoint(&l.seed, e, owner) }

//go:nosplit
//go:norace
//go:nocheckptr
func hashEndpoint(seed *[3]uint64, e *endpoint, owner uint64) uint32 {
	h, low := bits.Mul64(e.hi^seed[0]|1, e.lo^seed[1])
	h ^= low ^ owner ^ uint64(e.port)<<48
	h, low = bits.Mul64(h^seed[2], seed[0]|1)
	return uint32(h ^ low)
}

// insert enters a hash that is not in the table.
//
//go:nosplit
//go:norace
//go:nocheckptr
func insert(t *[tableSlots]slot, hash, index uint32) {
	i := hash
	for t[i%tableSlots].index != 0 {
		i++
	}
	t[i%tableSlots] = slot{hash, index + 1}
}

// remove takes an entry out and moves those behind it up, so that no search ends too early.
//
//go:nosplit
//go:norace
//go:nocheckptr
func remove(t *[tableSlots]slot, hash, index uint32) {
	i := hash
	for t[i%tableSlots].index != index+1 {
		if t[i%tableSlots].index == 0 {
			return
		}
		i++
	}
	for j := i + 1; t[j%tableSlots].index != 0; j++ {
		home := t[j%tableSlots].hash
		if (j-home)%tableSlots >= (j-i)%tableSlots { // j's way from home passes i.
			t[i%tableSlots] = t[j%tableSlots]
			i = j
		}
	}
	t[i%tableSlots] = slot{}
}

// findPeer returns the index+1 of a relay's flow to a peer.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) findPeer(relay uint32, peer *endpoint) uint32 {
	h := m.loop.hash(peer, uint64(relay))
	for i := h; m.byPeer[i%tableSlots].index != 0; i++ {
		at := &m.byPeer[i%tableSlots]
		if at.hash != h {
			continue
		}
		f := &m.flows[(at.index-1)%maxFlows]
		if f.relay == relay && f.peer == *peer {
			return at.index
		}
	}
	return 0
}

// channelOwner is the part of a channel's key beside the client's address: with that and the transport it is the 5-tuple
// (RFC 8656 3.2) and the channel's number.
//
//go:nosplit
//go:norace
//go:nocheckptr
func channelOwner(listener uint32, local *endpoint, channel uint16) uint64 {
	return uint64(listener)<<16 ^ uint64(channel) ^ bits.RotateLeft64(local.hi^local.lo, 32) ^ uint64(local.scope)<<40
}

// findChannel returns the index+1 of the flow of a client's channel.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) findChannel(listener uint32, client, local *endpoint, channel uint16) uint32 {
	h := m.loop.hash(client, channelOwner(listener, local, channel))
	for i := h; m.byClient[i%tableSlots].index != 0; i++ {
		at := &m.byClient[i%tableSlots]
		if at.hash != h {
			continue
		}
		f := &m.flows[(at.index-1)%maxFlows]
		s := &m.sockets[f.relay%maxSockets]
		if f.channel == channel && s.listener == listener && s.client == *client && s.local == *local {
			return at.index
		}
	}
	return 0
}

// findClient returns the index+1 of the relay of a client.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) findClient(listener uint32, client, local *endpoint) uint32 {
	h := m.loop.hash(client, channelOwner(listener, local, 0))
	for i := h; m.clients[i%tableSlots].index != 0; i++ {
		at := &m.clients[i%tableSlots]
		s := &m.sockets[(at.index-1)%maxSockets]
		if at.hash == h && s.listener == listener && s.client == *client && s.local == *local {
			return at.index
		}
	}
	return 0
}
