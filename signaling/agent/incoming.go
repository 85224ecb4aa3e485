package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing"
)

// kind tells messages to a call apart.
type kind int

const (
	offered kind = iota
	trickled
	selected
	lost
	woken
)

// message is what one call is told: by the caller (offered, trickled) or by itself.
type message struct {
	kind  kind
	text  string
	offer offer
	// pair is what was selected.
	pair *webrtc.ICECandidatePair
}

// maxInbox is how many messages of the caller may wait.
const maxInbox = 128

// incoming is one call. run owns the peer connection; everybody else posts messages.
type incoming struct {
	config AnswererConfig
	from   Caller
	reply  Reply
	log    loggerFactory
	began  timing.Instant
	// fingerprints are those of the caller's certificates.
	fingerprints []string

	// after, where not nil, is told of the call whose place this one took; told is closed when the caller hears no more of
	// this one. So an answer does not come before the refusal of an earlier offer.
	after <-chan struct{}
	told  chan struct{}

	// stopped is closed with the reason for the end.
	stopped  chan struct{}
	stopOnce sync.Once
	class    End
	reason   string
	// word, where not nil, is what the caller is told of the end.
	word *CallError
	// bytes counts what the data channels carried, used is the instant of the last of it. dropped counts the caller's
	// messages that came too fast, passedOver its candidates that are not tried.
	bytes, used         atomic.Int64
	dropped, passedOver atomic.Int64
	// warned is the instant at which the caller was last told that its messages are dropped.
	warned atomic.Int64
	// lost and asked count the losses of consent and the restarts asked for.
	lost, asked atomic.Int64
	allowance   allowance
	// opened counts the data channels.
	opened       atomic.Int32
	measurements measurements

	// mu guards what follows; notify has room for one word that the inbox is not empty.
	mu      sync.Mutex
	inbox   []message
	notify  chan struct{}
	machine *orchestrate.Machine
	path    *link.Path
	pair    Pair

	// Owned by run.
	connection *webrtc.PeerConnection
	candidates int
	answered   bool
	wake       timing.Timer
}

func newIncoming(config AnswererConfig, from Caller, fingerprints []string, reply Reply) *incoming {
	now := config.Clock.Now()
	c := &incoming{
		config: config, from: from, reply: reply, log: loggerFactory{config.Log}, began: now, fingerprints: fingerprints,
		told: make(chan struct{}), stopped: make(chan struct{}), notify: make(chan struct{}, 1),
		allowance: newAllowance(config.Limits.MessagesPerSecond, now),
	}
	c.used.Store(int64(now))
	c.warned.Store(int64(timing.Never))
	var first orchestrate.Wake
	c.machine, first = orchestrate.New(config.Orchestration, now)
	c.wake = config.Clock.At(first.At, func() { _ = c.post(message{kind: woken}) })
	return c
}

// post queues a message; the caller's are bounded, the call's own are few. A call that has stopped takes none: ErrNoCall.
func (c *incoming) post(m message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over():
		return ErrNoCall
	case m.kind <= trickled && len(c.inbox) >= maxInbox:
		return &CallError{
			Kind: ErrTooMany, Wrong: fmt.Sprintf("%d of this call wait to be taken", maxInbox),
			Remedy: "send them more slowly, this one again in a moment",
		}
	}
	c.inbox = append(c.inbox, m)
	select {
	case c.notify <- struct{}{}:
	default:
	}
	return nil
}

// stop ends the call for a reason that the caller knows.
func (c *incoming) stop(class End, reason string) { c.finish(class, reason, nil) }

// stopFor ends the call for a reason that the caller is told.
func (c *incoming) stopFor(class End, why *CallError) { c.finish(class, why.Error(), why) }

func (c *incoming) finish(class End, reason string, word *CallError) {
	c.stopOnce.Do(func() {
		c.class, c.reason, c.word = class, reason, word
		close(c.stopped)
	})
}

