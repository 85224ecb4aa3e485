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

// floodFactor, times rate and burst, is how many messages may be dropped before their sender is.
const floodFactor = 10

// quickPong takes a pong in its plainest form, as our clients write it; false for any other message.
func (c *conn) quickPong(text []byte) bool {
	seq, last, ok := parsePong(text)
	return ok && c.takePong(seq, last)
}

// receive takes one message of the client. Calls come one after another.
func (c *conn) receive(text []byte, isText bool) { c.take(text, isText, true) }

// lightBytes is the longest message that is taken while other connections wait.
const lightBytes = 8 << 10

// take takes one message of the client, or reports false where it may not block and might.
func (c *conn) take(text []byte, isText, mayBlock bool) bool {
	if !mayBlock && len(text) > lightBytes {
		return false
	}
	defer c.recover()
	if c.isEnding() {
		return true
	}
	m, refusal := c.decode(text, isText)
	if !mayBlock && !m.light() {
		return false
	}
	if refusal == nil && m.Type == typePong && c.takePong(m.Seq, m.Last) {
		return true // Not counted: the server asks for them, as often as it likes.
	}
	if !c.throttled() && refusal == nil {
		refusal = c.handle(m)
	} else if c.dropped > 0 {
		refusal = c.droppedRefusal(refusal)
	}
	if refusal != nil {
		c.refuse(m, refusal)
	}
	return true
}

// light tells the messages that never block: they go by the hub's lock alone.
func (m *inbound) light() bool {
	switch m.Type {
	case typeOffer, typeAnswer, typeCandidate, typeRestart, typeMessage:
		return m.To != LocalPeerID // Whose owner may do as it likes.
	case typePong:
		return true
	}
	return false
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
	case !c.flood.take(c.srv.clock.Now(), floodFactor*l.MessagesPerSecond, floodFactor*l.MessageBurst):
		tooFast.Fatal = true
		return tooFast
	case c.dropped == 1:
		return tooFast
	}
	return nil
}

func (c *conn) handle(m inbound) *Error {
	switch m.Type {
	case typeHello:
		return c.hello(m)
	case typeJoin:
		return c.join(m)
	case typeResume:
		return c.resume(m)
	case typeOffer, typeAnswer, typeCandidate, typeRestart, typeMessage:
		return c.relay(m)
	case typeUpdate:
		return c.update(m)
	case typeStats:
		return c.report(m)
	case typeICEServers:
		return c.askICEServers(m)
	case typeHeartbeat:
		c.pace(c.srv.paces.grant(c.currentClass(), m.HeartbeatMS))
		return nil
	case typePong:
		return nil // Made up or given twice: counted, and of no effect.
	case typeLeave:
		return c.leave()
	}
	return errUnknownType(m.Type)
}

// refuse answers a message with an error, and ends the connection if it is fatal. The message counts as seen.
func (c *conn) refuse(m inbound, refusal *Error) {
	refusal.Re = m.ID
	c.srv.counts.refused(refusal.Code)
	if refusal.Fatal {
		c.srv.drop(c, ReasonClosed, refusalFarewell(refusal))
		return
	}
	c.srv.hub.pass(c, m.N)
	c.send(errorMessage{Type: typeError, Error: refusal})
}

// takePong notes an answer to a ping; false for one that no ping waits for.
func (c *conn) takePong(seq, last uint64) bool {
	if !c.pong(seq) {
		return false
	}
	if c.mine.lasting {
		c.mine.ponged(c.generation, last)
	}
	return true
}

func (c *conn) relay(m inbound) *Error {
	if refusal := c.needs(capabilityFor(m.Type)); refusal != nil {
		return refusal
	}
	if m.To == LocalPeerID {
		return c.local(m)
	}
	refusal := c.srv.hub.apply(c, m.N, relayEvent{
		seat: c.mine.id, to: m.To, kind: m.Type, sdp: m.SDP, candidate: m.Candidate, reason: cleanName(m.Reason), data: m.Data,
	})
	if refusal == nil {
		c.srv.counts.relayed.Add(1)
	}
	return refusal
}

func capabilityFor(kind string) Capabilities {
	switch kind {
	case typeMessage:
		return CanPublish
	case typeRestart:
		return CanRestart
	}
	return CanJoin
}

// needs refuses a client that has not joined, or may not do this.
func (c *conn) needs(wanted Capabilities) *Error {
	switch {
	case c.mine == nil:
		return errNotJoined()
	case !c.can.has(wanted):
		return errNotAllowed(wanted)
	}
	return nil
}

func (c *conn) update(m inbound) *Error {
	if refusal := c.needs(CanPublish); refusal != nil {
		return refusal
	}
	return c.srv.hub.apply(c, m.N, updateEvent{seat: c.mine.id, name: cleanName(m.Name), metadata: m.Metadata})
}

func (c *conn) report(m inbound) *Error {
	if refusal := c.needs(CanJoin); refusal != nil {
		return refusal
	}
	if m.State != "" && m.To != LocalPeerID {
		if len(m.Stats) > 0 {
			c.srv.hub.report(c, m.Stats)
		}
		return c.srv.hub.reportPath(c, m.N, reportEvent{
			to: m.To, word: PathEvent{Kind: PathKind(m.State), Via: m.Via, Transport: m.Transport},
		})
	}
	if c.srv.hub.pass(c, m.N) && len(m.Stats) > 0 {
		c.srv.hub.report(c, m.Stats)
	}
	return nil
}

func (c *conn) askICEServers(m inbound) *Error {
	if refusal := c.needs(CanJoin); refusal != nil {
		return refusal
	}
	c.srv.hub.pass(c, m.N)
	c.sendICEServers()
	return nil
}

func (c *conn) leave() *Error {
	if c.mine == nil {
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

// replacedFarewell gives up what waits: the connection that took the seat over gets it.
func replacedFarewell() farewell {
	return farewell{code: closeReplaced, reason: string(ReasonReplaced), abandon: true}
}

// iceServers asks for the peer's ICE servers.
func (c *conn) iceServers(peer string) ([]ICEServer, time.Duration) {
	return c.srv.iceServers(peer, c.host)
}
