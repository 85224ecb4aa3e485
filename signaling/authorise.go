package signaling

// claim is what a join was found to be entitled to: a seat with the session's peer, room and rights.
type claim struct {
	session
	// renewable is true when the client may have a seat under another peer id, too.
	renewable bool
	// once is the token that the join uses up; empty for none.
	once string
}

// authorise judges whether a client may join a room, by its token or by a session of an earlier join.
func (s *Server) authorise(m inbound) (claim, *Error) {
	now := s.config.Now()
	held, known := parseSession(s.config.SessionKey, m.Session, now)
	known = known && held.room == m.Room
	if !known {
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
