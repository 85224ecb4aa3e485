package signaling

import "tourbillon/timing"

// applyLocked gives a room one event and carries out what the room wants done. A connection that turns out too slow on
// the way goes afterwards, so that everybody hears of an event before the next; each goes once, so this ends.
func (h *hub) applyLocked(r *room, e event) *Error {
	effects, refusal := r.apply(e, h.clock.Now())
	var slow []*seat
	for _, effect := range effects {
		switch effect := effect.(type) {
		case welcomeEffect:
			h.welcomeLocked(effect)
		case sendEffect:
			slow = append(slow, h.sendLocked(effect)...)
		case holdEffect:
			h.holdLocked(h.seats[effect.seat], effect)
		case wakeEffect:
			h.wakeLocked(r, effect)
		case askEffect:
			h.askLocked(effect)
		case endPairEffect:
			h.endPairLocked(effect.pair)
		case closeEffect:
			h.closeLocked(h.seats[effect.seat])
		}
	}
	for _, s := range slow {
		h.lostLocked(s, ReasonSlow)
	}
	return refusal
}

// welcomeLocked answers a join: the first thing that the connection is sent, but for answers to what came before.
func (h *hub) welcomeLocked(e welcomeEffect) {
	c := h.seats[e.to].conn
	c.enqueue(outgoing{text: encode(e.message)})
	h.touchLocked(c)
}

// sendLocked queues a message and returns the seats whose connections had no room for it, which it ends.
func (h *hub) sendLocked(e sendEffect) (slow []*seat) {
	text := encode(e.message)
	for _, id := range e.to {
		s := h.seats[id]
		if s == nil {
			continue
		}
		if s.conn != nil {
			h.touchLocked(s.conn)
		}
		if s.deliver(text, h.limits) && s.conn.finish(slowFarewell()) {
			h.counts.slow.Add(1)
			slow = append(slow, s)
		}
	}
	return slow
}

func (h *hub) closeLocked(s *seat) {
	c := s.conn
	h.endLocked(s)
	if c != nil {
		c.finish(replacedFarewell())
		h.touchLocked(c)
	}
}

// hold is the timer of one stretch of a seat without a socket.
type hold struct{ timer timing.Timer }

// holdLocked gives a seat up later, unless its peer is back by then.
func (h *hub) holdLocked(s *seat, e holdEffect) {
	held := &hold{}
	s.hold = held
	h.tasks.Add(1)
	held.timer = h.lifetimes.AfterFunc(e.time, func() {
		defer h.tasks.Done()
		h.mu.Lock()
		defer h.unlock()
		if s.hold == held {
			s.hold = nil
			h.goneLocked(s, e.reason)
		}
	})
}

func (h *hub) stopHoldLocked(s *seat) {
	if s.hold != nil && s.hold.timer.Stop() {
		h.tasks.Done()
	}
	s.hold = nil
}
