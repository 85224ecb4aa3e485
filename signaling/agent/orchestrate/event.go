package orchestrate

import "tourbillon/timing"

// Event is what happened to a session.
type Event string

// The events.
const (
	// Gathered: this side's candidates are known, checks begin.
	Gathered Event = "gathered"
	// PairSelected: ICE has found a working pair.
	PairSelected Event = "pair-selected"
	// Faltered: nothing comes any more, but consent has not expired.
	Faltered Event = "faltered"
	// Lost: consent has expired, or a side has reported its connection lost.
	Lost Event = "lost"
	// Offered: an offer with an ICE restart is under way.
	Offered Event = "offered"
	// SelfRestarted: a side restarts without having been asked, because its network changed for example.
	SelfRestarted Event = "self-restarted"
	// Away: a side cannot be told anything for now. Until Back nobody is asked and no time runs.
	Away Event = "away"
	// Back: both sides can be told again.
	Back Event = "back"
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
	// Event is what led here, By the side that it came from; empty where it came from neither.
	Event Event
	By    Side
}
