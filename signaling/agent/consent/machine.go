package consent

import (
	"net/netip"
	"time"

	"tourbillon/timing"
)

// RFC 7675 section 5.1.
const (
	// Interval is the mean time between two checks; each is Interval × U[0.8, 1.2].
	Interval = 5 * time.Second
	// MinInterval is the least time between two checks.
	MinInterval = 4 * time.Second
	// Expiry is how long consent lasts after the last valid answer.
	Expiry = 30 * time.Second
	// spread is how far the factor of Interval lies from 1 at most.
	spread = 0.2
)

// TransactionID names one check and its answer (RFC 8489 section 5).
type TransactionID [12]byte

// Random is what makes checks unpredictable. Its methods do not block.
type Random interface {
	// Uniform returns a number in [0, 1).
	Uniform() float64
	// Transaction returns an identifier that nobody can guess.
	Transaction() TransactionID
}

// State is where consent stands.
type State string

// The states of consent.
const (
	// None: no pair has been selected. Connectivity checks are allowed to go out, and what follows the first of them.
	None State = "none"
	// Granted: the peer has answered within Expiry.
	Granted State = "granted"
	// Expired: it has not. Nothing may be sent until another pair is selected.
	Expired State = "expired"
	// Ended: the agent is no more.
	Ended State = "ended"
)

// What happens to consent.
type (
	// Selected says that ICE has chosen a pair to this remote address, whose answered check gave consent.
	Selected struct{ Remote netip.AddrPort }
	// Left says that a check was handed to the network, and when.
	Left struct {
		ID TransactionID
		At timing.Instant
	}
	// Unsent says that the network did not take a check.
	Unsent struct{ ID TransactionID }
	// Answered is an authenticated success response.
	Answered struct {
		ID   TransactionID
		From netip.AddrPort
	}
	// Woken says that the instant of the last Wake has come.
	Woken struct{}
	// Closed says that the agent ends.
	Closed struct{}
)

// Event is one of the above.
type Event interface{ isEvent() }

func (Selected) isEvent() {}
func (Left) isEvent()     {}
func (Unsent) isEvent()   {}
func (Answered) isEvent() {}
func (Woken) isEvent()    {}
func (Closed) isEvent()   {}

// What is to be done.
type (
	// Check is to be prepared as a Binding request to Remote, which leaves at Due and not before.
	Check struct {
		ID     TransactionID
		Remote netip.AddrPort
		Due    timing.Instant
	}
	// Withdraw forgets a check: it does not leave if that can still be helped, and its answer counts no more.
	Withdraw struct{ ID TransactionID }
	// Wake asks for Woken at an instant, in place of the one asked for before.
	Wake struct{ At timing.Instant }
	// Stop demands that sending stops at once: consent has expired. Since is the last sign of it.
	Stop struct{ Since timing.Instant }
)

// Effect is one of the above.
type Effect interface{ isEffect() }

func (Check) isEffect()    {}
func (Withdraw) isEffect() {}
func (Wake) isEffect()     {}
func (Stop) isEffect()     {}

// pending is a check whose answer would count.
type pending struct {
	id  TransactionID
	due timing.Instant
	// left is false until the network has taken it.
	left bool
}

// Machine is the consent of one agent. Make one with [NewMachine]; its owner serialises the calls.
type Machine struct {
	random  Random
	state   State
	remote  netip.AddrPort
	renewed timing.Instant
	pending []pending
	quality Quality
}

// Quality is what the answers tell of the path since its pair was selected.
type Quality struct {
	// RTT holds the smoothed round trip and the jitter of RFC 3550.
	RTT timing.RTT
	// Checks counts those that left, Answers the valid answers.
	Checks, Answers int
}

// NewMachine returns the consent of an agent that has no pair.
func NewMachine(random Random) *Machine { return &Machine{random: random, state: None} }

// State tells whether sending is allowed: in None and Granted it is.
func (m *Machine) State() State { return m.state }

// Remote is the address of the selected pair; the zero AddrPort before there was one.
func (m *Machine) Remote() netip.AddrPort { return m.remote }

// Renewed is the instant of the last sign of consent.
func (m *Machine) Renewed() timing.Instant { return m.renewed }

// Quality tells what was measured on the present path.
func (m *Machine) Quality() Quality { return m.quality }

