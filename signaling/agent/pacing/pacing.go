// Package pacing decides when connectivity checks leave (RFC 8445 sections 6.1.4.2 and 14.2): one per Ta and agent, apart
// from each other at one remote address, under a ceiling over all agents.
//
// It is pure: [Scheduler] is told the instant with each call and reads no clock; its owner serialises the calls, keeps a
// timer for [Scheduler.Next] and sends what [Scheduler.Take] returns. Requests are values that it does not look into.
package pacing

import (
	"container/heap"
	"math"
	"net/netip"
	"time"

	"tourbillon/timing"
)

// Defaults.
const (
	// DefaultTa is the time between two checks of one agent (RFC 8445 section 14.2).
	DefaultTa = 50 * time.Millisecond
	// DefaultApart is the least time between two checks to one remote address, of whichever agents: what RFC 8445
	// section 14.2 sets as the least Ta.
	DefaultApart = 5 * time.Millisecond
	// DefaultCeiling is how many checks leave in a second, of all agents.
	DefaultCeiling = 2000
	// DefaultMaxWait is how long a check may wait: pion sends it again 200 ms later.
	DefaultMaxWait = 200 * time.Millisecond
	// DefaultHold is how long an agent that awaits its peer's checks sends none of its own. It is longer than most
	// peers need to get our answer and have a check with us, and not longer than a check may wait.
	DefaultHold = 150 * time.Millisecond
	// maxQueue is how many checks of one agent may wait, one for each remote address: as many as the candidates that
	// signaling lets a peer have.
	maxQueue = 128
)

// Config sets the pace; zero values take the defaults.
type Config struct {
	Ta, Apart, MaxWait, Hold time.Duration
	// Ceiling is in checks per second.
	Ceiling int
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value  *time.Duration
		normal time.Duration
	}{{&c.Ta, DefaultTa}, {&c.Apart, DefaultApart}, {&c.MaxWait, DefaultMaxWait}, {&c.Hold, DefaultHold}} {
		if *d.value <= 0 {
			*d.value = d.normal
		}
	}
	if c.Ceiling <= 0 {
		c.Ceiling = DefaultCeiling
	}
	return c
}

// Request is one check that is to leave.
type Request[T any] struct {
	To netip.AddrPort
	// Payload is the owner's.
	Payload T
	// Offered is when it was given to the scheduler.
	Offered timing.Instant
}

// Scheduler holds the checks that wait. An agent is named by a number of its owner's. Make one with [New].
type Scheduler[T any] struct {
	config  Config
	gap     time.Duration
	agents  map[uint64]*agent[T]
	waiting queue[T]
	// remotes are when a check last left for an address, so long as that matters.
	remotes map[netip.AddrPort]timing.Instant
	last    timing.Instant
	sent    bool
	counts  Counts
}

// Counts is what became of checks.
type Counts struct {
	// Sent left, Dropped would have waited too long, Replaced made way for a newer one to the same address, and Ended
	// belonged to an agent that ended first.
	Sent, Dropped, Replaced, Ended int
	// Waited is the sum of what the sent ones waited, Longest the most.
	Waited, Longest time.Duration
}

// always is before every instant: clocks may count from a later one than the present.
const always = timing.Instant(math.MinInt64)

// agent is one agent's checks.
type agent[T any] struct {
	requests []Request[T]
	counts   Counts
	// visited are when each address was last sent to; heard are those that the peer was heard from since.
	visited map[netip.AddrPort]timing.Instant
	heard   map[netip.AddrPort]bool
	// slot is when the agent may send next, held when at the latest it stops waiting for the peer's checks, ready the
	// earliest instant that also suits the address.
	slot, held, ready timing.Instant
	// index is its place in the heap, -1 for none.
	index int
}

// New returns a scheduler with nothing to send.
func New[T any](config Config) *Scheduler[T] {
	config = config.withDefaults()
	return &Scheduler[T]{
		config: config, gap: time.Second / time.Duration(config.Ceiling),
		agents: map[uint64]*agent[T]{}, remotes: map[netip.AddrPort]timing.Instant{},
	}
}

