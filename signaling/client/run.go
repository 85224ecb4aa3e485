package client

import (
	"errors"
	"time"
)

// The wait before reconnect attempt n: a share of what doubles from firstWait up to longestWait, of which certainShare
// is certain and the rest drawn, so that a room does not come back in one instant. The browser client uses the same
// figures.
const (
	firstWait    = 250 * time.Millisecond
	longestWait  = 3 * time.Second
	certainShare = 0.4
)

// backoff is the wait before an attempt (from 0), for a random number in [0, 1).
func backoff(attempt int, random float64) time.Duration {
	ceiling := min(longestWait, firstWait<<min(attempt, 16))
	return time.Duration(float64(ceiling) * (certainShare + (1-certainShare)*random))
}

// run opens one link after the other until the room ends. It is the room's goroutine.
func (r *Room) run() {
	defer close(r.done)
	defer close(r.events)
	defer r.cancel()
	for attempt := 0; r.Err() == nil; attempt++ {
		l := newLink(r)
		err := l.live()
		if l.beaten {
			attempt = 0 // A server that joins us and dies before its first beat must not be asked again without a pause.
		}
		if r.lost(l, err) {
			r.pause(r.waitFor(attempt))
		}
	}
}

// lost notes the end of a link; false when it is the end of the room.
func (r *Room) lost(l *link, err error) bool {
	r.mu.Lock()
	r.link = nil
	r.lastErr = err
	leaving := r.leaving
	r.mu.Unlock()
	var refusal *Refusal
	errors.As(err, &refusal)
	switch {
	case leaving:
		r.end(ErrLeft)
	case errors.Is(err, ErrReplaced):
		r.end(ErrReplaced)
	case !l.entered && refusal != nil && refusal.final():
		r.end(refusal)
	case l.entered:
		if refusal != nil {
			r.condemn(refusal)
		}
		r.emit(Lost{err})
	}
	return r.Err() == nil
}

// condemn tells of the refusal that ended a connection. What would be refused again is not sent again.
func (r *Room) condemn(refusal *Refusal) {
	if refusal.final() {
		r.mu.Lock()
		r.outbox.condemned = true
		r.mu.Unlock()
	}
	r.emit(Refused{refusal})
}

// waitFor is the wait before the next attempt: the server's advice, once, or a back-off.
func (r *Room) waitFor(attempt int) time.Duration {
	r.mu.Lock()
	advice := r.state.retryAfter
	r.state.retryAfter = 0
	r.mu.Unlock()
	if advice > 0 {
		return advice
	}
	return backoff(attempt, r.options.Random())
}

func (r *Room) pause(d time.Duration) {
	over := make(chan struct{})
	timer := r.options.Clock.AfterFunc(d, func() { close(over) })
	defer timer.Stop()
	select {
	case <-over:
	case <-r.ctx.Done():
	}
}

// emit hands an event out. Only the room's goroutine calls it.
func (r *Room) emit(e Event) {
	select {
	case r.events <- e:
	default:
		r.end(ErrNotReceived)
	}
}

// receive takes one message of the server. Only the room's goroutine calls it.
func (r *Room) receive(l *link, m *inbound) {
	switch m.Type {
	case "ping":
		r.ping(l, m)
	case "welcome":
		r.welcomed(m)
	case "joined":
		r.joined(l, m)
	case "resumed":
		r.resumed(l, m)
	case "heartbeat":
		r.pace(l, m.HeartbeatMS)
	case "ice-servers":
		r.emit(r.iceServers(m))
	case "bye":
		r.stopping(m)
	case "error":
		r.refused(l, m)
	default:
		r.told(m)
	}
}

func (r *Room) ping(l *link, m *inbound) {
	r.mu.Lock()
	r.state.beats++
	r.outbox.acknowledge(m.Got)
	r.state.rtt = time.Duration(m.RTTUS) * time.Microsecond
	last := r.state.last
	r.mu.Unlock()
	l.beaten = true
	l.pong(m.Seq, last)
}

