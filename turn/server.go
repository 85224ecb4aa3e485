package turn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"tourbillon/timing"
)

// Server is a running STUN and TURN server. Its methods are safe for concurrent use.
type Server struct {
	core      *core
	realm     string
	ttl       time.Duration
	listeners []*listener
	host      *hostPolicy
	watching  *timing.Periodic // refreshes host
	external  *external        // nil without STUN servers
	stopping  context.Context  // ends as Close begins
	stop      context.CancelFunc

	closing *latch // told to close
	closed  chan struct{}
}

// listener is one bound address and what serves it.
type listener struct {
	transport Transport
	addr      netip.AddrPort
	packets   *udpListener    // for UDP, nil otherwise
	conns     *streamListener // for TCP, TLS and DTLS, nil otherwise
}

// Address is a bound listen address.
type Address struct {
	Transport Transport
	Addr      netip.AddrPort
}

// Listen binds every listener of a configuration and serves until Close. Its error joins every [ConfigError], or is the
// [ListenError] of the first address that cannot be bound; nothing is left open then. It blocks for up to two seconds
// at each address that is in use.
func Listen(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("turn: configuration: %w", err)
	}
	s := &Server{
		core: newCore(cfg), realm: cfg.Realm, ttl: cfg.CredentialTTL,
		closing: newLatch(), closed: make(chan struct{}),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.host = &hostPolicy{core: s.core, cfg: cfg, gather: GatherHost}
	if err := s.host.refresh(); err != nil {
		return nil, fmt.Errorf("turn: %w", err)
	}
	s.core.openPlane(cfg)
	if err := s.bind(cfg); err != nil {
		return nil, errors.Join(err, s.core.closePlane())
	}
	s.serve()
	s.watching = s.host.watch()
	s.findExternal(cfg)
	for _, p := range cfg.AllowPeers {
		cfg.Log.Warn("turn: relays may reach a special-purpose network", "allow_peers", p.String())
	}
	return s, nil
}

// bind opens every socket, all or none.
func (s *Server) bind(cfg Config) error {
	for _, at := range cfg.listeners() {
		bound, err := s.bindPatiently(at, cfg.TLSConfig)
		if err != nil {
			for _, open := range s.listeners {
				open.close()
			}
			return &ListenError{
				Network: at.transport.network(), Address: at.address, Field: at.transport.field(), Err: err,
			}
		}
		s.listeners = append(s.listeners, bound...)
	}
	return nil
}

// bindPatience is for how long an address in use is asked for again, and bindPause how often. The kernel takes a killed
// server's sockets out of its io_uring only after the process is gone: its UDP port was in use for 2 to 25 ms more (Linux
// 6.18, two processors, 130 kills, idle and with eight busy loops beside it), and the next server asked for it after 19 to
// 63 ms. On a processor that stands still meanwhile the one may outlast the other.
const (
	bindPatience = 2 * time.Second
	bindPause    = 20 * time.Millisecond
)

// bindPatiently is bindOne, and asks again for an address in use.
func (s *Server) bindPatiently(at listenAddress, config *tls.Config) ([]*listener, error) {
	bound, err := s.bindOne(at, config)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return bound, err
	}
	s.core.log.Info("turn: an address is in use, perhaps still by a server that was killed; asking again",
		"address", at.address, "transport", string(at.transport), "for", bindPatience)
	clock := s.core.clock
	end := clock.Now().Add(bindPatience)
	for errors.Is(err, syscall.EADDRINUSE) && clock.Now() < end && pause(clock, bindPause, s.stopping.Done()) {
		bound, err = s.bindOne(at, config)
	}
	return bound, err
}

// bindOne binds one address, for UDP on every loop of the data plane.
func (s *Server) bindOne(at listenAddress, config *tls.Config) ([]*listener, error) {
	if at.transport == UDP {
		return s.bindUDP(at)
	}
	l := &listener{transport: at.transport}
	if at.transport == TCP || at.transport == TLS {
		socket, err := net.Listen(familyOf("tcp", at), at.address)
		if err != nil {
			return nil, err
		}
		var secure secureLayer
		if at.transport == TLS {
			secure = func(raw net.Conn) (securedConn, error) { return tls.Server(raw, config), nil }
		}
		l.conns, l.addr = newStreamListener(s.core, socket, s.core.gate, secure), addrPort(socket.Addr())
		return []*listener{l}, nil
	}
	socket, err := net.ListenPacket(familyOf("udp", at), at.address)
	if err != nil {
		return nil, err
	}
	l.addr = addrPort(socket.LocalAddr())
	l.conns = newStreamListener(s.core, newDemux(s.core, telling(s.core, socket)), s.core.dtlsGate, dtlsLayer(config, s.core))
	l.conns.datagrams = true
	return []*listener{l}, nil
}

