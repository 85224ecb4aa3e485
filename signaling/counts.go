package signaling

import "sync/atomic"

// Stats counts what has happened since the server was made.
type Stats struct {
	// Opened counts connections, Refused requests that never became one (origin, host, limits).
	Opened, Refused uint64
	// Joined counts joins, Resumed the sessions taken up again, ResumesRefused those that were not, Relayed the offers,
	// answers, candidates, restarts and messages passed on.
	Joined, Resumed, ResumesRefused, Relayed uint64
	// Errors counts the "error" messages that answered a client, RateLimited those of them with that code.
	Errors, RateLimited uint64
	// SlowConsumers and Timeouts count connections that were given up, Panics those that a fault of ours ended.
	SlowConsumers, Timeouts, Panics uint64
	// RestartsAsked counts the ICE restarts that clients were asked for.
	RestartsAsked uint64
}

// counts is Stats while it grows.
type counts struct {
	opened, refusedRequests, joined, resumed, resumesRefused, relayed, errors, limited, slow, timeouts, panics,
	restartsAsked atomic.Uint64
}

func (n *counts) refused(code Code) {
	n.errors.Add(1)
	if code == CodeRateLimited {
		n.limited.Add(1)
	}
}

func (n *counts) stats() Stats {
	return Stats{
		Opened: n.opened.Load(), Refused: n.refusedRequests.Load(),
		Joined: n.joined.Load(), Resumed: n.resumed.Load(), ResumesRefused: n.resumesRefused.Load(),
		Relayed: n.relayed.Load(),
		Errors:  n.errors.Load(), RateLimited: n.limited.Load(),
		SlowConsumers: n.slow.Load(), Timeouts: n.timeouts.Load(), Panics: n.panics.Load(),
		RestartsAsked: n.restartsAsked.Load(),
	}
}
