package turn

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tourbillon/timing"
	"tourbillon/turn/relay"
)

// core is what every listener and relay shares.
type core struct {
	clock  timing.Clock
	now    func() time.Time
	log    *slog.Logger
	limits Limits

	realmBytes []byte
	nonces     *nonces

	ring        atomic.Pointer[keyring] // replaced whole by SetCredentials
	allocations *allocations
	relays      *relays
	reserved    *reservations
	policy      atomic.Pointer[Policy] // replaced whole by hostPolicy
	gate        *gate
	plane       *relay.Plane  // nil where there are no loops
	lent        atomic.Uint32 // the step of the nonce in the challenge that the plane has, ^0 for none
	// dtlsGate is apart from gate, since anybody can fill it from addresses that are not theirs.
	dtlsGate  *gate
	bandwidth ceiling // of all relays together

	challenges, bindings *throttle
	throttleLog          logGate
	retryLog, panicLog   logGate
	relayLog, refusalLog logGate
	// probe is the source of a Ready in progress, which the throttles do not count; zero or nil otherwise.
	probe atomic.Pointer[netip.AddrPort]

	counters counters
	// tasks counts every goroutine and relay socket that Close waits for.
	tasks sync.WaitGroup
}

func newCore(cfg Config) *core {
	c := &core{
		clock: cfg.Clock, now: cfg.Now, log: cfg.Log, limits: cfg.Limits, realmBytes: []byte(cfg.Realm), nonces: newNonces(),
		allocations: newAllocations(cfg.Limits, cfg.Clock),
		reserved:    newReservations(cfg.Clock, cfg.Limits.AllocationsPerUser),
		gate:        newGate(cfg.Limits),
		dtlsGate:    newGate(cfg.Limits),
		bandwidth:   newCeiling(cfg.Limits.ServerBytesPerSecond),
		challenges:  newThrottle(cfg.Limits.ChallengesPerSecond),
		bindings:    newThrottle(cfg.Limits.BindingsPerSecond),
	}
	c.lent.Store(^uint32(0))
	c.ring.Store(newKeyring(cfg.Realm, cfg.Secrets, cfg.Users))
	c.relays = newRelays(c, cfg)
	c.policy.Store(NewPolicy(c.relays.addresses(), cfg.MuxPorts, cfg.AllowPeers, cfg.DenyPeers, nil))
	return c
}

// survive is deferred where a packet is served: a panic there costs one packet or one request, not the process. The
// frame's zero results must mean "refused".
func (c *core) survive(where string) {
	if cause := recover(); cause != nil {
		c.panicked(where, cause)
	}
}

// panicked counts a panic that was recovered from.
func (c *core) panicked(where string, cause any) {
	c.counters.panics.Add(1)
	if suppressed, ok := c.panicLog.pass(c.clock.Now()); ok {
		c.log.Error("turn: recovered from a panic", "where", where, "cause", cause, "suppressed", suppressed)
	}
}

// refused counts credentials that do not hold, and tells who wants to know.
func (c *core) refused(client netip.AddrPort, username string, why authFailure) {
	c.counters.authFailures.add(string(why))
	if !c.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	if suppressed, ok := c.refusalLog.pass(c.clock.Now()); ok {
		c.log.Debug("turn: credentials refused", "client", client.String(), "username", printable(username),
			"why", string(why), "suppressed", suppressed)
	}
}

// allocationFailed says why an allocation that the quotas admit could not be made.
func (c *core) allocationFailed(err error) {
	if suppressed, ok := c.relayLog.pass(c.clock.Now()); ok {
		c.log.Warn("turn: no relay for a client", "error", err, "suppressed", suppressed)
	}
}

// retry counts a socket error that may pass and pauses; false means that done closed and the caller gives up.
func (c *core) retry(b *backoff, done <-chan struct{}) bool {
	c.counters.retries.Add(1)
	if suppressed, ok := c.retryLog.pass(c.clock.Now()); ok {
		c.log.Warn("turn: socket error, retrying", "suppressed", suppressed)
	}
	return b.wait(done)
}

// admitReply tells whether a packet to a client may leave. Only what a spoofed source could have asked for is limited
// (RFC 8489 16.2.2); then silence is the answer.
func (c *core) admitReply(p []byte, client netip.AddrPort) bool {
	defer c.survive("reply")
	kind, limit, sent, withheld := relay.BindingReply, c.bindings, &c.counters.bindings, &c.counters.throttledBindings
	switch classifyReply(p) {
	case replyOther:
		return true
	case replyChallenge:
		kind, limit = relay.ChallengeReply, c.challenges
		sent, withheld = &c.counters.challenges, &c.counters.throttledChallenges
	}
	if probe := c.probe.Load(); probe != nil && *probe == client {
		return true
	}
	now := c.clock.Now()
	if c.plane != nil && c.plane.AdmitReply(kind, client.Addr()) || c.plane == nil && limit.allow(client.Addr(), now) {
		sent.Add(1)
		return true
	}
	withheld.Add(1)
	if suppressed, ok := c.throttleLog.pass(now); ok {
		c.log.Warn("turn: replies withheld from a source", "source", sourceGroup(client.Addr()).String(),
			"suppressed", suppressed)
	}
	return false
}
