package signaling

import (
	"encoding/json"
	"sync"
	"time"

	"tourbillon/timing"
)

// hub owns all rooms, the seats in them, and the list of open connections. Its mutex is the one owner's mark: rooms
// are touched only with it held. Under it messages are queued on connections, which does not block; nothing is sent,
// called back or waited for: unlock sends them.
type hub struct {
	limits Limits
	counts *counts
	// local is nil where nobody is.
	local LocalPeer
	// clock tells the instant of an event, lifetimes ends held seats, on goroutines of their own, now is wall-clock time.
	clock, lifetimes timing.Clock
	now              func() time.Time

	// tasks counts the open connections, every goroutine that is started for one while it is open, and the held seats. So it
	// is never raised from 0 while Shutdown waits.
	tasks sync.WaitGroup

	// orchestrator decides over paths, credentials issues what restarts need; either may be nil.
	orchestrator Orchestrator
	credentials  Credentials

	// mu guards what follows.
	mu       sync.Mutex
	stopping bool
	lastConn connID
	lastSeat seatID
	conns    map[connID]*conn
	rooms    map[string]*room
	seats    map[seatID]*seat
	// tokens counts the seats that each token has opened.
	tokens map[tokenID]int
	// touched are the connections on which something was queued, for unlock to send.
	touched []*conn
	// followed counts the pairs whose paths are followed.
	followed followed
}

// connID names one connection for as long as the process runs.
type connID uint64

func newHub(config Config, counts *counts) *hub {
	return &hub{
		limits: config.Limits, counts: counts, local: config.Local,
		orchestrator: config.Orchestrator, credentials: config.Credentials,
		clock: config.Clock, lifetimes: timing.Coarse(config.Clock), now: config.Now,
		conns: map[connID]*conn{}, rooms: map[string]*room{}, seats: map[seatID]*seat{}, tokens: map[tokenID]int{},
	}
}

// enter counts a connection in tasks; false once the server stops.
func (h *hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return false
	}
	h.tasks.Add(1)
	return true
}

// add lists a connection; false once the server stops.
func (h *hub) add(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return false
	}
	h.lastConn++
	c.id = h.lastConn
	h.conns[c.id] = c
	return true
}

// remove takes a connection, whose seat is gone or held, off the list.
func (h *hub) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c.id)
}

// stop lets no more connections in, holds no more seats, and returns the connections that are open.
func (h *hub) stop() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
	for _, s := range h.seats {
		h.stopHoldLocked(s)
	}
	for _, r := range h.rooms {
		for _, p := range r.pairs {
			h.stopWakeLocked(p)
		}
	}
	return h.openLocked()
}

// open returns the connections that are open.
func (h *hub) open() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.openLocked()
}

// touchLocked notes that something was queued on a connection.
func (h *hub) touchLocked(c *conn) { h.touched = append(h.touched, c) }

// unlock ends the holding of mu, and sends what was queued meanwhile.
func (h *hub) unlock() {
	var room [4]*conn // Most events touch few connections.
	touched := append(room[:0], h.touched...)
	clear(h.touched)
	if h.touched = h.touched[:0]; cap(h.touched) > maxTouched {
		h.touched = nil
	}
	h.mu.Unlock()
	for _, c := range touched {
		c.flush()
	}
}

// maxTouched is how long a list is kept for the next event.
const maxTouched = 256

func (h *hub) openLocked() []*conn {
	open := make([]*conn, 0, len(h.conns))
	for _, c := range h.conns {
		open = append(open, c)
	}
	return open
}

func (h *hub) stopped() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopping
}

// sweepLocked forgets a room without peers.
func (h *hub) sweepLocked(r *room) {
	if r.empty() {
		delete(h.rooms, r.name)
	}
}

// apply gives an event of a connection's peer to its room. n is the client's own number of the message; one that was
// seen before is passed over.
func (h *hub) apply(c *conn, n uint64, e event) *Error {
	h.mu.Lock()
	defer h.unlock()
	if c.seat == nil {
		return errNotJoined()
	}
	if !c.seat.accept(n) {
		return nil
	}
	return h.applyLocked(c.seat.room, e)
}

// pass notes the number of a message that no room gets to see; false when it was seen before.
func (h *hub) pass(c *conn, n uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return c.seat == nil || c.seat.accept(n)
}

// report keeps what a client measured.
func (h *hub) report(c *conn, stats json.RawMessage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.seat != nil {
		c.seat.report, c.seat.reportedAt = stats, h.now()
	}
}
