// Package orchestrate decides what becomes of one ICE session: how long each phase may take, when it is restarted, by
// which side and over which route, and when it has failed.
//
// It is pure: [Machine] turns (state, event, instant) into effects and records the timeline. It is for our own agents'
// sessions and for those between two clients alike; its owner reports what happened and carries the effects out.
package orchestrate

import (
	"time"

	"tourbillon/timing"
)

// State is where a session stands.
type State string

// The states of a session.
const (
	Gathering   State = "gathering"
	Checking    State = "checking"
	Connected   State = "connected"
	ConsentLost State = "consent-lost"
	Restarting  State = "restarting"
	Failed      State = "failed"
)

// Route is what a restart is to use.
type Route string

// The routes in the order of escalation: each gets through where the one before is blocked, and costs more.
const (
	Direct   Route = "direct"
	RelayUDP Route = "relay/udp"
	RelayTCP Route = "relay/tcp"
	RelayTLS Route = "relay/tls"
)

// Side is one end of a session. Of each pair exactly one, the impolite one, restarts: two offers at once would undo
// each other.
type Side string

// The sides, by their roles in perfect negotiation.
const (
	Impolite Side = "impolite"
	Polite   Side = "polite"
)

// Config bounds the phases; zero values take the defaults.
type Config struct {
	// Restarter is the side that is asked to restart. Default Impolite.
	Restarter Side
	// Routes are what the session may use, in order. Default all four.
	Routes []Route
	// SetUp is how long gathering and checking may take in the beginning, Restart how long a restart may take until the
	// next one begins. Default 30 s and 10 s.
	SetUp, Restart time.Duration
	// FirstPause and LongestPause bound the doubling pause between restarts that failed. Default 1 s and 16 s.
	FirstPause, LongestPause time.Duration
	// Attempts is how many restarts in a row may fail. Default 8: each route twice.
	Attempts int
	// Stable is how long a connection has to last for the next loss to begin with the first route again. Default 30 s.
	Stable time.Duration
}

func (c Config) withDefaults() Config {
	setDefault(&c.Restarter, Impolite)
	if len(c.Routes) == 0 {
		c.Routes = []Route{Direct, RelayUDP, RelayTCP, RelayTLS}
	}
	setDefault(&c.SetUp, 30*time.Second)
	setDefault(&c.Restart, 10*time.Second)
	setDefault(&c.FirstPause, time.Second)
	setDefault(&c.LongestPause, 16*time.Second)
	setDefault(&c.Attempts, 8)
	setDefault(&c.Stable, 30*time.Second)
	return c
}

func setDefault[T comparable](value *T, normal T) {
	var zero T
	if *value == zero {
		*value = normal
	}
}

// Event is what happened to a session.
type Event string

// The events.
const (
	// Gathered: this side's candidates are known, checks begin.
	Gathered Event = "gathered"
	// PairSelected: ICE has found a working pair.
	PairSelected Event = "pair-selected"
	// Lost: consent has expired, or a side has reported its connection lost.
	Lost Event = "lost"
	// Offered: an offer with an ICE restart is under way.
	Offered Event = "offered"
	// Woken: the instant of the last Wake has come.
	Woken Event = "woken"
)

// What is to be done.
type (
	// Ask has the side make an offer with an ICE restart over the route, with fresh credentials.
	Ask struct {
		Side  Side
		Route Route
	}
	// Wake asks for Woken at an instant, in place of the one asked for before; Never for none.
	Wake struct{ At timing.Instant }
	// Fail says that the session is given up.
	Fail struct{ Reason string }
)

// Effect is one of the above.
type Effect interface{ isEffect() }

func (Ask) isEffect()  {}
func (Wake) isEffect() {}
func (Fail) isEffect() {}

// Entry is one line of the timeline.
type Entry struct {
	State State
	At    timing.Instant
	// Route is that of a restart and of the connection that it leads to.
	Route Route
}

// mostEntries bounds the timeline: the oldest go first.
const mostEntries = 64

// Machine is one session. Make one with [New]; its owner serialises the calls.
type Machine struct {
	config   Config
	state    State
	entered  timing.Instant
	attempt  int
	route    int
	pausing  bool
	phases   map[State]time.Duration
	timeline []Entry
}

