package turn

import (
	"sync"
	"sync/atomic"
)

// Stats are the server's counters since it began to listen.
type Stats struct {
	// Allocations is how many live now, Created how many were made. Ports is how many relay ports there are.
	Allocations int
	Created     uint64
	Ports       int
	// Draining says that no allocation is made any more.
	Draining bool
	// ToPeers and FromPeers count what all relay sockets sent and received, payload bytes only.
	ToPeers, FromPeers Traffic
	// FromClients and ToClients count packets on the listeners; STUN and ChannelData headers are part of the bytes.
	FromClients, ToClients Traffic
	// Garbage counts packets that were neither STUN nor ChannelData, Strangers ChannelData and Send indications of clients
	// without an allocation.
	Garbage, Strangers uint64
	// Challenges and Bindings count replies to unauthenticated requests and Binding responses that were sent over UDP.
	Challenges, Bindings uint64
	// ThrottledChallenges and ThrottledBindings count replies that were not sent because their source had its share.
	ThrottledChallenges, ThrottledBindings uint64
	// AuthFailures counts refused credentials by reason: malformed-username, expired, realm, integrity.
	AuthFailures map[string]uint64
	// QuotaRefusals counts refused Allocate requests by what stood against them: user-quota, source-quota and, of those that
	// ask for a second port, user-reserved-ports (486), total-quota, reserved-ports and draining (508).
	QuotaRefusals map[string]uint64
	// DeniedPermissions counts CreatePermission and ChannelBind requests refused by the policy or a limit, by reason.
	DeniedPermissions map[string]uint64
	// DeniedPackets counts packets that a relay did not pass on, in either direction, by reason: the policy's, no-permission,
	// no-channel, too-long, the ceiling that they were above (packet-rate, bandwidth, server-bandwidth), or slow-client where
	// a client on TCP does not read what its peers send.
	DeniedPackets map[string]uint64
	// SocketFull and QueueFull count packets that the loops lost since a socket did not take them, being full as a rule, or
	// since there was no room for what Go serves.
	SocketFull, QueueFull uint64
	// Retries counts socket errors that were survived.
	Retries uint64
	// RefusedConns counts TCP and TLS connections closed at once because too many had not authenticated, FailedConns
	// those closed for a failed handshake, for silence, or for bytes that are no TURN.
	RefusedConns, FailedConns uint64
	// Panics counts panics in our own frames; each cost one packet or one request.
	Panics uint64
}

// Traffic counts packets and their bytes.
type Traffic struct{ Packets, Bytes uint64 }

// counters are what Stats is a copy of.
type counters struct {
	fromClients, toClients                 meter
	garbage, strangers                     atomic.Uint64
	challenges, bindings                   atomic.Uint64
	throttledChallenges, throttledBindings atomic.Uint64
	retries                                atomic.Uint64
	refusedConns, failedConns              atomic.Uint64
	panics                                 atomic.Uint64
	authFailures, quotaRefusals            tally
	deniedPermissions                      tally
	droppedPackets                         drops
}

func (c *counters) snapshot() Stats {
	return Stats{
		FromClients:         c.fromClients.read(),
		ToClients:           c.toClients.read(),
		Garbage:             c.garbage.Load(),
		Strangers:           c.strangers.Load(),
		Challenges:          c.challenges.Load(),
		Bindings:            c.bindings.Load(),
		ThrottledChallenges: c.throttledChallenges.Load(),
		ThrottledBindings:   c.throttledBindings.Load(),
		AuthFailures:        c.authFailures.read(),
		QuotaRefusals:       c.quotaRefusals.read(),
		DeniedPermissions:   c.deniedPermissions.read(),
		DeniedPackets:       c.droppedPackets.read(),
		Retries:             c.retries.Load(),
		RefusedConns:        c.refusedConns.Load(),
		FailedConns:         c.failedConns.Load(),
		Panics:              c.panics.Load(),
	}
}

// meter counts packets and bytes.
type meter struct{ packets, bytes atomic.Uint64 }

func (m *meter) add(bytes int) {
	m.packets.Add(1)
	m.bytes.Add(uint64(bytes))
}

func (m *meter) read() Traffic { return Traffic{Packets: m.packets.Load(), Bytes: m.bytes.Load()} }

func (t Traffic) plus(u Traffic) Traffic { return Traffic{t.Packets + u.Packets, t.Bytes + u.Bytes} }

// tally counts by a label out of a small fixed set.
type tally struct {
	mu     sync.Mutex // guards counts
	counts map[string]uint64
}

func (t *tally) add(label string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]uint64)
	}
	t.counts[label]++
}

func (t *tally) read() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	copied := make(map[string]uint64, len(t.counts))
	for label, n := range t.counts {
		copied[label] = n
	}
	return copied
}
