// Package pairs follows the ICE session between two clients by what they report of it, and decides which of them
// restarts, when and over which route.
//
// It is pure: [Pair] turns (state, event, instant) into an [Order]; its owner reports what happened and carries the order
// out. It believes no side more about the other than about itself: what a lying client can do is to have its own session
// restarted, at the distances that package orchestrate keeps, or given up.
package pairs

import (
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing"
)

// Kind says what an event is.
type Kind string

// What a side reports of its own connection.
const (
	Gathering    Kind = "gathering"
	Checking     Kind = "checking"
	Connected    Kind = "connected"
	Disconnected Kind = "disconnected"
	Failed       Kind = "failed"
	// Restarting says that the side has begun an ICE restart, asked or not.
	Restarting Kind = "restarting"
)

// What else happens to a session.
const (
	// Offered: an offer of the side's is on its way to the other.
	Offered Kind = "offered"
	// Away: the side cannot be told anything for now; Back: it can again.
	Away Kind = "away"
	Back Kind = "back"
	// Woken: the instant of the latest order's Wake has come.
	Woken Kind = "woken"
)

// Path is how the packets of a side travel, in its own words: "direct" or "relay", and the transport to the relay.
type Path struct{ Kind, Transport string }

// Event is one thing that happened. By is the side that it came from, empty for Woken.
type Event struct {
	Kind Kind
	By   orchestrate.Side
	Path Path
}

// Order is what is to be done.
type Order struct {
	// Ask has the side restart over the route, where it is not empty.
	Ask   orchestrate.Side
	Route orchestrate.Route
	// Wake is when Woken is to be applied, in place of what was asked for before; Never for not at all.
	Wake timing.Instant
	// Changed is true where both sides may want to know how the session stands.
	Changed bool
	// Failed is why the session was given up, just now.
	Failed string
}

// Side is what is known of one side. Report is its latest word, empty for none, of the instant At.
type Side struct {
	Report Kind
	Path   Path
	At     timing.Instant
	Away   bool
	// lost is true while the side has no connection, or none yet, as it said itself since the latest restart began.
	lost bool
}

// Pair is the session between two clients. Make one with [New]; its owner serialises the calls.
type Pair struct {
	machine           *orchestrate.Machine
	impolite, polite  Side
	wake              timing.Instant
	heard             bool
	state             orchestrate.State
	attempt, restarts int
}

// New returns a session of which nothing was heard yet.
func New(config orchestrate.Config, now timing.Instant) *Pair {
	machine, wake := orchestrate.New(config, now)
	return &Pair{machine: machine, wake: wake.At}
}

// Apply advances the session by an event.
func (p *Pair) Apply(e Event, now timing.Instant) Order {
	var asked orchestrate.Ask
	order := Order{}
	for _, effect := range p.effects(e, now) {
		switch effect := effect.(type) {
		case orchestrate.Wake:
			p.wake = effect.At
		case orchestrate.Ask:
			asked = effect
			p.restarts++
		case orchestrate.Fail:
			order.Failed = effect.Reason
		}
	}
	order.Ask, order.Route, order.Wake = asked.Side, asked.Route, p.wake
	order.Changed = p.state != p.machine.State() || p.attempt != p.machine.Attempt()
	p.state, p.attempt = p.machine.State(), p.machine.Attempt()
	return order
}

func (p *Pair) effects(e Event, now timing.Instant) []orchestrate.Effect {
	m := p.machine
	switch side := p.side(e.By); e.Kind {
	case Woken:
		return m.Apply(orchestrate.Woken, now)
	case Away, Back:
		return p.presence(side, e, now)
	case Offered:
		if m.State() == orchestrate.ConsentLost {
			p.begin()
			return m.ApplyFrom(orchestrate.Offered, e.By, now)
		}
		return nil // Another stream, for example.
	default:
		side.Report, side.Path, side.At = e.Kind, e.Path, now
		p.catchUp(e, now)
		return p.reported(side, e, now)
	}
}

// side is one of the two; the impolite one for an event of neither, which looks at none.
func (p *Pair) side(by orchestrate.Side) *Side {
	if by == orchestrate.Polite {
		return &p.polite
	}
	return &p.impolite
}

// catchUp takes the first word that is heard: what it ends was there before, with another server.
func (p *Pair) catchUp(e Event, now timing.Instant) {
	if !p.heard && (e.Kind == Disconnected || e.Kind == Failed || e.Kind == Restarting) {
		p.machine.ApplyFrom(orchestrate.PairSelected, e.By, now)
	}
	p.heard = true
}

func (p *Pair) presence(side *Side, e Event, now timing.Instant) []orchestrate.Effect {
	side.Away = e.Kind == Away
	if p.impolite.Away || p.polite.Away {
		return p.machine.ApplyFrom(orchestrate.Away, e.By, now)
	}
	return p.machine.ApplyFrom(orchestrate.Back, e.By, now)
}

func (p *Pair) reported(side *Side, e Event, now timing.Instant) []orchestrate.Effect {
	m := p.machine
	switch e.Kind {
	case Gathering, Restarting:
		if e.Kind == Gathering && m.State() == orchestrate.Gathering {
			side.lost = true
			return nil
		}
		p.begin()
		return m.ApplyFrom(orchestrate.SelfRestarted, e.By, now)
	case Checking:
		// It will say when it is through, or is lost again. In a connection this is a word that comes late.
		side.lost = side.lost || m.State() != orchestrate.Connected
		return m.ApplyFrom(orchestrate.Gathered, e.By, now)
	case Connected:
		side.lost = false
		if p.impolite.lost || p.polite.lost {
			return nil // The other side does not get through.
		}
		return m.ApplyFrom(orchestrate.PairSelected, e.By, now)
	case Disconnected:
		side.lost = true
		return m.ApplyFrom(orchestrate.Faltered, e.By, now)
	case Failed:
		side.lost = true
		return m.ApplyFrom(orchestrate.Lost, e.By, now)
	}
	return nil
}

// begin is a restart: what either side said of the connection before counts no more.
func (p *Pair) begin() { p.impolite.lost, p.polite.lost = false, false }

// Status is how a session stands.
type Status struct {
	State orchestrate.State
	Since timing.Instant
	Route orchestrate.Route
	// Attempt counts the restarts since the connection was last stable, Restarts all.
	Attempt, Restarts int
	// Wake is when the session goes on by itself; Never for not.
	Wake             timing.Instant
	Impolite, Polite Side
}

// Status returns how the session stands.
func (p *Pair) Status() Status {
	m := p.machine
	return Status{
		State: m.State(), Since: m.Since(), Route: m.Route(), Attempt: m.Attempt(), Restarts: p.restarts, Wake: p.wake,
		Impolite: p.impolite, Polite: p.polite,
	}
}

// Machine is the session's state machine, for its phases and its timeline. It is not to be advanced.
func (p *Pair) Machine() *orchestrate.Machine { return p.machine }
