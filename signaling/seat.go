package signaling

import (
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// seatID names one seat for as long as the process runs.
type seatID uint64

// seat is a peer's place in a room and, for a client that said hello, what outlives its socket: the numbers and the
// unacknowledged messages of its session.
type seat struct {
	id    seatID
	room  *room
	peer  string
	token tokenID
	can   Capabilities
	// host is the name by which the client reached the server last; the hub owns it.
	host string
	// lasting is true for a client that said hello.
	lasting bool

	// Owned by the hub, under its lock. conn is nil while the peer is away, hold is armed then and ends the seat.
	conn *conn
	hold *hold
	// got is the highest number that the client gave a message of its own. Anybody may read it.
	got atomic.Uint64
	// report is what the client measured, as its own JSON; reportedAt is wall-clock time.
	report     json.RawMessage
	reportedAt time.Time
	// local is true once the peer has sent something to the local one.
	local bool

	// mu guards what follows. It is taken with the hub's lock held or alone, and before a connection's.
	mu     sync.Mutex
	replay replay
	// generation is that of the latest session given out. unproved is true until a pong has shown that the client got
	// it: the one before is good until then.
	generation uint64
	unproved   bool
}

// deliver queues a message of the room for the peer, now or for when it is back. It reports true when the connection
// has no room for it.
func (s *seat) deliver(text []byte, limits Limits) (overflow bool) {
	m := outgoing{text: text}
	if s.lasting {
		s.mu.Lock()
		defer s.mu.Unlock() // Held until it is queued, so that numbers leave in order.
		m.n = s.replay.add(text, limits)
	}
	return s.conn != nil && s.conn.enqueue(m)
}

// ponged takes what a pong proves: the connection of that generation lives, and its client has seen all messages up
// to last.
func (s *seat) ponged(generation, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation == generation {
		s.unproved = false
	}
	s.replay.acknowledge(last)
}

// missed returns the messages after the given number; false when they are not all kept.
func (s *seat) missed(last uint64) ([][]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts, ok := s.replay.since(last)
	return slices.Clone(texts), ok
}

// admits judges a session's generation: the latest one, or the one before while that is in doubt.
func (s *seat) admits(generation uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return generation >= s.generation || s.unproved && generation+1 == s.generation
}

// renew moves on to the generation after the given one.
func (s *seat) renew(generation uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation = max(s.generation, generation) + 1
	s.unproved = true
	return s.generation
}

// accept takes the number that a client gave its message; false for one that it has given before. 0 is no number.
func (s *seat) accept(n uint64) bool {
	if n == 0 {
		return true
	}
	if n <= s.got.Load() {
		return false
	}
	s.got.Store(n)
	return true
}
