package signaling

// join brings a connection into a room, which is made if need be, on the given seat.
func (h *hub) join(c *conn, name string, s *seat, e joinEvent) *Error {
	h.mu.Lock()
	defer h.unlock()
	switch {
	case c.isEnding(): // Its end may have been told already and would not be told again.
		return errNotJoined()
	case h.stopping:
		return errDraining()
	case !h.admitsLocked(name, s):
		return errSessionUsed()
	case !h.limits.Off && s.token != 0 && h.tokens[s.token] >= h.limits.TokenPeers && !h.holdsLocked(name, s):
		return errTokenFull(h.limits.TokenPeers)
	}
	r := h.rooms[name]
	if r == nil {
		r = newRoom(name, &h.limits)
		h.rooms[name] = r
	}
	if present := h.findLocked(session{room: name, peer: s.peer}); present != nil {
		s.local = present.local // What it has begun with the local peer is its successor's.
	}
	h.sitLocked(c, s, r)
	e.seat = s.id
	refusal := h.applyLocked(r, e)
	if refusal != nil {
		h.endLocked(s)
	}
	h.sweepLocked(r)
	return refusal
}

// admitsLocked judges the generation of a session that claims a peer who is present.
func (h *hub) admitsLocked(name string, s *seat) bool {
	present := h.findLocked(session{room: name, peer: s.peer})
	return present == nil || present.admits(s.generation-1)
}

// holdsLocked reports whether the token has opened the seat that is to be taken over.
func (h *hub) holdsLocked(name string, s *seat) bool {
	present := h.findLocked(session{room: name, peer: s.peer})
	return present != nil && present.token == s.token
}

func (h *hub) sitLocked(c *conn, s *seat, r *room) {
	h.lastSeat++
	s.id, s.room, s.conn = h.lastSeat, r, c
	c.seat, s.host = s, c.host
	h.seats[s.id] = s
	if s.token != 0 {
		h.tokens[s.token]++
	}
}

// endLocked forgets a seat.
func (h *hub) endLocked(s *seat) {
	h.stopHoldLocked(s)
	delete(h.seats, s.id)
	if s.conn != nil {
		s.conn.seat, s.conn = nil, nil
	}
	if s.token == 0 {
		return
	}
	if h.tokens[s.token]--; h.tokens[s.token] <= 0 {
		delete(h.tokens, s.token)
	}
}

// resume gives a seat that is held, or that another connection has, to a connection whose client has seen all messages
// up to last. welcome completes the answer.
func (h *hub) resume(c *conn, claim session, last uint64, welcome func(*seat, *resumedMessage)) (*seat, *Error) {
	h.mu.Lock()
	defer h.unlock()
	s := h.findLocked(claim)
	switch {
	case c.isEnding():
		return nil, errNotJoined()
	case h.stopping:
		return nil, errDraining()
	case s == nil || !s.lasting:
		return nil, errSessionGone()
	case !s.admits(claim.generation):
		return nil, errSessionUsed()
	}
	missed, ok := s.missed(last)
	if !ok {
		return nil, errReplayLost()
	}
	answer := resumedMessage{Type: typeResumed, Got: s.got.Load(), Replayed: len(missed)}
	welcome(s, &answer)
	h.moveLocked(s, c)
	c.replay(encode(answer), last, missed)
	h.touchLocked(c)
	_ = h.applyLocked(s.room, backEvent{s.id}) // Coming back is never refused.
	return s, nil
}

func (h *hub) findLocked(claim session) *seat {
	r := h.rooms[claim.room]
	if r == nil {
		return nil
	}
	m := r.byPeer(claim.peer)
	if m == nil {
		return nil
	}
	return h.seats[m.seat]
}

// moveLocked gives a seat to a connection and ends the one that had it.
func (h *hub) moveLocked(s *seat, c *conn) {
	h.stopHoldLocked(s)
	if old := s.conn; old != nil {
		old.seat = nil
		old.finish(replacedFarewell())
		h.touchLocked(old)
	}
	s.conn, c.seat, s.host = c, s, c.host
}

// leave takes a connection's peer out of its room.
func (h *hub) leave(c *conn, reason Reason) {
	h.mu.Lock()
	defer h.unlock()
	if c.seat != nil {
		h.goneLocked(c.seat, reason)
	}
}

// lost takes the socket from a connection's peer: the seat is held where the client can resume, or given up.
func (h *hub) lost(c *conn, reason Reason) {
	h.mu.Lock()
	defer h.unlock()
	if c.seat != nil {
		h.lostLocked(c.seat, reason)
	}
}

func (h *hub) lostLocked(s *seat, reason Reason) {
	if !s.lasting || h.limits.SeatHold == 0 {
		h.goneLocked(s, reason)
		return
	}
	s.conn.seat, s.conn = nil, nil
	if !h.stopping {
		_ = h.applyLocked(s.room, awayEvent{seat: s.id, reason: reason}) // Never refused.
	}
}

// goneLocked gives a seat up. Once the server stops, rooms are silent: everybody hears "bye", and not first of the
// others' going.
func (h *hub) goneLocked(s *seat, reason Reason) {
	h.endLocked(s)
	if h.stopping {
		return
	}
	h.tellLocalLocked(s)
	_ = h.applyLocked(s.room, goneEvent{seat: s.id, reason: reason}) // Going is never refused.
	h.sweepLocked(s.room)
}