// Apply advances the machine by an event at an instant. Consent that has run out by then expires first: an answer that
// comes too late does not save it.
func (m *Machine) Apply(e Event, now timing.Instant) []Effect {
	if _, closed := e.(Closed); closed {
		return m.close()
	}
	var effects []Effect
	if m.state == Granted && now >= m.renewed.Add(Expiry) {
		effects = m.expire()
	}
	return append(effects, m.apply(e, now)...)
}

func (m *Machine) apply(e Event, now timing.Instant) []Effect {
	if s, ok := e.(Selected); ok && m.state != Ended {
		return m.begin(s.Remote, now)
	}
	if m.state != Granted {
		return nil
	}
	switch e := e.(type) {
	case Left:
		return m.left(e)
	case Unsent:
		return m.unsent(e, now)
	case Answered:
		return m.answered(e, now)
	case Woken:
		return []Effect{Wake{m.renewed.Add(Expiry)}}
	}
	return nil
}

// begin starts consent on a pair. The same remote address keeps its figures.
func (m *Machine) begin(remote netip.AddrPort, now timing.Instant) []Effect {
	effects := m.withdraw()
	if remote != m.remote {
		m.quality = Quality{}
	}
	m.state, m.remote, m.renewed = Granted, remote, now
	return append(effects, Wake{now.Add(Expiry)}, m.plan(now))
}

// plan has the next check leave one random interval after the given instant.
func (m *Machine) plan(after timing.Instant) Effect {
	factor := 1 - spread + 2*spread*m.random.Uniform()
	wait := max(time.Duration(float64(Interval)*factor), MinInterval)
	p := pending{id: m.random.Transaction(), due: after.Add(wait)}
	m.pending = append(m.pending, p)
	return Check{ID: p.id, Remote: m.remote, Due: p.due}
}

// left counts from the instant of leaving, so that a late check does not draw the next one nearer.
func (m *Machine) left(e Left) []Effect {
	i := m.find(e.ID)
	if i < 0 {
		return m.replan(e.At)
	}
	m.pending[i].left, m.pending[i].due = true, e.At
	m.quality.Checks++
	m.forget(e.At)
	return m.replan(e.At)
}

// replan plans the next check unless one waits to leave.
func (m *Machine) replan(after timing.Instant) []Effect {
	for _, p := range m.pending {
		if !p.left {
			return nil
		}
	}
	return []Effect{m.plan(after)}
}

func (m *Machine) unsent(e Unsent, now timing.Instant) []Effect {
	i := m.find(e.ID)
	if i < 0 {
		return nil
	}
	m.pending = append(m.pending[:i], m.pending[i+1:]...)
	return append([]Effect{Withdraw(e)}, m.replan(now)...)
}

// answered renews consent once for each check, from the address that the check went to (RFC 7675 section 5.1). The
// answer may come before the wire's word that the check has left.
func (m *Machine) answered(e Answered, now timing.Instant) []Effect {
	i := m.find(e.ID)
	if i < 0 || e.From != m.remote || now < m.pending[i].due {
		return nil
	}
	p := m.pending[i]
	m.pending = append(m.pending[:i], m.pending[i+1:]...)
	m.renewed = now
	m.quality.Answers++
	m.quality.RTT.Observe(now.Sub(p.due))
	effects := []Effect{Withdraw{e.ID}, Wake{now.Add(Expiry)}}
	if !p.left {
		m.quality.Checks++
		effects = append(effects, m.replan(p.due)...)
	}
	return effects
}

// forget drops checks that went unanswered for as long as consent lasts.
func (m *Machine) forget(now timing.Instant) {
	kept := m.pending[:0]
	for _, p := range m.pending {
		if !p.left || now.Sub(p.due) < Expiry {
			kept = append(kept, p)
		}
	}
	m.pending = kept
}

func (m *Machine) expire() []Effect {
	m.state = Expired
	return append([]Effect{Stop{m.renewed}}, m.withdraw()...)
}

func (m *Machine) close() []Effect {
	m.state = Ended
	return m.withdraw()
}

func (m *Machine) withdraw() []Effect {
	effects := make([]Effect, 0, len(m.pending)+2)
	for _, p := range m.pending {
		effects = append(effects, Withdraw{p.id})
	}
	m.pending = nil
	return effects
}

func (m *Machine) find(id TransactionID) int {
	for i, p := range m.pending {
		if p.id == id {
			return i
		}
	}
	return -1
}
