package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing"
)

// Caller names the peer that a call comes from.
type Caller struct {
	Room, Peer string
	// Address is where its signaling connection comes from; calls are bounded by it.
	Address netip.Addr
}

// Reply is how an answerer's words get to a caller. Its methods do not block; what cannot be delivered is lost.
type Reply interface {
	Answer(sdp string)
	// Restart asks the caller to make an offer with an ICE restart; the reason names the route to use.
	Restart(reason string)
}

// Limits bounds what callers may use; zero values take the defaults.
type Limits struct {
	// Total and PerAddress are how many calls there may be at once. Default 64 and 4.
	Total, PerAddress int
	// SDPBytes, SDPLines and Candidates bound an offer, Candidates also those that follow it. Default 32 KiB, 1024 and 100.
	SDPBytes, SDPLines, Candidates int
	// Lifetime ends a call however it goes, Idle one that carries nothing. Default 1 h and 2 min.
	Lifetime, Idle time.Duration
	// Bytes is what a call may carry both ways. Default 256 MiB.
	Bytes int64
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.Total, 64)
	setDefault(&l.PerAddress, 4)
	setDefault(&l.SDPBytes, 32<<10)
	setDefault(&l.SDPLines, 1024)
	setDefault(&l.Candidates, 100)
	setDefault(&l.Lifetime, time.Hour)
	setDefault(&l.Idle, 2*time.Minute)
	setDefault(&l.Bytes, 256<<20)
	return l
}

func setDefault[T comparable](value *T, normal T) {
	var zero T
	if *value == zero {
		*value = normal
	}
}

// What a caller is refused for.
var (
	// ErrBusy says that there are as many calls as there may be.
	ErrBusy = errors.New("as many calls as there may be, try again later")
	// ErrBadOffer says that an offer is too large or cannot be read.
	ErrBadOffer = errors.New("bad offer")
	// ErrNoCall says that a message belongs to no call: it begins with an offer.
	ErrNoCall = errors.New("no call, begin with an offer")
	// ErrTooMany says that a call has had all the candidates or messages that it may have.
	ErrTooMany = errors.New("too many candidates or messages")
	// ErrStopped says that the answerer is closed.
	ErrStopped = errors.New("stopped")
)

// AnswererConfig is what an Answerer is made from. Socket and Clock are needed.
type AnswererConfig struct {
	Socket *link.Socket
	Clock  timing.Clock
	Limits Limits
	// Orchestration bounds phases and restarts. The appliance has host candidates only, so a route is what the caller
	// is to take.
	Orchestration orchestrate.Config
	// Log gets the ends of calls, and pion's lines at debug level. Default none.
	Log *slog.Logger
	// Opened, where set, is told of each data channel that has opened. It must not block.
	Opened func(Caller)
}

// Answerer is the appliance as a peer: whoever calls it gets an agent that answers on data channels "echo" and
// "measure". Its methods are safe for concurrent use and do not block, but for Close.
type Answerer struct {
	config AnswererConfig

	// mu guards what follows.
	mu     sync.Mutex
	calls  map[callerKey]*incoming
	closed bool
	tasks  sync.WaitGroup
	done   context.CancelFunc
	ctx    context.Context
}

// callerKey is a Caller without its address, which may change in a call.
type callerKey struct{ room, peer string }

// NewAnswerer returns an answerer without calls. Close it before its socket.
func NewAnswerer(config AnswererConfig) *Answerer {
	config.Limits = config.Limits.withDefaults()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	a := &Answerer{config: config, calls: map[callerKey]*incoming{}}
	a.ctx, a.done = context.WithCancel(context.Background())
	return a
}

// Offer begins a call or renegotiates the caller's present one; an offer with other ICE credentials restarts ICE.
func (a *Answerer) Offer(from Caller, sdp string, reply Reply) error {
	if err := a.config.Limits.judge(sdp); err != nil {
		return err
	}
	c, err := a.callOf(from, reply)
	if err != nil {
		return err
	}
	return c.post(message{kind: offered, text: sdp})
}

// Candidate adds a candidate of the caller's, as in RTCIceCandidateInit.candidate; an empty one ends them.
func (a *Answerer) Candidate(from Caller, candidate string) error {
	c, err := a.present(from)
	if err != nil || candidate == "" {
		return err
	}
	return c.post(message{kind: trickled, text: candidate})
}

// Leave ends the caller's call, if there is one.
func (a *Answerer) Leave(from Caller) {
	if c, err := a.present(from); err == nil {
		c.stop("the caller has left")
	}
}

func (a *Answerer) present(from Caller) (*incoming, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.calls[callerKey{from.Room, from.Peer}]
	if c == nil {
		return nil, ErrNoCall
	}
	return c, nil
}

// callOf returns the caller's call, which it makes if need be and if there may be another one.
func (a *Answerer) callOf(from Caller, reply Reply) (*incoming, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := callerKey{from.Room, from.Peer}
	switch c := a.calls[key]; {
	case a.closed:
		return nil, ErrStopped
	case c != nil:
		return c, nil
	case len(a.calls) >= a.config.Limits.Total:
		return nil, fmt.Errorf("%d calls: %w", len(a.calls), ErrBusy)
	case a.countLocked(from.Address) >= a.config.Limits.PerAddress:
		return nil, fmt.Errorf("%d calls from one address: %w", a.config.Limits.PerAddress, ErrBusy)
	}
	c := newIncoming(a.config, from, reply)
	a.calls[key] = c
	a.tasks.Go(func() {
		c.run(a.ctx)
		a.forget(key)
	})
	return c, nil
}

func (a *Answerer) countLocked(address netip.Addr) (n int) {
	for _, c := range a.calls {
		if c.from.Address == address {
			n++
		}
	}
	return n
}

func (a *Answerer) forget(key callerKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.calls, key)
}

// CallStatus is how one call stands.
type CallStatus struct {
	Caller Caller
	State  orchestrate.State
	Route  orchestrate.Route
	// Phases are how long the call was in each state, Timeline what it went through.
	Phases   map[orchestrate.State]time.Duration
	Timeline []orchestrate.Entry
	Path     link.Status
	Bytes    int64
}

// Calls returns the present calls, in no order.
func (a *Answerer) Calls() []CallStatus {
	a.mu.Lock()
	calls := make([]*incoming, 0, len(a.calls))
	for _, c := range a.calls {
		calls = append(calls, c)
	}
	a.mu.Unlock()
	all := make([]CallStatus, len(calls))
	for i, c := range calls {
		all[i] = c.status()
	}
	return all
}

// Close ends all calls and waits for what they started.
func (a *Answerer) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.done()
	a.tasks.Wait()
}
