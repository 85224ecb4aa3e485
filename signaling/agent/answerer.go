package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing"
)

// Caller names the peer that a call comes from.
type Caller struct {
	Room, Peer string
	// Address is where its signaling connection comes from; calls are bounded by it, those from IPv6 by the /64.
	Address netip.Addr
	// Stay numbers the peer's presence in the room, upwards: what ends one stay does not end a call of a later one.
	Stay uint64
}

// Reply is how an answerer's words get to a caller. Its methods do not block; what cannot be delivered is lost.
type Reply interface {
	Answer(sdp string)
	// Restart asks the caller to make an offer with an ICE restart; the reason names the route to use.
	Restart(reason string)
	// Refuse says that an offer, which was queued, is not taken after all; a call that stood before goes on. An offer that
	// waited when its call ended is refused too, before Ended says why.
	Refuse(why *CallError)
	// Ended says that the call has ended, and not by the caller. Nothing of it follows, but a Dropped that is being told at
	// that very moment, by another goroutine.
	Ended(why *CallError)
	// Dropped says that messages of the caller's are dropped, at most once in [DroppedEvery].
	Dropped(why *CallError)
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
	// MessagesPerSecond is how many of the caller's messages are taken on all data channels of a call, as many at once;
	// what comes on top is dropped. Default 1000.
	MessagesPerSecond int
}

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	setDefault(&l.Total, 64)
	setDefault(&l.PerAddress, 4)
	setDefault(&l.SDPBytes, 32<<10)
	setDefault(&l.SDPLines, 1024)
	setDefault(&l.Candidates, 100)
	setDefault(&l.Lifetime, time.Hour)
	setDefault(&l.Idle, 2*time.Minute)
	setDefault(&l.Bytes, 256<<20)
	setDefault(&l.MessagesPerSecond, 1000)
	return l
}

func setDefault[T comparable](value *T, normal T) {
	var zero T
	if *value == zero {
		*value = normal
	}
}

// AnswererConfig is what an Answerer is made from. Socket and Clock are needed.
type AnswererConfig struct {
	Socket *link.Socket
	Clock  timing.Clock
	Limits Limits
	// Orchestration bounds phases and restarts. The appliance has host candidates only, so a route is what the caller
	// is to take.
	Orchestration orchestrate.Config
	// Log gets the ends of calls, as errors those that are our fault, and pion's lines at debug level. Default none.
	Log *slog.Logger
	// Opened, where set, is told of each data channel that has opened. It must not block.
	Opened func(Caller)
}

// Answerer is the appliance as a peer: whoever calls it gets an agent that answers on data channels "echo" and
// "measure". Its methods are safe for concurrent use and do not block, but for Close.
type Answerer struct {
	config AnswererConfig

	// mu guards what follows.
	mu    sync.Mutex
	calls map[callerKey]*incoming
	// running are the present calls and those that are ending.
	running map[*incoming]struct{}
	stats   Stats
	closed  bool
	tasks   sync.WaitGroup
	done    context.CancelFunc
	ctx     context.Context
}

// callerKey is a Caller without its address, which may change in a call.
type callerKey struct{ room, peer string }

// NewAnswerer returns an answerer without calls. Close it before its socket.
func NewAnswerer(config AnswererConfig) *Answerer {
	config.Limits = config.Limits.WithDefaults()
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	a := &Answerer{config: config, calls: map[callerKey]*incoming{}, running: map[*incoming]struct{}{}, stats: newStats()}
	a.ctx, a.done = context.WithCancel(context.Background())
	return a
}

// Offer begins a call or renegotiates the caller's present one; an offer with other ICE credentials restarts ICE. One of
// another certificate is of a new peer connection, which a reloaded page has: its call takes the present one's place, as any
// takes the place of one that has stopped. An error, as one of Candidate's, is a [*CallError]; what is found wrong later the
// reply tells.
func (a *Answerer) Offer(from Caller, sdp string, reply Reply) error {
	o, err := a.config.Limits.judge(sdp)
	if err != nil {
		return a.refused(err)
	}
	if err := a.place(from, o, reply); err != nil {
		return a.refused(err)
	}
	return nil
}