// Counts tells what became of checks so far.
func (s *Scheduler[T]) Counts() Counts { return s.counts }

// CountsOf tells what became of one agent's checks so far; nothing once it has ended.
func (s *Scheduler[T]) CountsOf(id uint64) Counts {
	if a := s.agents[id]; a != nil {
		return a.counts
	}
	return Counts{}
}

// count notes what became of a check, for its agent and for all.
func (s *Scheduler[T]) count(a *agent[T], note func(*Counts)) {
	note(&s.counts)
	note(&a.counts)
}

// Waiting is how many checks wait.
func (s *Scheduler[T]) Waiting() int {
	n := 0
	for _, a := range s.waiting {
		n += len(a.requests)
	}
	return n
}

// Offer adds a check. One to the same address that still waits is replaced: it would ask the same.
func (s *Scheduler[T]) Offer(id uint64, to netip.AddrPort, payload T, now timing.Instant) {
	a := s.agent(id)
	s.expire(a, now)
	if i := a.find(to); i >= 0 {
		a.requests[i].Payload, a.requests[i].Offered = payload, now
		s.count(a, func(c *Counts) { c.Replaced++ })
		return
	}
	if len(a.requests) >= maxQueue {
		s.count(a, func(c *Counts) { c.Dropped++ })
		return
	}
	a.requests = append(a.requests, Request[T]{To: to, Payload: payload, Offered: now})
	s.place(a)
}

// agent returns an agent, new where it is not known.
func (s *Scheduler[T]) agent(id uint64) *agent[T] {
	a := s.agents[id]
	if a == nil {
		a = &agent[T]{
			visited: map[netip.AddrPort]timing.Instant{}, heard: map[netip.AddrPort]bool{}, slot: always, held: always, index: -1,
		}
		s.agents[id] = a
	}
	return a
}

// Await tells that the peer is about to begin with checks: until it is heard, or for the hold, the agent sends none. What
// it sent before the peer has its answer would be lost, and would occupy the slot of the triggered check, which alone
// brings a nomination. RFC 8445 sets the least time between checks (section 14.2) and what goes first (section 6.1.4.2);
// it obliges nobody to begin at once.
func (s *Scheduler[T]) Await(id uint64, now timing.Instant) {
	a := s.agent(id)
	a.held = now.Add(s.config.Hold)
	clear(a.heard)
	s.place(a)
}

// Heard tells that the peer's own check has come from an address: the check that answers it goes first, as a triggered
// one does (RFC 8445 section 7.3.1.4), and the peer is awaited no more.
func (s *Scheduler[T]) Heard(id uint64, from netip.AddrPort) {
	a := s.agents[id]
	if a == nil {
		return
	}
	if len(a.heard) < maxQueue {
		a.heard[from] = true
	}
	a.held = always
	s.place(a)
}

// End forgets an agent with all that waits. Nothing of it is returned by Take afterwards, until it offers again; Offer and
// Await begin one of the same number anew.
func (s *Scheduler[T]) End(id uint64) {
	a := s.agents[id]
	if a == nil {
		return
	}
	s.counts.Ended += len(a.requests)
	if a.index >= 0 {
		heap.Remove(&s.waiting, a.index)
	}
	delete(s.agents, id)
}

// Next is the instant at which Take may have something to do; false while nothing waits.
func (s *Scheduler[T]) Next() (timing.Instant, bool) {
	if len(s.waiting) == 0 {
		return 0, false
	}
	return max(s.waiting[0].ready, s.open()), true
}

// open is when the ceiling lets the next check leave.
func (s *Scheduler[T]) open() timing.Instant {
	if !s.sent {
		return always
	}
	return s.last.Add(s.gap)
}

// Take returns a check that leaves now; false when none does. The owner calls it until then.
func (s *Scheduler[T]) Take(now timing.Instant) (Request[T], bool) {
	for len(s.waiting) > 0 && s.open() <= now {
		a := s.waiting[0]
		if a.ready > now {
			break
		}
		s.expire(a, now)
		if i := s.pick(a, now); i >= 0 {
			return s.take(a, i, now), true
		}
		s.place(a) // Another agent has just sent to the same address, or all have waited too long.
	}
	return Request[T]{}, false
}

