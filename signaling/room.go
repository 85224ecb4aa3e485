package signaling

import (
	"encoding/json"
	"time"

	"tourbillon/timing"
)

// member is one peer in a room.
type member struct {
	seat     seatID
	id, name string
	metadata json.RawMessage
	// slot is the place in the order of joining, from which the roles follow. It survives a take-over.
	slot   uint64
	joined time.Time
	away   bool
	// candidates counts, by addressee, those sent since the last offer or answer to it.
	candidates map[string]int
}

// room is a pure state machine: no clock, no I/O, no lock. Its owner, the hub, serialises the events and carries out
// the effects in their order.
type room struct {
	name   string
	limits *Limits
	// members are in the order of their slots. Rooms are small: a search is cheaper than the memory of a map.
	members []*member
	// lastSlot is the slot of the latest newcomer; deliveries is what messages to the whole room have used up.
	lastSlot   uint64
	deliveries bucket
	// pairs are the paths that are followed.
	pairs map[pairKey]*pair
}

func newRoom(name string, limits *Limits) *room {
	return &room{name: name, limits: limits}
}

// apply advances the room by one event. A refusal changes nothing and goes to the event's seat.
func (r *room) apply(e event, now timing.Instant) ([]effect, *Error) {
	switch e := e.(type) {
	case joinEvent:
		return r.join(e, now)
	case updateEvent:
		return r.update(e, now)
	case relayEvent:
		return r.relay(e, now)
	case reportEvent:
		return r.report(e, now)
	case wokenEvent:
		return r.woken(e, now), nil
	case awayEvent:
		return r.away(e, now), nil
	case backEvent:
		return r.back(e, now), nil
	case goneEvent:
		return r.gone(e), nil
	}
	return nil, nil
}

func (r *room) empty() bool { return len(r.members) == 0 }

func (r *room) join(e joinEvent, now timing.Instant) ([]effect, *Error) {
	if r.bySeat(e.seat) != nil {
		return nil, errAlreadyJoined()
	}
	if m := r.byPeer(e.peer); m != nil {
		return r.takeOver(m, e, now), nil
	}
	if !r.limits.Off && len(r.members) >= r.limits.RoomPeers {
		return nil, errRoomFull(r.limits.RoomPeers)
	}
	r.lastSlot++
	m := &member{seat: e.seat, id: e.peer, name: e.name, metadata: e.metadata, slot: r.lastSlot, joined: e.at}
	r.members = append(r.members, m)
	// The newcomer is the later of each pair, so the others are the impolite ones.
	news := peerJoinedMessage{Type: typePeerJoined, Peer: peerMessage{ID: m.id, Name: m.name, Metadata: m.metadata}}
	return append([]effect{r.welcome(m, e.welcome)}, r.tellOthers(m, news)...), nil
}

// takeOver gives a present peer to a new seat. Name, metadata and slot stay, and with the slot the roles, so the
// others learn only that a peer that was away is back.
func (r *room) takeOver(m *member, e joinEvent, now timing.Instant) []effect {
	effects := []effect{closeEffect{seat: m.seat, reason: ReasonReplaced}}
	m.seat, m.candidates = e.seat, nil
	effects = append(effects, r.welcome(m, e.welcome))
	return append(effects, r.back(backEvent{m.seat}, now)...)
}

func (r *room) welcome(m *member, text joinedMessage) effect {
	text.Type, text.Room, text.Peer = typeJoined, r.name, m.id
	text.Peers = []peerMessage{}
	for _, other := range r.others(m) {
		text.Peers = append(text.Peers, peerMessage{
			ID: other.id, Name: other.name, Metadata: other.metadata, Polite: m.slot > other.slot, Away: other.away,
		})
	}
	return welcomeEffect{to: m.seat, message: text}
}

func (r *room) update(e updateEvent, now timing.Instant) ([]effect, *Error) {
	m := r.bySeat(e.seat)
	if m == nil {
		return nil, errNotJoined()
	}
	if refusal := r.countDeliveries(now); refusal != nil {
		return nil, refusal
	}
	if e.name != "" {
		m.name = e.name
	}
	if len(e.metadata) > 0 {
		m.metadata = e.metadata
	}
	return r.tellOthers(m, peerUpdatedMessage{Type: typePeerUpdated, Peer: m.id, Name: m.name, Metadata: m.metadata}), nil
}