// over reports whether the call has stopped.
func (c *incoming) over() bool {
	select {
	case <-c.stopped:
		return true
	default:
		return false
	}
}

// run answers until the call ends, then waits for what it started.
func (c *incoming) run(ctx context.Context) {
	defer c.end()
	if c.after != nil {
		<-c.after // Soon: that call has stopped.
	}
	if err := c.open(); err != nil {
		word := &CallError{Kind: ErrFault, Wrong: "no agent for a call", Remedy: remedyOf(ErrFault)}
		c.finish(EndFault, "no agent for it: "+err.Error(), word)
	} else {
		c.attend(ctx)
	}
	c.logEnd(ctx)
	c.tellEnd()
}

// stopping is the reason for the end of calls at the answerer's.
const stopping = "the appliance stops"

// attend takes what comes until the call stops.
func (c *incoming) attend(ctx context.Context) {
	l := c.config.Limits
	lifetime := c.config.Clock.AfterFunc(l.Lifetime, func() {
		c.stopFor(EndLifetime, reached("agents.lifetime", "over the lifetime of %v", l.Lifetime))
	})
	defer lifetime.Stop()
	idle := c.watchIdle()
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			c.stop(EndStopped, stopping)
		case <-c.stopped:
			return
		case <-c.notify:
			c.work(ctx)
		}
	}
}

// logEnd tells the operator of the end; one by our own fault is an error.
func (c *incoming) logEnd(ctx context.Context) {
	level := slog.LevelInfo
	if c.class == EndFault {
		level = slog.LevelError
	}
	c.config.Log.Log(ctx, level, "call ended", "room", c.from.Room, "peer", c.from.Peer, "reason", c.reason)
}

// tellEnd is the caller's last word of a call that has stopped.
func (c *incoming) tellEnd() {
	c.refuseWaiting()
	if c.word != nil {
		c.reply.Ended(c.word)
	}
	close(c.told)
}

// refuseWaiting tells the caller of its offers that nobody takes any more, once the call has stopped. Whoever has left, has
// begun another call or is told that the appliance stops waits for no answer.
func (c *incoming) refuseWaiting() {
	c.mu.Lock()
	inbox := c.inbox
	c.inbox = nil
	c.mu.Unlock()
	if c.class == EndLeft || c.class == EndReplaced || c.class == EndStopped {
		return
	}
	for _, m := range inbox {
		if m.kind == offered {
			c.reply.Refuse(&CallError{
				Kind: ErrNoCall, Wrong: "it ended before this offer was taken", Remedy: "send the peer connection's offer again",
			})
		}
	}
}

// watchIdle stops the call when nothing was carried for the limit: it looks again when the last use was later.
func (c *incoming) watchIdle() timing.Timer {
	limit := c.config.Limits.Idle
	var timer timing.Timer
	made := make(chan struct{})
	timer = c.config.Clock.AfterFunc(limit, func() {
		<-made
		at := timing.Instant(c.used.Load()).Add(limit)
		if c.config.Clock.Now() >= at {
			c.stopFor(EndIdle, reached("agents.idle", "idle for %v", limit))
			return
		}
		timer.ResetAt(at)
	})
	close(made)
	return timer
}

// work takes what waits, up to the end of the call.
func (c *incoming) work(ctx context.Context) {
	for m, ok := c.next(); ok; m, ok = c.next() {
		switch err := c.take(ctx, m); {
		case err == nil:
		case ctx.Err() != nil:
			c.stop(EndStopped, stopping) // Whatever else it brought about.
		default:
			c.stopFor(endOf(err), advised(err))
		}
	}
}

// next takes a message out of the inbox; false where there is none, or the call has stopped.
func (c *incoming) next() (m message, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) == 0 || c.over() {
		return message{}, false
	}
	m, c.inbox[0] = c.inbox[0], message{}
	c.inbox = c.inbox[1:]
	return m, true
}

