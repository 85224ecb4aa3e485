package signaling

import (
	"net/netip"

	"tourbillon/timing"
)

// pairKey names a pair of peers: the one that joined first is the impolite one.
type pairKey struct{ impolite, polite string }

// pair is the path between two peers of a room. The room's owner, the hub, owns it.
type pair struct {
	path Path
	// reports are the sides that have reported, who are told of changes.
	impoliteReports, politeReports bool
	// origin is the network whose peer reported first: pairs are counted by it.
	origin netip.Prefix
	// impoliteWords and politeWords are what the sides' reports have used up.
	impoliteWords, politeWords bucket
	// wakeAt is when the path is to be woken, wake the timer of it.
	wakeAt timing.Instant
	wake   *wake
}

func keyOf(a, b *member) pairKey {
	if a.slot > b.slot {
		a, b = b, a
	}
	return pairKey{impolite: a.id, polite: b.id}
}

// side is a peer's role in the pair.
func (k pairKey) side(peer string) PathSide {
	if peer == k.impolite {
		return ImpoliteSide
	}
	return PoliteSide
}

// report takes a peer's word about its path to another. The first one about a path begins it, where it may.
func (r *room) report(e reportEvent, now timing.Instant) ([]effect, *Error) {
	from := r.bySeat(e.seat)
	if from == nil {
		return nil, errNotJoined()
	}
	to := r.byPeer(e.to)
	if to == nil || to == from {
		return nil, errUnknownPeer(e.to)
	}
	key := keyOf(from, to)
	p := r.pairs[key]
	var effects []effect
	if p == nil {
		if e.begin == nil {
			return nil, nil
		}
		p = &pair{path: e.begin, origin: e.origin, wakeAt: timing.Never}
		r.setPair(key, p)
		effects = r.beginAway(key, p, from, to, now)
	}
	e.word.By = key.side(from.id)
	if !r.limits.Off && !p.hear(e.word.By, now) {
		return effects, errReportsTooFast()
	}
	return append(effects, r.follow(key, p, e.word, now)...), nil
}

// A connection changes its state a few times a minute at worst.
const (
	reportsPerSecond = 1
	reportsBurst     = 30
)

// hear counts a side's report; false when it reports too fast.
func (p *pair) hear(side PathSide, now timing.Instant) bool {
	if side == ImpoliteSide {
		p.impoliteReports = true
		return p.impoliteWords.take(now, reportsPerSecond, reportsBurst)
	}
	p.politeReports = true
	return p.politeWords.take(now, reportsPerSecond, reportsBurst)
}

func (r *room) setPair(key pairKey, p *pair) {
	if r.pairs == nil {
		r.pairs = map[pairKey]*pair{}
	}
	r.pairs[key] = p
}

// beginAway tells a fresh path which of its peers are away.
func (r *room) beginAway(key pairKey, p *pair, from, to *member, now timing.Instant) (effects []effect) {
	for _, m := range []*member{from, to} {
		if m.away {
			effects = append(effects, r.follow(key, p, PathEvent{Kind: PathAway, By: key.side(m.id)}, now)...)
		}
	}
	return effects
}

// follow gives a path an event and turns its order into effects.
func (r *room) follow(key pairKey, p *pair, e PathEvent, now timing.Instant) (effects []effect) {
	order := p.path.Apply(e, now)
	if order.Wake != p.wakeAt {
		p.wakeAt = order.Wake
		effects = append(effects, wakeEffect{pair: key, at: order.Wake})
	}
	impolite, polite := r.byPeer(key.impolite), r.byPeer(key.polite)
	if impolite == nil || polite == nil {
		return effects // One is just leaving.
	}
	if order.Changed {
		news := pathMessage{Type: typePath, State: order.State, Route: order.Route, Attempt: order.Attempt, Reason: order.Failed}
		if order.Wake != timing.Never {
			news.NextMS = order.Wake.Sub(now).Milliseconds()
		}
		effects = append(effects, p.tell(news, impolite, polite)...)
	}
	if order.Ask == "" {
		return effects
	}
	to, about := impolite, polite
	if order.Ask == PoliteSide {
		to, about = polite, impolite
	}
	return append(effects, askEffect{to: to.seat, about: about.id, route: order.Route, reason: string(e.Kind)})
}

// tell sends the news of a path to those of its peers that report.
func (p *pair) tell(news pathMessage, impolite, polite *member) (effects []effect) {
	if p.impoliteReports {
		news.Peer = polite.id
		effects = append(effects, sendEffect{to: []seatID{impolite.seat}, message: news})
	}
	if p.politeReports {
		news.Peer = impolite.id
		effects = append(effects, sendEffect{to: []seatID{polite.seat}, message: news})
	}
	return effects
}

// followAll gives all paths of a peer an event of its side.
func (r *room) followAll(m *member, kind PathKind, now timing.Instant) (effects []effect) {
	if len(r.pairs) == 0 {
		return nil
	}
	for _, other := range r.others(m) {
		key := keyOf(m, other)
		if p := r.pairs[key]; p != nil {
			effects = append(effects, r.follow(key, p, PathEvent{Kind: kind, By: key.side(m.id)}, now)...)
		}
	}
	return effects
}

// passed tells the path that an offer of one peer went to the other.
func (r *room) passed(from, to *member, now timing.Instant) []effect {
	key := keyOf(from, to)
	p := r.pairs[key]
	if p == nil {
		return nil
	}
	return r.follow(key, p, PathEvent{Kind: PathOffered, By: key.side(from.id)}, now)
}

// woken tells a path that its time has come.
func (r *room) woken(e wokenEvent, now timing.Instant) []effect {
	p := r.pairs[e.pair]
	if p == nil {
		return nil
	}
	p.wakeAt = timing.Never // The timer is spent: the same instant again would be another one.
	return r.follow(e.pair, p, PathEvent{Kind: PathWoken}, now)
}

// forgetPairs ends the paths of a peer that goes.
func (r *room) forgetPairs(m *member) (effects []effect) {
	for _, other := range r.members {
		if key := keyOf(m, other); other != m && r.pairs[key] != nil {
			effects = append(effects, endPairEffect{r.pairs[key]})
			delete(r.pairs, key)
		}
	}
	return effects
}