// welcomed notes the server's limits, which come before anything can be sent.
func (r *Room) welcomed(m *inbound) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.limits = m.Limits
}

// enter is the first message of a link after hello: the session is resumed where there is one.
func (r *Room) enter() outbound {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state.session != "" {
		return outbound{Type: "resume", Session: r.state.session, Last: r.state.last}
	}
	return r.joinLocked()
}

func (r *Room) joinLocked() outbound {
	o := r.options
	return outbound{Type: "join", Room: o.Room, Name: o.Name, Metadata: o.Metadata, Token: o.Token, Session: r.state.session}
}

func (r *Room) joined(l *link, m *inbound) {
	peers := make(map[string]Peer, len(m.Peers))
	for _, p := range m.Peers {
		peers[p.ID] = p
	}
	r.mu.Lock()
	restarted := r.state.server != "" && r.state.server != m.Server
	if r.state.id != "" {
		r.outbox.restarted()
	}
	r.state.id, r.state.last, r.state.peers, r.state.can = m.peerID(), 0, peers, m.Can
	r.mu.Unlock()
	e := Joined{ID: m.peerID(), Server: m.Server, Restarted: restarted, Can: m.Can, Peers: m.Peers}
	r.seated(l, m, e)
	select {
	case <-r.entered:
	default:
		close(r.entered)
	}
}

func (r *Room) resumed(l *link, m *inbound) {
	r.mu.Lock()
	r.outbox.resumed(m.Got)
	r.mu.Unlock()
	r.seated(l, m, Resumed{m.Replayed})
}

// seated notes what "joined" and "resumed" have in common, and writes what waited for it.
func (r *Room) seated(l *link, m *inbound, e Event) {
	r.mu.Lock()
	r.state.session, r.state.server, r.state.retryAfter, r.state.paths = m.Session, m.Server, 0, m.Paths
	l.entered = true
	r.mu.Unlock()
	r.pace(l, m.HeartbeatMS)
	r.emit(e)
	r.emit(r.iceServers(m))
	r.flush()
}

func (r *Room) pace(l *link, ms int64) {
	interval := time.Duration(ms) * time.Millisecond
	r.mu.Lock()
	r.state.interval = interval
	r.mu.Unlock()
	l.expect(interval)
}

func (r *Room) iceServers(m *inbound) ICEServers {
	ice := m.servers()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.ice = ice
	return ice
}

func (r *Room) stopping(m *inbound) {
	e := Stopping{time.Duration(m.ClosingInMS) * time.Millisecond, time.Duration(m.RetryAfterMS) * time.Millisecond}
	r.mu.Lock()
	r.state.retryAfter = e.RetryAfter
	r.mu.Unlock()
	r.emit(e)
}

// fresh notes the number of a message of the session; false where that came before. Only the room's goroutine calls it.
func (r *Room) fresh(n uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n <= r.state.last {
		return false
	}
	r.state.last = n
	return true
}

// told takes news of the room, unless they came before.
func (r *Room) told(m *inbound) {
	if !r.fresh(m.N) {
		return
	}
	if e := m.event(); e != nil {
		r.mu.Lock()
		r.state.noteLocked(e)
		r.mu.Unlock()
		r.emit(e)
	}
}

// noteLocked keeps the list of peers and the ICE servers true.
func (s *state) noteLocked(e Event) {
	switch e := e.(type) {
	case PeerJoined:
		s.peers[e.Peer.ID] = e.Peer
	case PeerLeft:
		delete(s.peers, e.ID)
	case PeerAway:
		s.changeLocked(e.ID, func(p *Peer) { p.Away = true })
	case PeerBack:
		s.changeLocked(e.ID, func(p *Peer) { p.Away = false })
	case PeerUpdated:
		s.changeLocked(e.ID, func(p *Peer) { p.Name, p.Metadata = e.Name, e.Metadata })
	case Restart:
		if e.Route != "" {
			s.ice = e.ICEServers
		}
	}
}

func (s *state) changeLocked(id string, change func(*Peer)) {
	if p, known := s.peers[id]; known {
		change(&p)
		s.peers[id] = p
	}
}
