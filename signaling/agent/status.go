package agent

import (
	"errors"
	"maps"
	"net/netip"
	"time"

	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing"
)

// End is a kind of end of a call. There are few, so that they can be counted.
type End string

// The kinds of ends.
const (
	// EndLeft: the caller left the room. EndReplaced: it began another call.
	EndLeft     End = "left"
	EndReplaced End = "replaced"
	// EndIdle, EndLifetime: the call carried nothing, or lived, for as long as it may.
	EndIdle     End = "idle"
	EndLifetime End = "lifetime"
	// EndFlood: it carried more bytes, or opened more data channels, than it may.
	EndFlood End = "flood"
	// EndNoRoute: no restart of ICE worked. EndConnection: DTLS failed, or the caller closed it.
	EndNoRoute    End = "no-route"
	EndConnection End = "connection"
	// EndOffer: an offer or the candidates with it could not be taken.
	EndOffer End = "offer"
	// EndStopped: the appliance stops. EndFault: a fault of our own.
	EndStopped End = "stopped"
	EndFault   End = "fault"
)

// endOf is the kind of end that an error of a message brings.
func endOf(err error) End {
	switch {
	case errors.Is(err, ErrTooMany):
		return EndFlood
	case errors.Is(err, ErrBadOffer), errors.Is(err, ErrBadCandidate):
		return EndOffer
	}
	return EndFault
}

// Pair is a selected candidate pair. The types are those of RFC 8445: host, srflx, prflx and relay.
type Pair struct {
	Local, Remote         netip.AddrPort
	LocalType, RemoteType string
}

// CallStatus is how one call stands.
type CallStatus struct {
	Caller Caller
	// Began is when the first offer came.
	Began timing.Instant
	State orchestrate.State
	Route orchestrate.Route
	// Phases are how long the call was in each state, Timeline what it went through.
	Phases   map[orchestrate.State]time.Duration
	Timeline []orchestrate.Entry
	// Pair is the one selected last; the zero value before.
	Pair Pair
	Path link.Status
	// Bytes is what the data channels carried both ways, Dropped the caller's messages that came too fast, PassedOver
	// its candidates that are not tried.
	Bytes, Dropped, PassedOver int64
}

func (c *incoming) status() CallStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.machine
	s := CallStatus{
		Caller: c.from, Began: c.began, State: m.State(), Route: m.Route(), Phases: m.Phases(c.config.Clock.Now()),
		Timeline: m.Timeline(), Pair: c.pair,
		Bytes: c.bytes.Load(), Dropped: c.dropped.Load(), PassedOver: c.passedOver.Load(),
	}
	if c.path != nil {
		s.Path = c.path.Status()
	}
	return s
}

// Calls returns the calls that have not ended, in no order.
func (a *Answerer) Calls() []CallStatus {
	calls, _ := a.snapshot()
	all := make([]CallStatus, len(calls))
	for i, c := range calls {
		all[i] = c.status()
	}
	return all
}

// Refusal is a kind of refusal of an offer or a candidate.
type Refusal string

// The kinds of refusals.
const (
	RefusedOffer     Refusal = "bad-offer"
	RefusedCandidate Refusal = "bad-candidate"
	RefusedBusy      Refusal = "busy"
	RefusedNoCall    Refusal = "no-call"
	RefusedStopped   Refusal = "stopped"
	RefusedTooMany   Refusal = "too-many"
)

// Stats counts what an Answerer did so far. What is counted of calls includes the present ones, but for Ended.
type Stats struct {
	// Present are the calls there are now, by state.
	Present map[orchestrate.State]int
	// Begun counts calls, Ended those that have ended, Refused offers and candidates.
	Begun   uint64
	Ended   map[End]uint64
	Refused map[Refusal]uint64
	// ConsentLost counts losses of consent, Restarts the restarts asked for.
	ConsentLost, Restarts uint64
	// Bytes, Dropped and PassedOver are as in [CallStatus].
	Bytes, Dropped, PassedOver uint64
}

func newStats() Stats {
	s := Stats{Present: map[orchestrate.State]int{}, Ended: map[End]uint64{}, Refused: map[Refusal]uint64{}}
	for _, state := range []orchestrate.State{
		orchestrate.Gathering, orchestrate.Checking, orchestrate.Connected, orchestrate.ConsentLost, orchestrate.Restarting,
	} {
		s.Present[state] = 0
	}
	for _, end := range []End{
		EndLeft, EndReplaced, EndIdle, EndLifetime, EndFlood, EndNoRoute, EndConnection, EndOffer, EndStopped, EndFault,
	} {
		s.Ended[end] = 0
	}
	for _, refusal := range []Refusal{RefusedOffer, RefusedCandidate, RefusedBusy, RefusedNoCall, RefusedStopped, RefusedTooMany} {
		s.Refused[refusal] = 0
	}
	return s
}

// add counts a call that has ended.
func (s *Stats) add(c *incoming) {
	s.Ended[c.class]++
	s.carry(c)
}

func (s *Stats) carry(c *incoming) {
	s.ConsentLost += uint64(c.lost.Load())
	s.Restarts += uint64(c.asked.Load())
	s.Bytes += uint64(c.bytes.Load())
	s.Dropped += uint64(c.dropped.Load())
	s.PassedOver += uint64(c.passedOver.Load())
}

// Stats tells what the answerer did so far.
func (a *Answerer) Stats() Stats {
	calls, s := a.snapshot()
	for _, c := range calls {
		c.mu.Lock()
		s.Present[c.machine.State()]++
		c.mu.Unlock()
		s.carry(c)
	}
	return s
}

// snapshot returns the calls that have not ended and what has been counted of the others.
func (a *Answerer) snapshot() ([]*incoming, Stats) {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls := make([]*incoming, 0, len(a.running))
	for c := range a.running {
		calls = append(calls, c)
	}
	s := a.stats
	s.Present, s.Ended, s.Refused = maps.Clone(s.Present), maps.Clone(s.Ended), maps.Clone(s.Refused)
	return calls, s
}

// refused counts a refusal and returns it with its remedy.
func (a *Answerer) refused(err error) error {
	kind := RefusedBusy
	switch {
	case errors.Is(err, ErrBadOffer):
		kind = RefusedOffer
	case errors.Is(err, ErrBadCandidate):
		kind = RefusedCandidate
	case errors.Is(err, ErrTooMany):
		kind = RefusedTooMany
	case errors.Is(err, ErrNoCall):
		kind = RefusedNoCall
	case errors.Is(err, ErrStopped):
		kind = RefusedStopped
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Refused[kind]++
	return advised(err)
}
