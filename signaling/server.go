package signaling

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"tourbillon/timing"
)

// Server is the signaling service: rooms, and the connections of their peers. Its methods are safe for concurrent use.
type Server struct {
	config Config
	// clock runs short callbacks on the waker's goroutine; heartbeats is the same for pings, coarse for lifetimes.
	clock, heartbeats, coarse timing.Clock
	upgrader                  gwsUpgrader
	gate                      *admission
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
	// Address is the client's, with port.
	Address string
	// JoinedAt is wall-clock time.
	JoinedAt time.Time
	// RTT is the smoothed round trip of the heartbeats, Jitter its variation after RFC 3550; 0 before the first pong.
	RTT, Jitter time.Duration
}

// New returns a server that runs until Shutdown. It starts no goroutine before the first connection.
func New(config Config) *Server {
	s := &Server{config: config.withDefaults()}
	s.clock = timing.Inline(s.config.Clock)
	s.heartbeats = timing.Inline(s.config.Heartbeats)
	s.coarse = timing.Inline(timing.Coarse(s.config.Clock))
	s.upgrader = newUpgrader(s.config.Limits.MessageBytes)
	s.gate = newAdmission(s.config.Limits)
	s.hub = newHub(s.config.Limits, &s.counts, s.config.Now)
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

// Shutdown refuses new connections, tells each client when to come back, spread over Config.RetrySpread, closes with
// 1012 and waits for every goroutine. When ctx ends first it cuts what is left, still waits, and returns ctx's error.
// Further calls only wait.
func (s *Server) Shutdown(ctx context.Context) error {
	open := s.hub.stop()
	slices.SortFunc(open, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	for i, c := range open {
		retry := s.config.RetrySpread * time.Duration(i) / time.Duration(max(len(open)-1, 1))
		c.finish(farewell{
			code:   closeRestart,
			reason: string(ReasonShutdown),
			last:   byeMessage{Type: typeBye, Reason: ReasonShutdown, RetryAfterMS: retry.Milliseconds()},
		})
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
		c.sock.Abort()
	}
	<-done
	return fmt.Errorf("shut signaling down: clients were cut off: %w", ctx.Err())
}

// attach makes a connection of a socket; nil once the server stops. The caller reads from the socket on a goroutine of
// its own, gives receive what it reads, and calls detach and at last release.
func (s *Server) attach(sock socket, addr netip.AddrPort, host string) *conn {
	c := &conn{srv: s, sock: sock, addr: addr, host: host, unjoined: true}
	if !s.hub.add(c) {
		return nil
	}
	s.counts.opened.Add(1)
	c.open()
	return c
}

// detach is called when nothing more will be received: the others hear of it at once. A cause is what the reading
// panicked with.
func (s *Server) detach(c *conn, cause any) {
	if cause != nil {
		s.counts.panics.Add(1)
		s.config.Log.Warn("connection broke the frame reader", "address", c.addr, "cause", cause)
	}
	s.hub.gone(c, ReasonClosed)
	reason := c.silence()
	c.settle()
	if c.peer != "" {
		s.config.Log.Info("peer gone", "room", c.room, "peer", c.peer, "reason", reason)
	}
}

// release ends a connection after its socket is closed.
func (s *Server) release(c *conn) {
	c.release()
	s.hub.remove(c)
	s.hub.tasks.Done()
}

// drop ends a connection for a reason that the others hear at once, whatever its socket still does.
func (s *Server) drop(c *conn, reason Reason, f farewell) {
	setDefault(&f.reason, string(reason))
	if !c.finish(f) {
		return
	}
	switch reason {
	case ReasonSlow:
		s.counts.slow.Add(1)
	case ReasonTimeout:
		s.counts.timeouts.Add(1)
	}
	s.hub.gone(c, reason)
}

// authorise judges whether a client may join a room.
func (s *Server) authorise(m inbound) *Error {
	switch {
	case s.config.OpenRooms:
		return nil
	case m.Token == "":
		return errTokenRequired()
	case s.config.Tokens == nil:
		return errBadToken("this server accepts no tokens")
	}
	return s.config.Tokens.judge(m.Token, m.Room, s.config.Now())
}

func (s *Server) iceServers(peer, host string) ([]ICEServer, time.Duration) {
	if s.config.Credentials == nil {
		return nil, 0
	}
	return s.config.Credentials.ICEServers(peer, host)
}
