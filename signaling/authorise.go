package signaling

// claim is what a join was found to be entitled to: a seat with the session's peer, room and rights.
type claim struct {
	session
	// renewable is true when the client may have a seat under another peer id, too.
	renewable bool
	// once is the token that the join uses up; empty for none.
	once string
}

// recognise reads the session of a message. Its cost counts against the joins of the client's network: a session of an
// earlier join is no guess.
func (s *Server) recognise(m inbound) (held session, known bool, cost float64) {
	held, known = parseSession(s.config.SessionKey, m.Session, s.config.Now())
	if !known {
		return session{}, false, 1
	}
	return held, true, returnCost
}

// authorise judges whether a client may join a room, by its token or by a known session of an earlier join.
func (s *Server) authorise(m inbound, held session, known bool) (claim, *Error) {
	if known = known && held.room == m.Room; !known {
		held = session{room: m.Room, peer: newPeerID()}
	}
	pass, refusal := s.judge(m)
	switch {
	case refusal == nil:
		held.token, held.can = pass.token, pass.can
		return claim{session: held, renewable: true, once: pass.once}, nil
	case known:
		return claim{session: held}, nil
	}
	return claim{}, refusal
}

func (s *Server) judge(m inbound) (pass, *Error) {
	switch {
	case s.config.OpenRooms:
		return pass{can: CanAll}, nil
	case m.Token == "":
		return pass{}, errTokenRequired()
	case s.config.Tokens == nil:
		return pass{}, errBadToken("this server accepts no tokens")
	}
	now := s.config.Now()
	p, refusal := s.config.Tokens.judge(m.Token, m.Room, now)
	if refusal == nil && p.once != "" && !s.config.Tokens.once.spend(p.once, p.expires, now) {
		return pass{}, errBadToken("the token was used before, and serves once")
	}
	return p, refusal
}

// refund gives back what authorise took for a join that was refused after all.
func (s *Server) refund(c claim) {
	if c.once != "" {
		s.config.Tokens.once.restore(c.once)
	}
}