func (r *room) relay(e relayEvent, now timing.Instant) ([]effect, *Error) {
	from := r.bySeat(e.seat)
	if from == nil {
		return nil, errNotJoined()
	}
	text := relayMessage{Type: e.kind, From: from.id, SDP: e.sdp, Candidate: e.candidate, Reason: e.reason, Data: e.data}
	if e.kind == typeMessage && e.to == "" {
		if refusal := r.countDeliveries(now); refusal != nil {
			return nil, refusal
		}
		return r.tellOthers(from, text), nil
	}
	to := r.byPeer(e.to)
	if to == nil || to == from {
		return nil, errUnknownPeer(e.to)
	}
	if refusal := r.countCandidate(from, e); refusal != nil {
		return nil, refusal
	}
	text.Direct = e.kind == typeMessage
	effects := []effect{sendEffect{to: []seatID{to.seat}, message: text}}
	if e.kind == typeOffer {
		effects = append(effects, r.passed(from, to, now)...)
	}
	return effects, nil
}

// countDeliveries counts a message to all others against the room, by its copies.
func (r *room) countDeliveries(now timing.Instant) *Error {
	l, copies := r.limits, float64(len(r.members)-1)
	if l.Off || r.deliveries.takeN(copies, now, l.RoomDeliveriesPerSecond, 2*l.RoomDeliveriesPerSecond) {
		return nil
	}
	return errRoomTooFast(l.RoomDeliveriesPerSecond)
}

func (r *room) countCandidate(from *member, e relayEvent) *Error {
	switch {
	case e.kind == typeOffer || e.kind == typeAnswer:
		delete(from.candidates, e.to)
	case e.kind != typeCandidate || r.limits.Off:
	case from.candidates[e.to] >= r.limits.Candidates:
		return errCandidates(r.limits.Candidates)
	case from.candidates == nil:
		from.candidates = map[string]int{e.to: 1}
	default:
		from.candidates[e.to]++
	}
	return nil
}

func (r *room) away(e awayEvent, now timing.Instant) []effect {
	m := r.bySeat(e.seat)
	if m == nil || m.away {
		return nil
	}
	m.away = true
	hold := r.limits.SeatHold
	news := peerAwayMessage{Type: typePeerAway, Peer: m.id, Reason: e.reason, SeatMS: hold.Milliseconds()}
	effects := append([]effect{holdEffect{seat: m.seat, time: hold, reason: e.reason}}, r.tellOthers(m, news)...)
	return append(effects, r.followAll(m, PathAway, now)...)
}

func (r *room) back(e backEvent, now timing.Instant) []effect {
	m := r.bySeat(e.seat)
	if m == nil || !m.away {
		return nil
	}
	m.away = false
	return append(r.tellOthers(m, peerBackMessage{Type: typePeerBack, Peer: m.id}), r.followAll(m, PathBack, now)...)
}

func (r *room) gone(e goneEvent) []effect {
	m := r.bySeat(e.seat)
	if m == nil {
		return nil
	}
	ended := r.forgetPairs(m)
	r.members = r.others(m)
	for _, other := range r.members {
		delete(other.candidates, m.id)
	}
	return append(ended, r.tellOthers(m, peerLeftMessage{Type: typePeerLeft, Peer: m.id, Reason: e.reason})...)
}

// tellOthers sends to all but one, in the order of their slots; no effect where there is nobody else.
func (r *room) tellOthers(m *member, news any) []effect {
	others := r.others(m)
	if len(others) == 0 {
		return nil
	}
	seats := make([]seatID, len(others))
	for i, other := range others {
		seats[i] = other.seat
	}
	return []effect{sendEffect{to: seats, message: news}}
}

// others returns all members but one, in the order of their slots.
func (r *room) others(m *member) []*member {
	others := make([]*member, 0, len(r.members))
	for _, other := range r.members {
		if other != m {
			others = append(others, other)
		}
	}
	return others
}

// bySeat finds the member on a seat; nil for none.
func (r *room) bySeat(id seatID) *member {
	for _, m := range r.members {
		if m.seat == id {
			return m
		}
	}
	return nil
}

// byPeer finds the member with a peer id; nil for none.
func (r *room) byPeer(id string) *member {
	for _, m := range r.members {
		if m.id == id {
			return m
		}
	}
	return nil
}
