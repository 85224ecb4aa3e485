package signaling

import (
	"sync"
	"time"
)

// hub owns all rooms and the list of open connections. Its mutex is the one owner's mark: rooms are touched only with
// it held. Under it messages are queued on connections, which does not block; nothing is sent, called back or waited
// for.
type hub struct {
	limits Limits
	counts *counts
	now    func() time.Time

	// tasks counts every goroutine of the package: one reader per open connection, and what a connection starts while
	// its reader lives. So it is never raised from 0 while Shutdown waits.
	tasks sync.WaitGroup

	// mu guards what follows.
	mu       sync.Mutex
	stopping bool
	lastConn connID
	conns    map[connID]*conn
	rooms    map[string]*room
	// where tells the room of each connection that has joined.
	where map[connID]*room
}

func newHub(limits Limits, counts *counts, now func() time.Time) *hub {
	return &hub{
		limits: limits, counts: counts, now: now,
		conns: map[connID]*conn{}, rooms: map[string]*room{}, where: map[connID]*room{},
	}
}

// add lists a connection and counts its reader in tasks; false once the server stops.
func (h *hub) add(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return false
	}
	h.lastConn++
	c.id = h.lastConn
	h.conns[c.id] = c
	h.tasks.Add(1)
	return true
}

// remove takes a connection, whose peer is gone, off the list.
func (h *hub) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c.id)
}

// stop lets no more connections in and returns those that are open.
func (h *hub) stop() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
	open := make([]*conn, 0, len(h.conns))
	for _, c := range h.conns {
		open = append(open, c)
	}
	return open
}

func (h *hub) stopped() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopping
}

// join brings a connection into a room, which is made if need be.
func (h *hub) join(c *conn, name string, e joinEvent) *Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.isEnding() { // Its goneEvent may have come already and would not come again.
		return errNotJoined()
	}
	r := h.rooms[name]
	if r == nil {
		r = newRoom(name, h.limits)
		h.rooms[name] = r
	}
	h.where[c.id] = r
	refusal := h.applyLocked(r, e)
	if refusal != nil {
		delete(h.where, c.id)
	}
	h.sweepLocked(r)
	return refusal
}

// sweepLocked forgets a room without peers.
func (h *hub) sweepLocked(r *room) {
	if r.empty() {
		delete(h.rooms, r.name)
	}
}

// direct relays a message to a peer of the connection's room.
func (h *hub) direct(e directEvent) *Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.where[e.conn]
	if r == nil {
		return errNotJoined()
	}
	return h.applyLocked(r, e)
}

// gone takes a connection's peer out of its room.
func (h *hub) gone(c *conn, reason Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.goneLocked(c.id, reason)
}

func (h *hub) goneLocked(id connID, reason Reason) {
	r := h.where[id]
	if r == nil {
		return
	}
	delete(h.where, id)
	_ = h.applyLocked(r, goneEvent{conn: id, reason: reason}) // Going is never refused.
	h.sweepLocked(r)
}

// applyLocked gives a room one event and carries out what the room wants done. A connection that turns out too slow on
// the way goes afterwards, so that everybody hears of an event before the next; each goes once, so this ends.
func (h *hub) applyLocked(r *room, e event) *Error {
	effects, refusal := r.apply(e, h.now())
	var slow []connID
	for _, effect := range effects {
		switch effect := effect.(type) {
		case sendEffect:
			slow = append(slow, h.sendLocked(effect)...)
		case closeEffect:
			delete(h.where, effect.conn)
			h.conns[effect.conn].finish(farewell{code: closeReplaced, reason: string(effect.reason), abandon: true})
		}
	}
	for _, id := range slow {
		h.goneLocked(id, ReasonSlow)
	}
	return refusal
}

// sendLocked queues a message and returns the connections that had no room for it, which it ends. Once the server
// stops, rooms are silent: everybody hears "bye", and not first of the others' going.
func (h *hub) sendLocked(e sendEffect) (slow []connID) {
	if h.stopping {
		return nil
	}
	text := encode(e.message)
	for _, id := range e.to {
		if c := h.conns[id]; c.enqueue(text) && c.finish(slowFarewell()) {
			h.counts.slow.Add(1)
			slow = append(slow, id)
		}
	}
	return slow
}

// snapshot lists the rooms, in no order.
func (h *hub) snapshot() []RoomInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	infos := make([]RoomInfo, 0, len(h.rooms))
	for _, r := range h.rooms {
		info := RoomInfo{Name: r.name}
		for _, m := range r.inOrder() {
			info.Peers = append(info.Peers, h.peerLocked(m))
		}
		infos = append(infos, info)
	}
	return infos
}

func (h *hub) peerLocked(m *member) PeerInfo {
	c := h.conns[m.conn]
	rtt := c.roundTrip()
	return PeerInfo{
		ID: m.id, Name: m.name, Address: c.addr.String(), JoinedAt: m.joined,
		RTT: rtt.Smoothed, Jitter: rtt.Jitter,
	}
}