// Candidate adds a candidate of the caller's, as in RTCIceCandidateInit.candidate; an empty one ends them. One of a kind
// that is not tried, or at an address where agents do not send, is passed over without a word: browsers have such.
func (a *Answerer) Candidate(from Caller, candidate string) error {
	if candidate == "" {
		return nil
	}
	c, err := a.present(from)
	if err == nil {
		if _, err = readCandidate(candidate); !errors.Is(err, ErrBadCandidate) {
			err = c.post(message{kind: trickled, text: candidate})
		}
	}
	if err != nil {
		return a.refused(err)
	}
	return nil
}

// Leave ends the caller's call, if there is one of this stay or an earlier one.
func (a *Answerer) Leave(from Caller) {
	if c, err := a.present(from); err == nil && c.from.Stay <= from.Stay {
		c.stop(EndLeft, "the caller has left")
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

// place gives an offer to the caller's call that it belongs to. It makes one if need be and if there may be another one:
// a call that has stopped, and is but closing yet, takes no offer.
func (a *Answerer) place(from Caller, o offer, reply Reply) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrStopped
	}
	key, m := callerKey{from.Room, from.Peer}, message{kind: offered, offer: o}
	present := a.calls[key]
	if present != nil && slices.Equal(present.fingerprints, o.fingerprints) {
		if err := present.post(m); !errors.Is(err, ErrNoCall) {
			return err
		}
	}
	if err := a.admitLocked(from, present != nil); err != nil {
		return err
	}
	c := newIncoming(a.config, from, o.fingerprints, reply)
	if present != nil {
		present.stop(EndReplaced, "the caller has begun another call")
		c.after = present.told
	}
	_ = c.post(m) // Its first, before it runs: it can neither be full nor have stopped.
	a.calls[key], a.running[c] = c, struct{}{}
	a.stats.Begun++
	a.tasks.Go(func() {
		c.run(a.ctx)
		a.forget(key, c)
	})
	return nil
}

// admitLocked bounds calls, in total and from one address. One that takes another's place adds none, but to those that are
// ending, which takes a moment: of all together there may be twice as many.
func (a *Answerer) admitLocked(from Caller, replaces bool) error {
	l := a.config.Limits
	switch {
	case len(a.running) >= 2*l.Total:
		return fmt.Errorf("%d calls, some of them ending: %w", len(a.running), ErrBusy)
	case countFrom(from.Address, maps.Keys(a.running)) >= 2*l.PerAddress:
		return busyAddress("%d from one address, some of them ending", 2*l.PerAddress, "call again in a moment")
	case replaces:
		return nil
	case len(a.calls) >= l.Total:
		return fmt.Errorf("%d calls: %w", len(a.calls), ErrBusy)
	case countFrom(from.Address, maps.Values(a.calls)) >= l.PerAddress:
		return busyAddress("%d from one address", l.PerAddress, "hang up another call first")
	}
	return nil
}

func busyAddress(wrong string, n int, remedy string) error {
	return &CallError{
		Kind: ErrBusy, Wrong: fmt.Sprintf(wrong, n), Remedy: remedy + "; who operates the server sets agents.calls_per_address",
	}
}

// countFrom counts the calls from an address's network.
func countFrom(address netip.Addr, calls iter.Seq[*incoming]) (n int) {
	for c := range calls {
		if networkOf(c.from.Address) == networkOf(address) {
			n++
		}
	}
	return n
}

// networkOf is what one client holds whole: an IPv4 address, or an IPv6 /64.
func networkOf(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := 64
	if address.Is4() {
		bits = 32
	}
	network, _ := address.Prefix(bits) // Fails only for the invalid address, whose zero prefix serves as well.
	return network
}

func (a *Answerer) forget(key callerKey, c *incoming) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls[key] == c {
		delete(a.calls, key)
	}
	delete(a.running, c)
	a.stats.add(c)
}

// Close ends all calls and waits for what they started.
func (a *Answerer) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.done()
	a.tasks.Wait()
}
