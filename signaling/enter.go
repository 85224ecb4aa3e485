package signaling

import "time"

// hello opens a session and negotiates the heartbeat.
func (c *conn) hello(m inbound) *Error {
	if c.greeted || c.mine != nil {
		return errBadMessage("hello said already, or after the join", `say "hello" once, before "join" or "resume"`)
	}
	c.greeted = true
	class := m.Class
	setDefault(&class, ClassBrowser)
	c.mu.Lock()
	c.class, c.interval = class, c.srv.paces.grant(class, m.HeartbeatMS)
	c.mu.Unlock()
	l := c.srv.config.Limits
	c.send(welcomeMessage{
		Type: typeWelcome, Server: c.srv.config.ServerID, paceMessage: c.paceMessage(),
		Limits: limitsMessage{
			MessageBytes: l.MessageBytes, SDPBytes: l.SDPBytes, DataBytes: l.DataBytes,
			PerSecond: l.MessagesPerSecond, Burst: l.MessageBurst,
		},
	})
	return nil
}

// paceMessage tells the interval of the pings, and how long the client's seat outlives its socket.
func (c *conn) paceMessage() paceMessage {
	m := paceMessage{HeartbeatMS: c.currentPace().Milliseconds()}
	if c.greeted {
		m.SeatMS = c.srv.config.Limits.SeatHold.Milliseconds()
	}
	return m
}

func (c *conn) join(m inbound) *Error {
	held, known, cost := c.srv.recognise(m)
	switch {
	case c.mine != nil:
		return errAlreadyJoined()
	case !validRoom(m.Room):
		return errBadRoom(m.Room)
	case !c.srv.gate.join(c.addr.Addr(), c.srv.clock.Now(), cost):
		return errJoinsTooFast(c.srv.config.Limits.JoinsPerSecond)
	}
	claim, refusal := c.srv.authorise(m, held, known)
	if refusal != nil {
		return refusal
	}
	refusal = c.sit(claim, m)
	if refusal != nil && refusal.Code == CodeSessionUsed && claim.renewable {
		claim.peer, claim.generation = newPeerID(), 0
		refusal = c.sit(claim, m)
	}
	if refusal != nil {
		c.srv.refund(claim)
	}
	return refusal
}

// sit takes a seat with a claim that was found good.
func (c *conn) sit(claim claim, m inbound) *Error {
	servers, ttl := c.iceServers(claim.peer)
	s := &seat{
		peer: claim.peer, token: claim.token, can: claim.can, lasting: c.greeted,
		generation: claim.generation + 1, unproved: true,
	}
	claim.session.generation = s.generation
	e := joinEvent{
		peer: s.peer, name: cleanName(m.Name), metadata: m.Metadata, at: c.srv.config.Now(),
		welcome: joinedMessage{seatMessage: c.seatMessage(claim.session, servers, ttl)},
	}
	if refusal := c.srv.hub.join(c, claim.room, s, e); refusal != nil {
		return refusal
	}
	c.srv.counts.joined.Add(1)
	c.seated(s, claim.session, ttl)
	c.srv.config.Log.Info("peer joined", "room", c.room, "peer", c.peer, "address", c.addr)
	return nil
}

// seated notes the seat that the connection has got, and starts what belongs to it.
func (c *conn) seated(s *seat, held session, ttl time.Duration) {
	c.mine, c.room, c.peer, c.can, c.generation = s, held.room, held.peer, held.can, held.generation
	c.settle()
	c.joined(ttl)
}

// seatMessage completes a session, for "joined" and "resumed".
func (c *conn) seatMessage(held session, servers []ICEServer, ttl time.Duration) seatMessage {
	config := c.srv.config
	held.expires = config.Now().Add(config.SessionTTL)
	return seatMessage{
		Room: held.room, Peer: held.peer, Session: held.sign(config.SessionKey), Server: config.ServerID, Can: held.can,
		Paths: config.Orchestrator != nil, iceMessage: newICEMessage(servers, ttl), paceMessage: c.paceMessage(),
	}
}

// resume takes a session up again on this connection.
func (c *conn) resume(m inbound) *Error {
	held, known, cost := c.srv.recognise(m)
	switch {
	case c.mine != nil:
		return errAlreadyJoined()
	case !c.greeted:
		return errBadMessage("no hello before the resume", `say "hello" first`)
	case !c.srv.gate.join(c.addr.Addr(), c.srv.clock.Now(), cost):
		return errJoinsTooFast(c.srv.config.Limits.JoinsPerSecond)
	case !known:
		c.srv.counts.resumesRefused.Add(1)
		return errBadSession()
	}
	return c.takeUp(held, m.Last)
}

func (c *conn) takeUp(held session, last uint64) *Error {
	servers, ttl := c.iceServers(held.peer)
	s, refusal := c.srv.hub.resume(c, held, last, func(s *seat, answer *resumedMessage) {
		held.can, held.token = s.can, s.token
		held.generation = s.renew(held.generation)
		answer.seatMessage = c.seatMessage(held, servers, ttl)
	})
	if refusal != nil {
		c.srv.counts.resumesRefused.Add(1)
		return refusal
	}
	c.srv.counts.resumed.Add(1)
	c.seated(s, held, ttl)
	c.srv.config.Log.Info("peer resumed", "room", c.room, "peer", c.peer, "address", c.addr)
	return nil
}
