package web

import "encoding/json"

// Hello is the first event on the admin stream: what does not change while the process runs, and the recent past, so
// that a reloaded page shows history at once.
type Hello struct {
	Version string `json:"version"`
	// Server names the running process; it changes with a restart.
	Server string `json:"server"`
	// Clock is the clock in use, "hrtimer" or "runtime".
	Clock string `json:"clock"`
	// ClockNote says in words how the clock runs, for example why it fell back.
	ClockNote string `json:"clock_note"`
	// Retimed is true when every pion module of this binary runs on the injected clock.
	Retimed bool `json:"retimed"`
	// Host lists facts that bear on jitter, in display order.
	Host []Fact `json:"host"`
	// PeriodMS is the time between two Samples.
	PeriodMS int `json:"period_ms"`
	// History holds the newest Samples, oldest first.
	History []Sample `json:"history"`
}

// Fact is one named property of the host or the process.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Sample is one point of the lateness chart: what both arms measured in the period that ended at AtMS.
type Sample struct {
	// AtMS is the wall clock in milliseconds since 1970.
	AtMS int64 `json:"at_ms"`
	// Injected is the reference timer on the injected clock, Control the same timer on package time.
	Injected Lateness `json:"injected"`
	Control  Lateness `json:"control"`
}

// Lateness summarises how late timers fired, in microseconds. All but Fires are 0 when nothing fired.
type Lateness struct {
	Fires int64   `json:"fires"`
	P50US float64 `json:"p50_us"`
	P99US float64 `json:"p99_us"`
	MaxUS float64 `json:"max_us"`
}

// State is what the admin page shows beside the chart, as of one Sample.
type State struct {
	Sample
	Labels      []Label      `json:"labels"`
	Rooms       []Room       `json:"rooms"`
	Allocations []Allocation `json:"allocations"`
	// Limits are all the relay's limits, those of nothing too.
	Limits   []Limit  `json:"limits"`
	SelfCall SelfCall `json:"self_call"`
	// Outside is where relays are announced behind 1:1 NAT; left out where no STUN server is asked.
	Outside *Outside `json:"outside,omitempty"`
}

// Label is the lateness of all timers that carry one label ("pion.ice", "signaling.heartbeat").
type Label struct {
	Label string `json:"label"`
	// Lateness is over the last 30 to 60 seconds.
	Lateness
	// Total counts all fires since start, Early those before their deadline (always 0 unless the clock is broken).
	Total int64 `json:"total"`
	Early int64 `json:"early"`
}

// Room is one signaling room with its peers.
type Room struct {
	Room  string `json:"room"`
	Peers []Peer `json:"peers"`
}

// Peer is one client of a room. Name is the client's own text and is shown as text only.
type Peer struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	// SinceMS is the wall clock of the join in milliseconds since 1970.
	SinceMS int64 `json:"since_ms"`
	// Away is true while the client has lost its connection and its place is kept.
	Away bool `json:"away"`
	// HeartbeatMS is the interval of the server's pings; RTTUS, RTTVarUS and JitterUS are what they measure.
	HeartbeatMS float64 `json:"heartbeat_ms"`
	RTTUS       float64 `json:"rtt_us"`
	RTTVarUS    float64 `json:"rttvar_us"`
	JitterUS    float64 `json:"jitter_us"`
	// Report is what the client last said that it measured, its own JSON object, as of ReportedMS; left out for none.
	Report     json.RawMessage `json:"report,omitempty"`
	ReportedMS int64           `json:"reported_ms,omitempty"`
}

// Allocation is one live TURN allocation.
type Allocation struct {
	// Client and Relay are transport addresses, Transport is the client's: "udp", "tcp" or "tls".
	Client    string `json:"client"`
	Relay     string `json:"relay"`
	Transport string `json:"transport"`
	User      string `json:"user"`
	SinceMS   int64  `json:"since_ms"`
	Channels  int    `json:"channels"`
	// ToPeers and FromPeers count the relayed application data while it flows.
	ToPeers   Traffic `json:"to_peers"`
	FromPeers Traffic `json:"from_peers"`
	// Denied counts packets that the peer policy dropped.
	Denied int64 `json:"denied"`
}

// Limit is one ceiling of the relay beside what counts toward it.
type Limit struct {
	// Name is the setting's name below turn.limits.
	Name string `json:"name"`
	// Ceiling is null for none.
	Ceiling *int `json:"ceiling"`
	// InUse is what counts toward it now: of a limit of each user, source or allocation that of the one which is nearest to
	// it, and of challenges and bindings those of all sources together. Null where nobody counts, and for rates at first
	// and when nobody has looked for more than five seconds.
	InUse *float64 `json:"in_use"`
	// Refused counts what the limit has turned away since the start, for challenges and bindings replies that were
	// withheld. Null where it is counted with another limit.
	Refused *uint64 `json:"refused"`
}

// Traffic counts packets and their payload bytes in one direction.
type Traffic struct {
	Packets int64 `json:"packets"`
	Bytes   int64 `json:"bytes"`
}

// Outside is the relays' address as the outside sees it.
type Outside struct {
	// Address is empty while no STUN server has told one; Server told it, at CheckedMS since 1970.
	Address   string `json:"address"`
	Server    string `json:"server"`
	CheckedMS int64  `json:"checked_ms"`
	// Hairpin says whether the network brings packets for Address that come from inside back in.
	Hairpin bool `json:"hairpin"`
	// Problem is why the last check found nothing; empty when it did.
	Problem string `json:"problem"`
}

// SelfCall is the appliance's own call to itself through its relay: the proof that relaying works now.
type SelfCall struct {
	// Status is "starting", "connected" or "failed"; Reason says why it failed.
	Status string  `json:"status"`
	Reason string  `json:"reason"`
	RTTUS  float64 `json:"rtt_us"`
}
