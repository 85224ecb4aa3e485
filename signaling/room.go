package signaling

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// connID names one connection for as long as the process runs.
type connID uint64

// What happens to a room. Each event comes from one connection.
type (
	// joinEvent brings a connection in as a peer. A peer id that is present already is taken over.
	joinEvent struct {
		conn connID
		peer string
		name string
		// welcome is completed by the room and sent to the connection.
		welcome joinedMessage
	}
	// directEvent carries an offer, answer or candidate to one peer.
	directEvent struct {
		conn      connID
		to        string
		kind      string
		sdp       string
		candidate json.RawMessage
	}
	// goneEvent takes a connection's peer out: it left, its socket closed, or it was given up.
	goneEvent struct {
		conn   connID
		reason Reason
	}
)

type event interface{ isEvent() }

func (joinEvent) isEvent()   {}
func (directEvent) isEvent() {}
func (goneEvent) isEvent()   {}

// What a room wants done.
type (
	// sendEffect sends one message to connections.
	sendEffect struct {
		to      []connID
		message any
	}
	// closeEffect ends a connection that is no longer of the room.
	closeEffect struct {
		conn   connID
		reason Reason
	}
)

type effect interface{ isEffect() }

func (sendEffect) isEffect()  {}
func (closeEffect) isEffect() {}

// member is one peer in a room.
type member struct {
	conn     connID
	id, name string
	// slot is the place in the order of joining, from which the roles follow. It survives a take-over.
	slot   uint64
	joined time.Time
	// candidates counts, by addressee, those sent since the last offer or answer to it.
	candidates map[string]int
}

// room is a pure state machine: no clock, no I/O, no lock. Its owner, the hub, serialises the events and carries out
// the effects in their order.
type room struct {
	name     string
	limits   Limits
	byPeer   map[string]*member
	byConn   map[connID]*member
	lastSlot uint64
}

func newRoom(name string, limits Limits) *room {
	return &room{name: name, limits: limits, byPeer: map[string]*member{}, byConn: map[connID]*member{}}
}

// apply advances the room by one event at a wall-clock time. A refusal changes nothing and goes to the event's
// connection.
func (r *room) apply(e event, now time.Time) ([]effect, *Error) {
	switch e := e.(type) {
	case joinEvent:
		return r.join(e, now)
	case directEvent:
		return r.direct(e)
	case goneEvent:
		return r.gone(e), nil
	}
	return nil, nil
}

func (r *room) empty() bool { return len(r.byConn) == 0 }

func (r *room) join(e joinEvent, now time.Time) ([]effect, *Error) {
	if r.byConn[e.conn] != nil {
		return nil, errAlreadyJoined()
	}
	if m := r.byPeer[e.peer]; m != nil {
		return r.takeOver(m, e), nil
	}
	if !r.limits.Off && len(r.byPeer) >= r.limits.RoomPeers {
		return nil, errRoomFull(r.limits.RoomPeers)
	}
	others := r.conns()
	r.lastSlot++
	m := &member{conn: e.conn, id: e.peer, name: e.name, slot: r.lastSlot, joined: now}
	r.byPeer[m.id], r.byConn[m.conn] = m, m

	effects := []effect{r.welcome(m, e.welcome)}
	if len(others) > 0 {
		// The newcomer is the later of each pair, so the others are the impolite ones.
		news := peerJoinedMessage{Type: typePeerJoined, Peer: peerMessage{ID: m.id, Name: m.name}}
		effects = append(effects, sendEffect{to: others, message: news})
	}
	return effects, nil
}

// takeOver gives a present peer to a new connection. The others learn nothing: id, name and slot stay, and with the
// slot the roles.
func (r *room) takeOver(m *member, e joinEvent) []effect {
	old := m.conn
	delete(r.byConn, old)
	m.conn, m.candidates = e.conn, nil
	r.byConn[m.conn] = m
	return []effect{closeEffect{conn: old, reason: ReasonReplaced}, r.welcome(m, e.welcome)}
}

func (r *room) welcome(m *member, text joinedMessage) effect {
	text.Type, text.Room, text.Peer = typeJoined, r.name, m.id
	text.Peers = []peerMessage{}
	for _, other := range r.inOrder() {
		if other != m {
			text.Peers = append(text.Peers, peerMessage{ID: other.id, Name: other.name, Polite: m.slot > other.slot})
		}
	}
	return sendEffect{to: []connID{m.conn}, message: text}
}

func (r *room) direct(e directEvent) ([]effect, *Error) {
	from := r.byConn[e.conn]
	if from == nil {
		return nil, errNotJoined()
	}
	to := r.byPeer[e.to]
	if to == nil || to == from {
		return nil, errUnknownPeer(e.to)
	}
	if refusal := r.countCandidate(from, e); refusal != nil {
		return nil, refusal
	}
	text := relayMessage{Type: e.kind, From: from.id, SDP: e.sdp, Candidate: e.candidate}
	return []effect{sendEffect{to: []connID{to.conn}, message: text}}, nil
}

func (r *room) countCandidate(from *member, e directEvent) *Error {
	switch {
	case e.kind != typeCandidate:
		delete(from.candidates, e.to)
	case r.limits.Off:
	case from.candidates[e.to] >= r.limits.Candidates:
		return errCandidates(r.limits.Candidates)
	case from.candidates == nil:
		from.candidates = map[string]int{e.to: 1}
	default:
		from.candidates[e.to]++
	}
	return nil
}

func (r *room) gone(e goneEvent) []effect {
	m := r.byConn[e.conn]
	if m == nil {
		return nil
	}
	delete(r.byConn, m.conn)
	delete(r.byPeer, m.id)
	others := r.conns()
	for _, other := range r.byPeer {
		delete(other.candidates, m.id)
	}
	if len(others) == 0 {
		return nil
	}
	news := peerLeftMessage{Type: typePeerLeft, Peer: m.id, Reason: e.reason}
	return []effect{sendEffect{to: others, message: news}}
}

// inOrder returns the members in the order of their slots.
func (r *room) inOrder() []*member {
	return slices.SortedFunc(maps.Values(r.byPeer), func(a, b *member) int { return cmp.Compare(a.slot, b.slot) })
}

// conns returns the connections of all members, in the order of their slots.
func (r *room) conns() []connID {
	conns := make([]connID, 0, len(r.byPeer))
	for _, m := range r.inOrder() {
		conns = append(conns, m.conn)
	}
	return conns
}
