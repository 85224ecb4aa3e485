package signaling

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lxzan/gws"

	"tourbillon/signaling/socket"
	"tourbillon/timing"
)

// Server is the signaling service: rooms, and the connections of their peers. Its methods are safe for concurrent use.
type Server struct {
	config Config
	// clock runs short callbacks on the waker's goroutine; heartbeats is the same for pings, coarse for lifetimes.
	clock, heartbeats, coarse timing.Clock
	upgrader                  *gws.Upgrader
	sockets                   *socket.Poller
	gate                      *admission
	paces                     *paces
	hub                       *hub
	counts                    counts
}

// RoomInfo is one room as of a moment.
type RoomInfo struct {
	Name string
	// Peers are in the order of their joining.
	Peers []PeerInfo
}

// PeerInfo is one peer of a room as of a moment. Name is the peer's own text, cleaned of control characters.
type PeerInfo struct {
	ID, Name string
	// Address is the client's, with port; empty while the peer is away.
	Address string
	// JoinedAt is wall-clock time.
	JoinedAt time.Time
	// Away is true while the peer's seat is held for it to come back.
	Away bool
	// Heartbeat is the interval of the pings; 0 while the peer is away.
	Heartbeat time.Duration
	// RTT is the smoothed round trip of the heartbeats and RTTVar its variation (RFC 6298), Jitter that of RFC 3550; 0
	// before the first pong.
	RTT, RTTVar, Jitter time.Duration
	// Report is the JSON object of the peer's latest "stats", at most 4 KiB of the client's own words; nil for none.
	Report json.RawMessage
	// ReportedAt is wall-clock time.
	ReportedAt time.Time
}

// New returns a server that runs until Shutdown. It starts no goroutine before the first connection.
func New(config Config) *Server {
	s := &Server{config: config.withDefaults()}
	s.clock = timing.Inline(s.config.Clock)
	s.heartbeats = timing.Inline(s.config.Heartbeats)
	s.coarse = timing.Inline(timing.Coarse(s.config.Clock))
	s.upgrader = newUpgrader()
	s.gate = newAdmission(s.config.Limits)
	s.paces = newPaces(s.config)
	s.hub = newHub(s.config, &s.counts)
	s.sockets = socket.NewPoller(messageLimit(s.config.Limits), &s.hub.tasks)
	return s
}

// Rooms returns the rooms and their peers, by name of room.
func (s *Server) Rooms() []RoomInfo {
	rooms := s.hub.snapshot()
	slices.SortFunc(rooms, func(a, b RoomInfo) int { return cmp.Compare(a.Name, b.Name) })
	return rooms
}

// Stats returns the counters.
func (s *Server) Stats() Stats { return s.counts.stats() }

// SetHeartbeat changes the interval of the pings of one class of clients or of ClassAll, of open connections and of
// later ones, 1 ms to 5 s. It tells each client, and returns how many open connections it reached.
func (s *Server) SetHeartbeat(class Class, interval time.Duration) (changed int, err error) {
	if err := s.paces.set(class, interval); err != nil {
		return 0, fmt.Errorf("set heartbeat: %w", err)
	}
	for _, c := range s.hub.open() {
		if c.paceClass(class, interval) {
			changed++
		}
	}
	return changed, nil
}

// Shutdown refuses new connections, tells each client when its connection ends and when to come back, ends them with
// 1012 one after another over Config.DrainSpread, and waits for every goroutine. When ctx ends first it cuts what is
// left, still waits, and returns ctx's error. Further calls only wait.
func (s *Server) Shutdown(ctx context.Context) error {
	open := s.hub.stop()
	slices.SortFunc(open, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	spread := s.config.DrainSpread
	for i, c := range open {
		in := spread * time.Duration(i) / time.Duration(max(len(open)-1, 1))
		// The last one ends after spread. Each comes back so long after its own end, so they all find the next server.
		notice := byeMessage{
			Type: typeBye, Reason: ReasonShutdown, ClosingInMS: in.Milliseconds(), RetryAfterMS: spread.Milliseconds(),
		}
		c.finishAfter(in, notice, farewell{code: closeRestart, reason: string(ReasonShutdown)})
	}
	return s.wait(ctx, open)
}

func (s *Server) wait(ctx context.Context, open []*conn) error {
	done := make(chan struct{})
	go func() {
		s.hub.tasks.Wait()
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
	return fmt.Errorf("shut signaling down: clients were cut off: %w", ctx.Err())
}

// attach makes a connection of a socket; nil once the server stops. The caller has the socket read, has detach called and
// at last release.
func (s *Server) attach(open func() link, addr netip.AddrPort, host string) *conn {
	if !s.hub.enter() {
		return nil
	}
	c := &conn{srv: s, sock: open(), addr: addr, host: host, unjoined: true, class: ClassBrowser}
	c.interval = s.paces.of(ClassBrowser)
	s.counts.opened.Add(1)
	c.open()
	if !s.hub.add(c) { // It stops just now, and has not seen this one.
		c.finish(farewell{code: closeRestart, reason: string(ReasonShutdown)})
		c.flush()
	}
	return c
}

// detach is called when nothing more will be received: the others hear of it at once. A cause is what the reading
// panicked with.
func (s *Server) detach(c *conn, cause error) {
	if cause != nil {
		s.counts.panics.Add(1)
		s.config.Log.Error("connection broke its reader", "address", c.addr, "error", cause)
	}
	s.hub.lost(c, ReasonClosed)
	reason := c.silence()
	c.settle()
	if c.peer != "" {
		s.config.Log.Info("peer gone", "room", c.room, "peer", c.peer, "reason", reason)
	}
}

// release ends a connection after its socket is closed.
func (s *Server) release(c *conn) {
	c.release()
	s.gate.close(c.addr.Addr())
	s.hub.remove(c)
	s.hub.tasks.Done()
}

// drop ends a connection for a reason that the others hear at once, whatever its socket still does.
func (s *Server) drop(c *conn, reason Reason, f farewell) {
	setDefault(&f.reason, string(reason))
	if !c.finish(f) {
		return
	}
	defer c.flush() // Last: a client that closes at once would be gone for that reason.
	switch reason {
	case ReasonSlow:
		s.counts.slow.Add(1)
	case ReasonTimeout:
		s.counts.timeouts.Add(1)
	}
	if reason == ReasonLeft {
		s.hub.leave(c, reason)
		return
	}
	s.hub.lost(c, reason)
}

func (s *Server) iceServers(peer, host string) ([]ICEServer, time.Duration) {
	if s.config.Credentials == nil {
		return nil, 0
	}
	return s.config.Credentials.ICEServers(peer, host)
}