// pick chooses among the addresses that may be sent to: those heard from first, then the one not visited for longest,
// so that no pair starves however many there are.
func (s *Scheduler[T]) pick(a *agent[T], now timing.Instant) int {
	best := -1
	for i, r := range a.requests {
		if s.free(r.To) > now {
			continue
		}
		if best < 0 || a.before(r.To, a.requests[best].To) {
			best = i
		}
	}
	return best
}

func (a *agent[T]) before(x, y netip.AddrPort) bool {
	if a.heard[x] != a.heard[y] {
		return a.heard[x]
	}
	return a.visit(x) < a.visit(y)
}

// visit is when an address was last sent to.
func (a *agent[T]) visit(to netip.AddrPort) timing.Instant {
	if at, ok := a.visited[to]; ok {
		return at
	}
	return always
}

func (s *Scheduler[T]) take(a *agent[T], i int, now timing.Instant) Request[T] {
	r := a.requests[i]
	a.requests = append(a.requests[:i], a.requests[i+1:]...)
	if len(a.visited) >= maxQueue {
		clear(a.visited) // More addresses than candidates: fairness begins again.
	}
	a.visited[r.To], a.slot = now, now.Add(s.config.Ta)
	delete(a.heard, r.To)
	s.visit(r.To, now)
	s.last, s.sent = now, true
	waited := now.Sub(r.Offered)
	s.count(a, func(c *Counts) {
		c.Sent++
		c.Waited += waited
		c.Longest = max(c.Longest, waited)
	})
	s.place(a)
	return r
}

// visit notes that an address is sent to, and forgets those that matter no more.
func (s *Scheduler[T]) visit(to netip.AddrPort, now timing.Instant) {
	if len(s.remotes) >= maxQueue {
		for address, at := range s.remotes {
			if now.Sub(at) >= s.config.Apart {
				delete(s.remotes, address)
			}
		}
	}
	s.remotes[to] = now
}

// free is when an address may be sent to again.
func (s *Scheduler[T]) free(to netip.AddrPort) timing.Instant {
	at, ok := s.remotes[to]
	if !ok {
		return always
	}
	return at.Add(s.config.Apart)
}

// expire drops what has waited too long.
func (s *Scheduler[T]) expire(a *agent[T], now timing.Instant) {
	kept := a.requests[:0]
	for _, r := range a.requests {
		if now.Sub(r.Offered) > s.config.MaxWait {
			s.count(a, func(c *Counts) { c.Dropped++ })
			continue
		}
		kept = append(kept, r)
	}
	clear(a.requests[len(kept):])
	a.requests = kept
}

// place puts an agent where it belongs in the heap: out of it when nothing waits.
func (s *Scheduler[T]) place(a *agent[T]) {
	if len(a.requests) == 0 {
		if a.index >= 0 {
			heap.Remove(&s.waiting, a.index)
		}
		return
	}
	earliest := timing.Never
	for _, r := range a.requests {
		earliest = min(earliest, s.free(r.To))
	}
	a.ready = max(a.slot, a.held, earliest)
	if a.index >= 0 {
		heap.Fix(&s.waiting, a.index)
		return
	}
	heap.Push(&s.waiting, a)
}

func (a *agent[T]) find(to netip.AddrPort) int {
	for i, r := range a.requests {
		if r.To == to {
			return i
		}
	}
	return -1
}

// queue is a heap of agents by readiness.
type queue[T any] []*agent[T]

func (q queue[T]) Len() int           { return len(q) }
func (q queue[T]) Less(i, j int) bool { return q[i].ready < q[j].ready }
func (q queue[T]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue[T]) Push(x any) {
	a := x.(*agent[T])
	a.index = len(*q)
	*q = append(*q, a)
}

func (q *queue[T]) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	a.index, (*q)[last] = -1, nil
	*q = (*q)[:last]
	return a
}