// New returns a session that gathers since now, and when it wants to be woken.
func New(config Config, now timing.Instant) (*Machine, Wake) {
	m := &Machine{config: config.withDefaults(), phases: map[State]time.Duration{}}
	m.enter(Gathering, now)
	return m, Wake{now.Add(m.config.SetUp)}
}

// State is where the session stands, since when Since.
func (m *Machine) State() State { return m.state }

// Since is when the present state was entered.
func (m *Machine) Since() timing.Instant { return m.entered }

// Route is what the session uses or tries.
func (m *Machine) Route() Route { return m.config.Routes[m.route] }

// Timeline returns what the session went through, the oldest first.
func (m *Machine) Timeline() []Entry { return append([]Entry(nil), m.timeline...) }

// Phases returns how long the session was in each state until now.
func (m *Machine) Phases(now timing.Instant) map[State]time.Duration {
	phases := make(map[State]time.Duration, len(m.phases)+1)
	for state, d := range m.phases {
		phases[state] = d
	}
	phases[m.state] += now.Sub(m.entered)
	return phases
}

// Apply advances the session by an event. What makes no sense in its state changes nothing, so both sides may report
// the same loss.
func (m *Machine) Apply(e Event, now timing.Instant) []Effect {
	switch {
	case m.state == Failed:
		return nil
	case e == Gathered && m.state == Gathering:
		m.enter(Checking, now)
		return nil
	case e == PairSelected && m.state != Connected:
		m.enter(Connected, now)
		m.pausing = false
		return []Effect{Wake{timing.Never}}
	case e == Lost && m.state == Connected:
		return m.lost(now)
	case e == Offered && m.state == ConsentLost:
		m.pausing = false
		m.enter(Restarting, now)
		return []Effect{Wake{now.Add(m.config.Restart)}}
	case e == Lost && (m.state == Checking || m.state == Gathering), e == Woken:
		return m.over(now)
	}
	return nil
}

// lost begins the first restart at once. A connection that lasted made its route good: the next tries start over.
func (m *Machine) lost(now timing.Instant) []Effect {
	if now.Sub(m.entered) >= m.config.Stable {
		m.attempt, m.route = 0, 0
	}
	m.enter(ConsentLost, now)
	return m.ask(now)
}

// over ends a phase that took too long or got nowhere.
func (m *Machine) over(now timing.Instant) []Effect {
	switch m.state {
	case Gathering, Checking:
		m.attempt = 1 // The first try was of the first route.
		m.enter(ConsentLost, now)
		return m.ask(now)
	case ConsentLost, Restarting:
		if m.pausing {
			return m.ask(now)
		}
		return m.pause(now)
	}
	return nil
}

// ask has the one side restart. The first restart keeps the route, since an address that changed is the usual cause;
// each one after that goes on to the next route, and from the last to the first.
func (m *Machine) ask(now timing.Instant) []Effect {
	if m.attempt >= m.config.Attempts {
		return m.fail("no restart worked", now)
	}
	if m.attempt > 0 {
		m.route = (m.route + 1) % len(m.config.Routes)
	}
	m.attempt++
	m.pausing = false
	if m.state != ConsentLost {
		m.enter(ConsentLost, now)
	}
	return []Effect{Ask{m.config.Restarter, m.Route()}, Wake{now.Add(m.config.Restart)}}
}

// pause waits before the next restart, twice as long each time.
func (m *Machine) pause(now timing.Instant) []Effect {
	wait := m.config.FirstPause
	for range m.attempt - 1 {
		wait = min(2*wait, m.config.LongestPause)
	}
	m.pausing = true
	return []Effect{Wake{now.Add(wait)}}
}

func (m *Machine) fail(reason string, now timing.Instant) []Effect {
	m.enter(Failed, now)
	return []Effect{Wake{timing.Never}, Fail{reason}}
}

func (m *Machine) enter(state State, now timing.Instant) {
	if m.state != "" {
		m.phases[m.state] += now.Sub(m.entered)
	}
	m.state, m.entered = state, now
	if len(m.timeline) == mostEntries {
		m.timeline = append(m.timeline[:0], m.timeline[1:]...)
	}
	m.timeline = append(m.timeline, Entry{State: state, At: now, Route: m.Route()})
}
