package peerjs

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lxzan/gws"

	"tourbillon/signaling/socket"
	"tourbillon/timing"
)

// Stats counts what has happened since the server was made; Clients and Waiting are the present numbers of ids in use and
// of absent clients for whom something waits.
type Stats struct {
	// Opened counts connections, Rejected requests that never became one.
	Opened, Rejected uint64
	// Relayed counts messages passed on or kept, Expired those sent back.
	Relayed, Expired uint64
	// Refused counts bad messages, TooFast, Slow and Silent the connections given up for each, Panics those that a fault
	// of ours ended.
	Refused, TooFast, Slow, Silent, Panics uint64
	Clients, Waiting                       int
}

type counts struct {
	opened, rejected, relayed, expired, refused, tooFast, slow, silent, panics atomic.Uint64
}

// Server is the service. Its methods are safe for concurrent use.
type Server struct {
	config Config
	// clock runs short callbacks on the waker's goroutine, coarse the same for lifetimes.
	clock, coarse timing.Clock
	upgrader      *gws.Upgrader
	sockets       *socket.Poller
	gate          *gate
	counts        counts

	// tasks counts the open connections and every goroutine. It is raised by holders of a count, and under mu while not
	// stopping; so never from 0 while Shutdown waits.
	tasks sync.WaitGroup

	// mu guards what follows: it is the one owner's mark of the registry. Under it messages are queued, which does not
	// block; nothing is sent or waited for.
	mu       sync.Mutex
	stopping bool
	last     connID
	conns    map[connID]*conn
	registry *registry
	expiry   timing.Timer
	// touched are the connections that have got something to flush.
	touched []*conn
}

// New returns a server that runs until Shutdown. It starts no goroutine before the first connection.
func New(config Config) *Server {
	config = config.withDefaults()
	s := &Server{
		config: config, clock: timing.Inline(config.Clock), coarse: timing.Inline(timing.Coarse(config.Clock)),
		upgrader: newUpgrader(), gate: newGate(config.Limits),
		conns: map[connID]*conn{}, registry: newRegistry(config.Limits),
	}
	s.sockets = socket.NewPoller(config.Limits.MessageBytes, &s.tasks)
	return s
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	clients, waiting := len(s.registry.seats), len(s.registry.mailboxes)
	s.mu.Unlock()
	n := &s.counts
	return Stats{
		Opened: n.opened.Load(), Rejected: n.rejected.Load(), Relayed: n.relayed.Load(), Expired: n.expired.Load(),
		Refused: n.refused.Load(), TooFast: n.tooFast.Load(), Slow: n.slow.Load(), Silent: n.silent.Load(),
		Panics: n.panics.Load(), Clients: clients, Waiting: waiting,
	}
}

// Shutdown refuses new connections, closes the open ones with 1012 and waits for every goroutine. When ctx ends first
// it cuts what is left, still waits, and returns ctx's error. Further calls only wait.
func (s *Server) Shutdown(ctx context.Context) error {
	open := s.stop()
	for _, c := range open {
		c.end(farewellShutdown)
		c.out.flush()
	}
	if open != nil {
		s.tasks.Done()
	}
	done := make(chan struct{})
	go func() {
		s.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range open {
		c.sock.Cut()
	}
	<-done
	return fmt.Errorf("shut the PeerJS service down: clients were cut off: %w", ctx.Err())
}

// stop lets nothing more begin and returns what is open, with one task for the caller to end; nil when it was stopped
// before.
func (s *Server) stop() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return nil
	}
	s.stopping = true
	s.tasks.Add(1)
	stop(s.expiry)
	open := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		open = append(open, c)
	}
	return open
}

// background runs f on a goroutine that Shutdown waits for, unless it has been called.
func (s *Server) background(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.tasks.Go(f)
	}
}

