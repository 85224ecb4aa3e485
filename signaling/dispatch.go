package signaling

import "time"

// Close codes (RFC 6455 section 7.4, the IANA registry, and 4001 from the range for applications).
const (
	closeNormal   = 1000
	closePolicy   = 1008
	closeTooLarge = 1009
	closeInternal = 1011
	closeRestart  = 1012
	closeTryAgain = 1013
	closeReplaced = 4001
)

// floodFactor, times the burst, is how many messages in a row may be dropped before their sender is.
const floodFactor = 10

// receive takes one message of the client. Only the goroutine that reads calls it.
func (c *conn) receive(text []byte, isText bool) {
	defer c.recover()
	if c.isEnding() {
		return
	}
	m, refusal := c.decode(text, isText)
	if refusal == nil && m.Type == typePong {
		c.pong(m.Seq) // Never counted: the server asks for them, as often as it likes.
		return
	}
	if !c.throttled() && refusal == nil {
		refusal = c.handle(m)
	} else if c.dropped > 0 {
		refusal = c.droppedRefusal(refusal)
	}
	if refusal != nil {
		c.refuse(refusal)
	}
}

func (c *conn) decode(text []byte, isText bool) (inbound, *Error) {
	if !isText {
		return inbound{}, errBadMessage("binary frame", "send JSON in text frames")
	}
	return decode(text, c.srv.config.Limits)
}

// throttled counts a message against the sender's rate; true when it is to be dropped.
func (c *conn) throttled() bool {
	l := c.srv.config.Limits
	if l.Off || c.sent.take(c.srv.clock.Now(), l.MessagesPerSecond, l.MessageBurst) {
		c.dropped = 0
		return false
	}
	c.dropped++
	return true
}

// droppedRefusal answers the first of the messages that are dropped in a row, since an answer to each would only help
// a flood, and ends a client that goes on regardless. A fatal refusal stands.
func (c *conn) droppedRefusal(refusal *Error) *Error {
	l := c.srv.config.Limits
	tooFast := errTooFast(l.MessagesPerSecond, l.MessageBurst)
	switch {
	case refusal != nil && refusal.Fatal:
		return refusal
	case c.dropped == 1:
		return tooFast
	case c.dropped > floodFactor*int(l.MessageBurst):
		tooFast.Fatal = true
		return tooFast
	}
	return nil
}

func (c *conn) handle(m inbound) *Error {
	switch m.Type {
	case typeJoin:
		return c.join(m)
	case typeOffer, typeAnswer, typeCandidate:
		return c.direct(m)
	case typeICEServers:
		return c.askICEServers()
	case typeLeave:
		return c.leave()
	}
	return errUnknownType(m.Type)
}

// refuse sends an error, and ends the connection if it is fatal.
func (c *conn) refuse(refusal *Error) {
	c.srv.counts.refused(refusal.Code)
	if refusal.Fatal {
		c.srv.drop(c, ReasonClosed, refusalFarewell(refusal))
		return
	}
	c.send(errorMessage{Type: typeError, Error: refusal})
}

func (c *conn) join(m inbound) *Error {
	switch {
	case c.peer != "":
		return errAlreadyJoined()
	case !c.srv.gate.join(c.addr.Addr(), c.srv.clock.Now()):
		return errJoinsTooFast(c.srv.config.Limits.JoinsPerSecond)
	case !validRoom(m.Room):
		return errBadRoom(m.Room)
	}
	if refusal := c.srv.authorise(m); refusal != nil {
		return refusal
	}
	e, ttl := c.joinEvent(m)
	if refusal := c.srv.hub.join(c, m.Room, e); refusal != nil {
		return refusal
	}
	c.room, c.peer = m.Room, e.peer
	c.settle()
	c.joined(ttl)
	c.srv.counts.joined.Add(1)
	c.srv.config.Log.Info("peer joined", "room", c.room, "peer", c.peer, "address", c.addr)
	return nil
}

// joinEvent prepares a join: the peer's id, which a session reclaims, and the ICE servers, which last ttl.
func (c *conn) joinEvent(m inbound) (e joinEvent, ttl time.Duration) {
	key := c.srv.config.SessionKey
	peer, ok := sessionPeer(key, m.Room, m.Session)
	if !ok {
		peer = newPeerID()
	}
	servers, ttl := c.srv.iceServers(peer, c.host)
	welcome := joinedMessage{seatMessage: seatMessage{
		Session:     newSession(key, m.Room, peer),
		Server:      c.srv.config.ServerID,
		Can:         CanAll,
		iceMessage:  newICEMessage(servers, ttl),
		paceMessage: paceMessage{HeartbeatMS: c.srv.config.Heartbeat.Milliseconds()},
	}}
	return joinEvent{conn: c.id, peer: peer, name: cleanName(m.Name), welcome: welcome}, ttl
}

func (c *conn) direct(m inbound) *Error {
	refusal := c.srv.hub.direct(directEvent{conn: c.id, to: m.To, kind: m.Type, sdp: m.SDP, candidate: m.Candidate})
	if refusal == nil {
		c.srv.counts.relayed.Add(1)
	}
	return refusal
}

func (c *conn) askICEServers() *Error {
	if c.peer == "" {
		return errNotJoined()
	}
	c.sendICEServers()
	return nil
}

func (c *conn) leave() *Error {
	if c.peer == "" {
		return errNotJoined()
	}
	c.srv.drop(c, ReasonLeft, farewell{code: closeNormal})
	return nil
}

// settle ends the connection's count among the unjoined ones.
func (c *conn) settle() {
	if c.unjoined {
		c.unjoined = false
		c.srv.gate.settle(c.addr.Addr())
	}
}

// refusalFarewell tells a fatal error and closes; the close frame repeats the code for clients that missed the error.
func refusalFarewell(refusal *Error) farewell {
	code := uint16(closePolicy)
	if refusal.Code == CodeTooLarge {
		code = closeTooLarge
	}
	return farewell{code: code, reason: string(refusal.Code), last: errorMessage{Type: typeError, Error: refusal}}
}

// slowFarewell gives up what waits: a client that does not read would not get to the error behind it.
func slowFarewell() farewell {
	f := refusalFarewell(errSlowConsumer())
	f.code, f.abandon = closeTryAgain, true
	return f
}
