package peerjs

import (
	"crypto/subtle"
	"slices"

	"tourbillon/timing"
)

// connID names a connection to the registry.
type connID uint64

// seat is an id and who has it.
type seat struct {
	id, token string
	conn      connID
	// waiting is how many bytes of its messages wait in mailboxes.
	waiting int
}

// effect is something that the registry wants done: a message sent on a connection, or with end the connection ended
// after it.
type effect struct {
	conn connID
	text []byte
	end  *farewell
}

// registry says who has which id, and keeps what waits for ids that nobody has. It is pure: its owner serialises calls,
// tells the time and carries out the effects in their order. Effects are valid until the next call.
type registry struct {
	limits Limits
	seats  map[string]*seat
	byConn map[connID]*seat
	// mailboxes holds those with letters; order has the same in the order of their expiry, and emptied ones.
	mailboxes map[string]*mailbox
	order     []*mailbox
	effects   []effect
}

func newRegistry(limits Limits) *registry {
	return &registry{
		limits: limits, seats: map[string]*seat{}, byConn: map[connID]*seat{}, mailboxes: map[string]*mailbox{},
	}
}

// open gives an id to a connection that proves it by a token, with what has waited for it; or it ends the connection.
// A connection that had the id before is ended.
func (r *registry) open(conn connID, id, token string) []effect {
	r.effects = r.effects[:0]
	s := r.seats[id]
	switch {
	case s == nil && !r.limits.Off && len(r.seats) >= r.limits.Clients:
		return r.refuse(conn, textFull)
	case s == nil:
		s = &seat{id: id, token: token}
		r.seats[id] = s
	case subtle.ConstantTimeCompare([]byte(s.token), []byte(token)) == 0:
		return r.refuse(conn, textTaken)
	default:
		delete(r.byConn, s.conn)
		r.effects = append(r.effects, effect{conn: s.conn, end: farewellReplaced})
	}
	s.conn = conn
	r.byConn[conn] = s
	r.send(s, textOpen)
	r.deliver(s)
	return r.effects
}

func (r *registry) refuse(conn connID, text []byte) []effect {
	r.effects = append(r.effects, effect{conn: conn, end: refusal(text)})
	return r.effects
}

func (r *registry) send(to *seat, text []byte) {
	r.effects = append(r.effects, effect{conn: to.conn, text: text})
}

func (r *registry) deliver(s *seat) {
	box := r.mailboxes[s.id]
	if box == nil {
		return
	}
	delete(r.mailboxes, s.id)
	for _, l := range box.take() {
		r.send(s, l.text)
	}
}

// relay passes a connection's message on to its addressee. What is for an id that nobody has waits, unless it is a
// LEAVE; what may not wait is answered with EXPIRE at once.
func (r *registry) relay(conn connID, m message, now timing.Instant) []effect {
	r.effects = r.effects[:0]
	from := r.byConn[conn]
	if from == nil {
		return nil // Its id is gone, and soon it will be.
	}
	text := relayText(m.Type, from.id, m.Dst, m.Payload)
	switch to := r.seats[m.Dst]; {
	case to != nil:
		r.send(to, text)
	case m.Type != typeLeave && !r.keep(m.Dst, letter{from, text}, now):
		r.send(from, relayText(typeExpire, m.Dst, from.id, nil))
	}
	return r.effects
}

// keep puts a letter into the addressee's mailbox.
func (r *registry) keep(dst string, l letter, now timing.Instant) bool {
	box := r.mailboxes[dst]
	if box == nil {
		if len(r.mailboxes) >= r.limits.Mailboxes {
			return false
		}
		box = &mailbox{dst: dst, until: now.Add(r.limits.Wait)}
	}
	if !box.put(l, r.limits) {
		return false
	}
	if r.mailboxes[dst] == nil {
		r.mailboxes[dst] = box
		r.order = append(r.order, box)
	}
	return true
}

// leave takes the id from a connection. It does nothing for one whose id has been taken over.
func (r *registry) leave(conn connID) {
	if s := r.byConn[conn]; s != nil {
		delete(r.byConn, conn)
		delete(r.seats, s.id)
	}
}

// lost takes the id from a connection that cannot be sent to, and tells the one whose message found that out.
func (r *registry) lost(conn, teller connID) []effect {
	r.effects = r.effects[:0]
	s, to := r.byConn[conn], r.byConn[teller]
	r.leave(conn)
	if s != nil && to != nil && s != to {
		r.send(to, relayText(typeLeave, s.id, to.id, nil))
	}
	return r.effects
}

// next is when expire has something to do; false while nothing waits.
func (r *registry) next() (timing.Instant, bool) {
	for len(r.order) > 0 && r.order[0].letters == nil {
		r.order = r.order[1:]
	}
	if len(r.order) == 0 {
		r.order = nil
		return 0, false
	}
	return r.order[0].until, true
}

// expire gives up what has waited too long and tells each of its senders once.
func (r *registry) expire(now timing.Instant) []effect {
	r.effects = r.effects[:0]
	for until, any := r.next(); any && until <= now; until, any = r.next() {
		box := r.order[0]
		delete(r.mailboxes, box.dst)
		var told []*seat
		for _, l := range box.take() {
			if r.seats[l.from.id] == l.from && !slices.Contains(told, l.from) {
				told = append(told, l.from)
				r.send(l.from, relayText(typeExpire, box.dst, l.from.id, nil))
			}
		}
	}
	return r.effects
}

// ids lists who is there, in no order.
func (r *registry) ids() []string {
	ids := make([]string, 0, len(r.seats))
	for id := range r.seats {
		ids = append(ids, id)
	}
	return ids
}