// serve makes a connection over a socket and has it read until it ends.
func (s *Server) serve(tcp net.Conn, network netip.Prefix, request opening) {
	if !s.enter() {
		_, _ = tcp.Write(farewellShutdown.frames())
		_ = tcp.Close()
		s.gate.close(network)
		return
	}
	c := newConn(s, s.sockets.Conn(tcp), network)
	if s.list(c) {
		s.open(c, request)
	} else {
		c.end(farewellShutdown)
		c.out.flush()
	}
	s.sockets.Serve(c.sock, c)
}

// enter counts a connection in tasks; false once the server stops.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.tasks.Add(1)
	s.counts.opened.Add(1)
	return true
}

// list notes a connection; false once the server stops.
func (s *Server) list(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	c.id = s.last
	if s.stopping {
		return false
	}
	s.conns[c.id] = c
	return true
}

// open gives a connection the id that it asks for, or ends it.
func (s *Server) open(c *conn, request opening) {
	if request.refusal != nil {
		s.drop(c, refusal(request.refusal))
		return
	}
	c.watch() // Before the client knows that it is there.
	s.act(func() []effect { return s.registry.open(c.id, request.id, request.token) })
	s.config.Log.Debug("PeerJS client came", "id", request.id, "network", c.network)
}

// relay passes a client's message on.
func (s *Server) relay(c *conn, m message, now timing.Instant) {
	s.counts.relayed.Add(1)
	slow := s.act(func() []effect { return s.registry.relay(c.id, m, now) })
	for _, lost := range slow {
		s.act(func() []effect { return s.registry.lost(lost.id, c.id) })
	}
}

// drop ends a connection; its id is free at once.
func (s *Server) drop(c *conn, f *farewell) {
	if f == farewellSilent {
		s.counts.silent.Add(1)
	}
	s.mu.Lock()
	s.registry.leave(c.id)
	s.mu.Unlock()
	c.end(f)
	c.out.flush()
}

// detach frees the id of a connection that nothing more comes from. A fault is a panic of its reader.
func (s *Server) detach(c *conn, fault error) {
	f := &farewell{}
	if fault != nil {
		s.counts.panics.Add(1)
		s.config.Log.Error("connection broke its reader", "network", c.network, "error", fault)
		f = farewellFault
	}
	s.drop(c, f)
}

// forget ends what serve began.
func (s *Server) forget(c *conn) {
	c.release()
	s.gate.close(c.network)
	s.mu.Lock()
	delete(s.conns, c.id)
	s.mu.Unlock()
	s.tasks.Done()
}

// act has the registry do something and carries out what it wants done. It returns the connections that turned out too
// slow, which it has ended.
func (s *Server) act(do func() []effect) (slow []*conn) {
	s.mu.Lock()
	slow = s.carryOutLocked(do())
	var room [4]*conn // Most acts touch one connection.
	touched := append(room[:0], s.touched...)
	clear(s.touched)
	s.touched = s.touched[:0]
	s.planExpiryLocked()
	s.mu.Unlock()
	for _, c := range touched {
		c.out.flush()
	}
	return slow
}

func (s *Server) carryOutLocked(effects []effect) (slow []*conn) {
	for _, e := range effects {
		c := s.conns[e.conn]
		switch {
		case c == nil:
			continue
		case e.end != nil:
			c.end(e.end)
		case !c.out.push(socket.OpText, e.text) && c.end(farewellSlow):
			s.counts.slow.Add(1)
			slow = append(slow, c)
		}
		s.touched = append(s.touched, c)
	}
	return slow
}

// planExpiryLocked has one timer at the instant at which the first mailbox is given up.
func (s *Server) planExpiryLocked() {
	at, any := s.registry.next()
	switch {
	case s.stopping || !any:
	case s.expiry == nil:
		s.expiry = s.clock.At(at, func() { s.background(s.expire) })
	default:
		s.expiry.ResetAt(at)
	}
}

func (s *Server) expire() {
	s.act(func() []effect {
		effects := s.registry.expire(s.clock.Now())
		s.counts.expired.Add(uint64(len(effects)))
		return effects
	})
}

// ids lists the clients that are there, sorted.
func (s *Server) ids() []string {
	s.mu.Lock()
	ids := s.registry.ids()
	s.mu.Unlock()
	slices.Sort(ids)
	return ids
}
