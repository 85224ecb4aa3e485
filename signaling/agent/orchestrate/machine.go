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
	Gathering State = "gathering"
	Checking  State = "checking"
	Connected State = "connected"
	// Faltering is a connection on which nothing comes any more, which may pass by itself.
	Faltering   State = "faltering"
	ConsentLost State = "consent-lost"
	Restarting  State = "restarting"
	// Failed is given up: nobody is asked any more. A side that connects nevertheless ends it.
	Failed State = "failed"
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
	// Grace is how long a faltering connection may take to recover by itself. Default 4 s.
	Grace time.Duration
	// FirstPause and LongestPause bound the doubling pause between restarts that failed, and the time between two
	// restarts whatever happens. Default 1 s and 16 s.
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
	setDefault(&c.Grace, 4*time.Second)
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

// mostEntries bounds the timeline: the oldest go first.
const mostEntries = 64

// Machine is one session. Make one with [New]; its owner serialises the calls.
type Machine struct {
	config  Config
	state   State
	entered timing.Instant
	// attempt counts the restarts since the connection was last stable, asked is the instant of the latest.
	attempt int
	asked   timing.Instant
	route   int
	// pausing is true while a Wake is the next restart's, owed while that restart waits for a side to be back.
	pausing, away, owed bool
	// event and by are what is being applied.
	event    Event
	by       Side
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

// Attempt is how many restarts were asked for since the connection was last stable.
func (m *Machine) Attempt() int { return m.attempt }

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
func (m *Machine) Apply(e Event, now timing.Instant) []Effect { return m.ApplyFrom(e, "", now) }

// ApplyFrom is Apply, and notes the side that the event came from.
func (m *Machine) ApplyFrom(e Event, by Side, now timing.Instant) []Effect {
	m.event, m.by = e, by
	switch e {
	case Gathered:
		if m.state == Gathering {
			m.enter(Checking, now)
		}
	case PairSelected:
		return m.connected(now)
	case Faltered:
		return m.faltered(now)
	case Lost:
		return m.lost(now)
	case Offered:
		if m.state == ConsentLost {
			return m.restarting(now)
		}
	case SelfRestarted:
		return m.selfRestarted(now)
	case Away:
		return m.left()
	case Back:
		return m.back(now)
	case Woken:
		if !m.away {
			return m.over(now)
		}
	}
	return nil
}

func (m *Machine) connected(now timing.Instant) []Effect {
	if m.state == Connected {
		return nil
	}
	m.enter(Connected, now)
	m.pausing, m.owed = false, false
	return []Effect{Wake{timing.Never}}
}

func (m *Machine) faltered(now timing.Instant) []Effect {
	if m.state != Connected {
		return nil
	}
	m.judgeStability(now)
	m.enter(Faltering, now)
	return m.wakeIn(m.config.Grace, now)
}

// lost begins the first restart at once.
func (m *Machine) lost(now timing.Instant) []Effect {
	switch m.state {
	case Gathering, Checking:
		return m.over(now)
	case Connected:
		m.judgeStability(now)
		fallthrough
	case Faltering:
		m.enter(ConsentLost, now)
		return m.ask(now)
	}
	return nil
}

// judgeStability looks how long the connection lasted that ends now. One that lasted made its route good: the next
// tries start over.
func (m *Machine) judgeStability(now timing.Instant) {
	if now.Sub(m.entered) >= m.config.Stable {
		m.attempt, m.route = 0, 0
	}
}

func (m *Machine) restarting(now timing.Instant) []Effect {
	m.pausing, m.owed = false, false
	m.enter(Restarting, now)
	return m.wakeIn(m.config.Restart, now)
}

func (m *Machine) selfRestarted(now timing.Instant) []Effect {
	switch m.state {
	case Gathering, Checking, Restarting:
		return nil // Part of what is going on.
	case Connected:
		m.judgeStability(now)
	}
	return m.restarting(now)
}

// left stops the time: a restart takes both sides.
func (m *Machine) left() []Effect {
	m.away = true
	if m.state == Connected || m.state == Failed {
		return nil
	}
	m.owed = m.owed || m.pausing
	m.pausing = false
	return []Effect{Wake{timing.Never}}
}

// back gives what was going on its whole time again.
func (m *Machine) back(now timing.Instant) []Effect {
	if !m.away {
		return nil
	}
	m.away = false
	switch m.state {
	case Gathering, Checking:
		return m.wakeIn(m.config.SetUp, now)
	case Faltering:
		return m.wakeIn(m.config.Grace, now)
	case ConsentLost, Restarting:
		if m.owed {
			return m.ask(now)
		}
		return m.wakeIn(m.config.Restart, now)
	}
	return nil
}

// wakeIn asks for Woken after some time, which does not run while a side is away.
func (m *Machine) wakeIn(d time.Duration, now timing.Instant) []Effect {
	if m.away {
		return []Effect{Wake{timing.Never}}
	}
	return []Effect{Wake{now.Add(d)}}
}

// over ends a phase that took too long or got nowhere.
func (m *Machine) over(now timing.Instant) []Effect {
	switch m.state {
	case Gathering, Checking:
		m.attempt = 1 // The first try was of the first route.
		m.enter(ConsentLost, now)
		return m.ask(now)
	case Faltering:
		m.enter(ConsentLost, now)
		return m.ask(now)
	case ConsentLost, Restarting:
		if m.pausing {
			return m.ask(now)
		}
		m.pausing = true
		return []Effect{Wake{now.Add(m.rest())}}
	}
	return nil
}

// rest is the pause after the latest attempt, twice as long each time.
func (m *Machine) rest() time.Duration {
	wait := m.config.FirstPause
	for range m.attempt - 1 {
		wait = min(2*wait, m.config.LongestPause)
	}
	return wait
}

// ask has the one side restart, later where it cannot be told now or was asked just before. The first restart keeps the
// route, since an address that changed is the usual cause; each one after that goes on to the next route, and from the
// last to the first.
func (m *Machine) ask(now timing.Instant) []Effect {
	m.pausing, m.owed = false, false
	if m.attempt >= m.config.Attempts {
		return m.fail("no restart worked", now)
	}
	if m.away {
		m.owed = true
		return []Effect{Wake{timing.Never}}
	}
	if next := m.asked.Add(m.rest()); m.asked != 0 && m.attempt > 0 && now < next {
		m.pausing = true
		return []Effect{Wake{next}}
	}
	if m.attempt > 0 {
		m.route = (m.route + 1) % len(m.config.Routes)
	}
	m.attempt++
	m.asked = now
	switch {
	case m.state != ConsentLost:
		m.enter(ConsentLost, now)
	case m.attempt > 1:
		m.note(now)
	}
	return []Effect{Ask{m.config.Restarter, m.Route()}, Wake{now.Add(m.config.Restart)}}
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
	m.note(now)
}

// note writes a line of the timeline.
func (m *Machine) note(now timing.Instant) {
	if len(m.timeline) == mostEntries {
		m.timeline = append(m.timeline[:0], m.timeline[1:]...)
	}
	m.timeline = append(m.timeline, Entry{State: m.state, At: now, Route: m.Route(), Event: m.event, By: m.by})
}
