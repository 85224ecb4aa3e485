package timingtest

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"tourbillon/timing"
)

// Network is a packet network in memory: datagrams go from endpoint to endpoint as a rule says, lost, late or at once,
// and each is recorded with the instant at which it was sent. Delays and read deadlines run on the injected clock, so it
// works with [Manual], in a testing/synctest bubble and on real clocks.
//
// It is safe for concurrent use. Whoever made it closes it, which closes its endpoints and waits for what it started.
// Unlike UDP it queues without bound.
type Network struct {
	clock timing.Clock
	rule  Rule

	// flights counts the callbacks of delayed packets that may still run.
	flights sync.WaitGroup

	// mu guards the rest. No rule, timer or endpoint is called with it held.
	mu        sync.Mutex
	endpoints map[netip.AddrPort]*Endpoint
	sent      []Packet
	inFlight  map[*flight]struct{}
	closed    bool
}

// Packet is one datagram that was sent.
type Packet struct {
	From, To netip.AddrPort
	// Data belongs to the network and must not be changed.
	Data []byte
	Sent timing.Instant
	// Fate is what the rule decided; zero while it is deciding.
	Fate Fate
}

// Fate says what becomes of a packet. The zero Fate delivers it at once.
type Fate struct {
	Lose  bool
	Delay time.Duration
}

// Rule decides on each packet. It may be called from several goroutines at once and must not block.
type Rule func(Packet) Fate

// Deliver is the rule of a network that loses nothing and takes no time.
func Deliver(Packet) Fate { return Fate{} }

// NewNetwork returns a network without endpoints.
func NewNetwork(clock timing.Clock, rule Rule) *Network {
	return &Network{
		clock: clock, rule: rule,
		endpoints: make(map[netip.AddrPort]*Endpoint), inFlight: make(map[*flight]struct{}),
	}
}

// firstEphemeralPort is where the search for a free port starts (RFC 6335 section 6).
const firstEphemeralPort = 49152

// Listen opens an endpoint. The address has to be a certain one, with port 0 for any free port; one in use is refused
// with EADDRINUSE as a socket is.
func (n *Network) Listen(at netip.AddrPort) (*Endpoint, error) {
	if !at.IsValid() || at.Addr().IsUnspecified() {
		return nil, fmt.Errorf("listen on %v: the network in memory wants a certain address", at)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("listen on %v: %w", at, net.ErrClosed)
	}
	for port := uint16(firstEphemeralPort); at.Port() == 0; port++ {
		if free := netip.AddrPortFrom(at.Addr(), port); n.endpoints[free] == nil {
			at = free
		}
	}
	if n.endpoints[at] != nil {
		return nil, fmt.Errorf("listen on %v: %w", at, syscall.EADDRINUSE)
	}
	e := newEndpoint(n, at)
	n.endpoints[at] = e
	return e, nil
}

// Sent returns what was sent so far, in order.
func (n *Network) Sent() []Packet {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.sent)
}

// SentFrom returns what one endpoint sent so far, in order.
func (n *Network) SentFrom(from netip.AddrPort) []Packet {
	return slices.DeleteFunc(n.Sent(), func(p Packet) bool { return p.From != from })
}

// SentTo returns what was sent to one address so far, in order.
func (n *Network) SentTo(to netip.AddrPort) []Packet {
	return slices.DeleteFunc(n.Sent(), func(p Packet) bool { return p.To != to })
}

// Close closes the endpoints and drops what is on its way. It waits for deliveries that have begun, so it must not be
// called from a rule or from a callback of a manual clock.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	endpoints := make([]*Endpoint, 0, len(n.endpoints))
	for _, e := range n.endpoints {
		endpoints = append(endpoints, e)
	}
	flights := make([]*flight, 0, len(n.inFlight))
	for f := range n.inFlight {
		flights = append(flights, f)
	}
	n.mu.Unlock()
	for _, f := range flights {
		if f.timer.Stop() {
			n.flights.Done()
		}
	}
	for _, e := range endpoints {
		_ = e.Close() // Returns nil always.
	}
	n.flights.Wait()
	return nil
}

// send records a packet, asks the rule and starts the packet on its way.
func (n *Network) send(from, to netip.AddrPort, data []byte) {
	p := Packet{From: from, To: to, Data: bytes.Clone(data), Sent: n.clock.Now()}
	n.mu.Lock()
	place := len(n.sent)
	n.sent = append(n.sent, p)
	n.mu.Unlock()

	p.Fate = n.rule(p)
	n.mu.Lock()
	n.sent[place].Fate = p.Fate
	n.mu.Unlock()
	switch {
	case p.Fate.Lose:
	case p.Fate.Delay > 0:
		n.launch(p)
	default:
		n.deliver(p)
	}
}

// flight is a packet on its way.
type flight struct{ timer timing.Timer }

func (n *Network) launch(p Packet) {
	n.mu.Lock()
	defer n.mu.Unlock() // An arrival waits until its flight is known.
	if n.closed {
		return
	}
	f := &flight{}
	n.flights.Add(1)
	n.inFlight[f] = struct{}{}
	f.timer = n.clock.At(p.Sent.Add(p.Fate.Delay), func() {
		defer n.flights.Done()
		n.mu.Lock()
		delete(n.inFlight, f)
		n.mu.Unlock()
		n.deliver(p)
	})
}

// deliver gives a packet to the endpoint that it is addressed to. Where nobody listens it is lost, without a word to
// the sender.
func (n *Network) deliver(p Packet) {
	n.mu.Lock()
	e := n.endpoints[p.To]
	n.mu.Unlock()
	if e != nil {
		e.take(p)
	}
}

func (n *Network) forget(e *Endpoint) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.endpoints[e.at] == e {
		delete(n.endpoints, e.at)
	}
}

// until returns the time left to a date. Manual clocks have a date of their own.
func (n *Network) until(date time.Time) time.Duration {
	if dated, ok := n.clock.(interface{ Time() time.Time }); ok {
		return date.Sub(dated.Time())
	}
	return time.Until(date)
}

// Arrived is the instant at which the packet was delivered; [timing.Never] of a lost one.
func (p Packet) Arrived() timing.Instant {
	if p.Fate.Lose {
		return timing.Never
	}
	return p.Sent.Add(max(p.Fate.Delay, 0))
}