// familyOf keeps an IPv4 wildcard from listening on IPv6 as well, and an IPv6 wildcard from listening on IPv4 where
// another listener does.
func familyOf(network string, l listenAddress) string {
	at, err := netip.ParseAddrPort(l.address)
	switch {
	case err == nil && at.Addr().Is4():
		return network + "4"
	case l.alone6:
		return network + "6"
	}
	return network
}

// serve begins to read every listener.
func (s *Server) serve() {
	for i, l := range s.listeners {
		h := &control{core: s.core, listener: i, transport: l.transport, server: l.addr}
		if l.conns != nil {
			l.conns.serve(h)
			continue
		}
		h.loop = l.packets.loop
		s.core.tasks.Add(1) // Until its read loop ends.
		go l.packets.run(h.transactions(l.packets))
	}
}

// findExternal begins to ask for the outside address, if there is anybody to ask.
func (s *Server) findExternal(cfg Config) {
	if len(cfg.STUNServers) == 0 {
		return
	}
	s.external = &external{
		core: s.core, servers: cfg.STUNServers, end: s.core.relays.end(familyIPv4),
		changed: func() {
			if err := s.host.refresh(); err != nil {
				s.core.log.Warn("turn: the list of denied peers is not refreshed", "error", err)
			}
		},
	}
	s.core.tasks.Go(func() { s.external.run(s.stopping) })
}

// External returns what STUN servers told of the outside address; false while they have told nothing or none is
// configured.
func (s *Server) External() (External, bool) {
	if s.external == nil {
		return External{}, false
	}
	last := s.external.last()
	return last, last.Address.IsValid()
}

// close closes the socket and, for a stream, its connections.
func (l *listener) close() error {
	if l.packets != nil {
		return l.packets.Close()
	}
	return l.conns.Close()
}

// Kick ends every allocation of a user id and returns how many there were. Their clients are told nothing; their next
// request is answered 437. It does not revoke credentials.
func (s *Server) Kick(user string) (ended int) {
	for _, e := range s.core.allocations.those(func(e *entry) bool { return e.user == user }) {
		if e.end() {
			ended++
		}
	}
	return ended
}

// Drain refuses new allocations and waits until the present ones have ended or ctx has. It returns how many are left.
// An Allocate is answered 508 (RFC 8656 7.2: the server is out of capacity and another may serve), since 300 (Try
// Alternate) must name another server and 486 would blame the user. Everything else goes on; Close still follows.
func (s *Server) Drain(ctx context.Context) (left int) {
	empty := s.core.allocations.drain()
	select {
	case <-empty:
	case <-ctx.Done():
	}
	return s.core.allocations.count()
}

// Close ends every allocation, then every connection, then every listener, and waits for all goroutines. When ctx ends
// first it returns its error and the rest goes on without being waited for. Later calls wait likewise.
func (s *Server) Close(ctx context.Context) error {
	if s.closing.close() {
		s.stop()
		s.watching.StopAndWait()
		s.core.relays.close()
		s.core.reserved.close()
		s.core.allocations.close()
		for _, l := range s.listeners {
			// What closing reports is of no use to anyone: the socket is gone either way.
			_ = l.close()
		}
		go func() { // Ends with the last task.
			s.core.tasks.Wait()
			_ = s.core.closePlane() // Its sockets have ended; what is left is memory.
			close(s.closed)
		}()
	}
	select {
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("turn: close: wait for connections and relays: %w", ctx.Err())
	}
}

// Addresses lists what is bound, UDP first, then TCP, TLS and DTLS, each in the order of the configuration.
func (s *Server) Addresses() []Address {
	all := make([]Address, 0, len(s.listeners))
	for _, l := range s.listeners {
		all = append(all, Address{Transport: l.transport, Addr: l.addr})
	}
	return slices.Compact(all) // An address has a listener for each loop.
}

// Allocations lists the live allocations, oldest first.
func (s *Server) Allocations() []Allocation { return s.core.allocations.snapshot() }

// Stats returns the counters.
func (s *Server) Stats() Stats {
	stats := s.core.counters.snapshot()
	stats.Ports = s.core.relays.ports * len(s.core.relays.ends)
	s.core.allocations.fill(&stats)
	return s.core.planeStats(stats)
}

// SetCredentials replaces the shared secrets and the static users: the first secret issues from now on, all verify.
// Keep the previous secret in the list until its credentials are out of use: sessions made with a secret or as a user
// that is gone cannot be refreshed.
func (s *Server) SetCredentials(secrets [][]byte, users map[string]string) error {
	if err := errors.Join(validateSecrets(secrets), validateUsers(users)); err != nil {
		return fmt.Errorf("turn: replace credentials: %w", err)
	}
	s.core.ring.Store(newKeyring(s.realm, secrets, users))
	return nil
}