func (c *incoming) take(ctx context.Context, m message) error {
	switch m.kind {
	case offered:
		return c.answer(ctx, m.offer)
	case trickled:
		return c.add(m.text)
	case selected:
		if err := c.chosen(m.pair); err != nil {
			return err
		}
		c.apply(orchestrate.PairSelected)
	case lost:
		c.lost.Add(1)
		c.apply(orchestrate.Lost)
	case woken:
		c.apply(orchestrate.Woken)
	}
	return nil
}

// open makes the peer connection over a path of its own.
func (c *incoming) open() error {
	path, err := c.config.Socket.NewPath(func(timing.Instant) { _ = c.post(message{kind: lost}) })
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.path = path
	c.mu.Unlock()
	api := webrtc.NewAPI(webrtc.WithSettingEngine(c.settings(path)), webrtc.WithMediaEngine(&webrtc.MediaEngine{}))
	c.connection, err = api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return fmt.Errorf("make a peer connection: %w", err)
	}
	c.connection.OnDataChannel(c.serve)
	c.connection.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateFailed || s == webrtc.PeerConnectionStateClosed {
			c.stop(EndConnection, "the connection is "+s.String()) // DTLS ended or failed: no restart of ICE mends that.
		}
	})
	// The callback asks pion for nothing: a graceful close waits for it with pion's locks held.
	c.connection.SCTP().Transport().ICETransport().OnSelectedCandidatePairChange(func(pair *webrtc.ICECandidatePair) {
		_ = c.post(message{kind: selected, pair: pair})
	})
	return nil
}

// maxCheckRequests is how often pion may send a check to one pair: pacing holds back what it counts, so that its own 7
// would give up pairs that were never asked. Time limits are the orchestrator's.
const maxCheckRequests = 1000

// anyPort stands for a port that every rule admits where it admits the address.
const anyPort = 65535

// settings make pion send by our path alone: TCP where the socket takes it, but not on our initiative, no multicast DNS,
// and no liveness of pion's own, which counts media as consent.
func (c *incoming) settings(path *link.Path) webrtc.SettingEngine {
	var s webrtc.SettingEngine
	s.SetICEUDPMux(path.Mux())
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	if mux, network := path.TCPMux(); mux != nil {
		s.SetICETCPMux(mux)
		s.SetNet(network)
		s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6})
	}
	s.DisableActiveTCP(true)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true) // What is announced is the socket's to say.
	s.SetICETimeouts(0, 0, 0)
	s.SetICEMaxBindingRequests(maxCheckRequests)
	s.SetRemoteIPFilter(c.mayTry)
	s.LoggerFactory = c.log
	Hasten(&s)
	return s
}

// mayTry is our rule for the addresses that pion finds itself.
func (c *incoming) mayTry(ip net.IP) bool {
	address, ok := netip.AddrFromSlice(ip)
	return ok && c.config.Socket.Admits(netip.AddrPortFrom(address, anyPort))
}

func (c *incoming) end() {
	c.mu.Lock()
	path := c.path
	c.mu.Unlock()
	c.wake.Stop()
	c.measurements.stop()
	if c.connection != nil {
		_ = c.connection.GracefulClose() // Already closed is all it reports.
	}
	if path != nil {
		path.Close()
	}
}

// apply advances the orchestration and carries out what it asks for.
func (c *incoming) apply(e orchestrate.Event) {
	c.mu.Lock()
	effects := c.machine.Apply(e, c.config.Clock.Now())
	c.mu.Unlock()
	for _, effect := range effects {
		switch effect := effect.(type) {
		case orchestrate.Wake:
			c.wake.ResetAt(effect.At)
		case orchestrate.Ask:
			c.asked.Add(1)
			c.reply.Restart(string(effect.Route))
		case orchestrate.Fail:
			c.stopFor(EndNoRoute, &CallError{Kind: ErrNoRoute, Wrong: effect.Reason, Remedy: remedyOf(ErrNoRoute)})
		}
	}
}
