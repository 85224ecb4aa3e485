package signaling

import (
	"cmp"
	"net/netip"
	"slices"

	"tourbillon/timing"
)

// followed counts the pairs whose paths are followed, in total and by the network that began them.
type followed struct {
	total  int
	byFrom map[netip.Prefix]int
}

// mayBegin reports whether another pair may be followed for a network.
func (f *followed) mayBegin(from netip.Prefix, l Limits) bool {
	return l.Off || f.total < l.Paths && f.byFrom[from] < l.PathsPerAddress
}

func (f *followed) begin(from netip.Prefix) {
	if f.byFrom == nil {
		f.byFrom = map[netip.Prefix]int{}
	}
	f.total++
	f.byFrom[from]++
}

func (f *followed) end(from netip.Prefix) {
	f.total--
	if f.byFrom[from]--; f.byFrom[from] <= 0 {
		delete(f.byFrom, from)
	}
}

// reportPath takes a client's word about its path to a peer. n is the client's own number of the message.
func (h *hub) reportPath(c *conn, n uint64, e reportEvent) *Error {
	h.mu.Lock()
	defer h.unlock()
	switch {
	case c.seat == nil:
		return errNotJoined()
	case !c.seat.accept(n) || h.orchestrator == nil:
		return nil
	}
	r := c.seat.room
	e.seat, e.origin = c.seat.id, networkOf(c.addr.Addr())
	before := len(r.pairs)
	if h.followed.mayBegin(e.origin, h.limits) {
		e.begin = h.orchestrator.Follow(h.clock.Now())
	}
	refusal := h.applyLocked(r, e)
	if len(r.pairs) > before {
		h.followed.begin(e.origin)
	}
	return refusal
}

// wake is the timer of a path's next step.
type wake struct{ timer timing.Timer }

// wakeLocked arms the timer of a path's next step in place of the one before.
func (h *hub) wakeLocked(r *room, e wakeEffect) {
	p := r.pairs[e.pair]
	if p == nil {
		return
	}
	h.stopWakeLocked(p)
	if e.at == timing.Never || h.stopping {
		return
	}
	w := &wake{}
	p.wake = w
	h.tasks.Add(1)
	w.timer = h.clock.At(e.at, func() {
		defer h.tasks.Done()
		h.mu.Lock()
		defer h.unlock()
		if p.wake == w {
			p.wake = nil
			_ = h.applyLocked(r, wokenEvent{e.pair}) // Never refused.
		}
	})
}

func (h *hub) stopWakeLocked(p *pair) {
	if p.wake != nil && p.wake.timer.Stop() {
		h.tasks.Done()
	}
	p.wake = nil
}

func (h *hub) endPairLocked(p *pair) {
	h.stopWakeLocked(p)
	h.followed.end(p.origin)
}

// askLocked asks a peer for a restart, with fresh credentials, which are made without the lock.
func (h *hub) askLocked(e askEffect) {
	s := h.seats[e.to]
	if s == nil || h.stopping {
		return
	}
	peer, host := s.peer, s.host
	h.counts.restartsAsked.Add(1)
	h.tasks.Go(func() {
		m := relayMessage{Type: typeRestart, From: e.about, Reason: e.reason, Route: e.route}
		if h.credentials != nil {
			servers, ttl := h.credentials.ICEServers(peer, host)
			m.ICEServers, m.ICETTLMS = servers, ttl.Milliseconds()
		}
		h.sendTo(e.to, m)
	})
}

// sendTo sends one seat a message, if it is still there.
func (h *hub) sendTo(id seatID, m any) {
	h.mu.Lock()
	defer h.unlock()
	if h.stopping || h.seats[id] == nil {
		return
	}
	for _, slow := range h.sendLocked(sendEffect{to: []seatID{id}, message: m}) {
		h.lostLocked(slow, ReasonSlow)
	}
}

// paths lists the paths of one room or of all. The lock is held for one room at a time.
func (h *hub) paths(name string) (all []PathInfo) {
	for _, name := range h.roomNames(name) {
		all = append(all, h.pathsOf(name)...)
	}
	return all
}

func (h *hub) roomNames(only string) (names []string) {
	if only != "" {
		return []string{only}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, r := range h.rooms {
		if len(r.pairs) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (h *hub) pathsOf(name string) (infos []PathInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, now := h.rooms[name], h.clock.Now()
	if r == nil {
		return nil
	}
	place := make(map[string]int, len(r.members))
	for i, m := range r.members {
		place[m.id] = i
	}
	for key, p := range r.pairs {
		infos = append(infos, PathInfo{Room: name, Impolite: key.impolite, Polite: key.polite, PathStatus: p.path.Status(now)})
	}
	slices.SortFunc(infos, func(a, b PathInfo) int {
		return cmp.Or(cmp.Compare(place[a.Impolite], place[b.Impolite]), cmp.Compare(place[a.Polite], place[b.Polite]))
	})
	return infos
}
