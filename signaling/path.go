package signaling

import (
	"time"

	"tourbillon/timing"
)

// Orchestrator decides when the connections between clients are restarted, and over which route.
type Orchestrator interface {
	// Follow begins to follow the path between two peers, of which nothing was heard yet.
	Follow(now timing.Instant) Path
}

// Path is the ICE session between two peers as the orchestrator knows it. It is pure: the hub serialises the calls and
// makes them under its lock.
type Path interface {
	// Apply takes what happened and says what is to be done.
	Apply(e PathEvent, now timing.Instant) PathOrder
	// Status is how the path stands.
	Status(now timing.Instant) PathStatus
}

// PathKind says what happened to a path. Those that clients report are in the package comment under "Paths".
type PathKind string

// What clients report of their own connection, and what the hub adds: an offer of a peer's passed, a peer is away or
// back, the instant of PathOrder.Wake has come.
const (
	PathGathering    PathKind = "gathering"
	PathChecking     PathKind = "checking"
	PathConnected    PathKind = "connected"
	PathDisconnected PathKind = "disconnected"
	PathFailed       PathKind = "failed"
	PathRestarting   PathKind = "restarting"

	PathOffered PathKind = "offered"
	PathAway    PathKind = "away"
	PathBack    PathKind = "back"
	PathWoken   PathKind = "woken"
)

// reportable are the kinds that a client may report.
var reportable = []string{
	string(PathGathering), string(PathChecking), string(PathConnected), string(PathDisconnected), string(PathFailed),
	string(PathRestarting),
}

// PathSide is one of the two peers by its role in perfect negotiation; empty for what comes from neither.
type PathSide string

// The sides.
const (
	ImpoliteSide PathSide = "impolite"
	PoliteSide   PathSide = "polite"
)

// PathEvent is what happened. Via and Transport are the reporting side's own words: "direct" or "relay", and "udp",
// "tcp" or "tls" where its relay is reached so; empty where it does not say.
type PathEvent struct {
	Kind           PathKind
	By             PathSide
	Via, Transport string
}

// PathOrder is what is to be done.
type PathOrder struct {
	// Ask, where it is not empty, is the side to restart over the Route: "direct" for any way, or "relay/udp",
	// "relay/tcp", "relay/tls".
	Ask   PathSide
	Route string
	// Wake is when PathWoken is to be applied, in place of the instant before; Never for not at all.
	Wake timing.Instant
	// Changed is true where the sides are to be told the State.
	Changed bool
	State   string
	// Attempt counts the restarts since the connection was last stable.
	Attempt int
	// Failed is why no more restarts are asked for, once.
	Failed string
}

// PathStatus is how a path stands.
type PathStatus struct {
	State, Route string
	Since        timing.Instant
	// Attempt counts the restarts that were asked for since the connection was last stable, Restarts all.
	Attempt, Restarts int
	// Wake is when the next step is due; Never for none.
	Wake timing.Instant
	// Phases is how long the path was in each state.
	Phases map[string]time.Duration
	// Timeline is what the path went through, the oldest first; the oldest lines of a long life are left out.
	Timeline []PathEntry
	// Impolite and Polite are the sides' latest words.
	Impolite, Polite PathReport
}

// PathEntry is one line of a timeline: the state entered or kept At an instant, by an event, of a side or of neither.
type PathEntry struct {
	State, Route, Event string
	By                  PathSide
	At                  timing.Instant
}

// PathReport is what a side said last, at an instant; Kind is empty for a side that says nothing, as older clients.
type PathReport struct {
	Kind           PathKind
	Via, Transport string
	At             timing.Instant
	Away           bool
}

// PathInfo is the path between two peers of a room as of a moment.
type PathInfo struct {
	Room, Impolite, Polite string
	PathStatus
}

// Paths returns the paths that are followed, by name of room and, within it, in the order of the peers' joining. The
// empty room stands for all.
func (s *Server) Paths(room string) []PathInfo { return s.hub.paths(room) }
