package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"

	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/pacing"
	"tourbillon/timing"
)

// Config is what a Socket is made from. Conn and Clock are needed; the zero value of another field takes the default
// that its comment states.
type Config struct {
	// Conn is the socket's from Open on, which closes it.
	Conn Conn
	// Clock paces checks. Consent times its freshness. Default of Consent: Clock.
	Clock, Consent timing.Clock
	// Listener, where set, takes TCP connections of peers that UDP does not reach; it is the socket's from Open on.
	Listener net.Listener
	// Wire sends consent checks by the kernel. It is not closed with the socket. Default: timers of Consent send.
	Wire *timing.Wire
	// Pacing is the pace of connectivity checks. Default that of package pacing.
	Pacing pacing.Config
	// Admit says where agents may send. Default [Admit] with nothing allowed.
	Admit func(netip.AddrPort) bool
	// Announce are the addresses of host candidates: what peers reach the socket by. Default: the socket's own address,
	// and those of all interfaces where it is bound to none.
	Announce []netip.AddrPort
	// Random makes checks unpredictable. Default the system's generator.
	Random consent.Random
	// PionLog makes pion's loggers. Default: pion is silent.
	PionLog logging.LoggerFactory
}

func (c Config) withDefaults() Config {
	if c.Consent == nil {
		c.Consent = c.Clock
	}
	if c.Admit == nil {
		c.Admit = Admit()
	}
	if c.Random == nil {
		c.Random = secret{}
	}
	if c.PionLog == nil {
		silent := logging.NewDefaultLoggerFactory()
		silent.DefaultLogLevel = logging.LogLevelDisabled
		c.PionLog = silent
	}
	return c
}

// Socket is the UDP socket of all agents. It is the connection under pion's mux. Its methods are safe for concurrent use.
type Socket struct {
	config Config
	mux    *ice.UDPMuxDefault
	pacer  *pacer
	sender sender
	// streams is nil without a listener.
	streams *streams
	counts  socketCounts
	// readEnded is closed when reading is over.
	readEnded chan struct{}
	endOnce   sync.Once

	// mu guards what follows. It is taken with a path's mu held, never the other way round.
	mu     sync.Mutex
	lastID uint64
	closed bool
	paths  map[*Path]struct{}
	// checks are the consent checks whose answers are awaited; owners the paths by the remote address of their pair.
	checks map[consent.TransactionID]*Path
	owners map[netip.AddrPort]*Path
}

type socketCounts struct{ forbidden, foreign, stopped, forged, readErrors atomic.Uint64 }

// Counts is what a Socket did so far.
type Counts struct {
	// Pacing is of connectivity checks.
	Pacing pacing.Counts
	// Forbidden datagrams were for an address that the admission rule forbids, Foreign ones for another agent's peer,
	// Stopped ones came after consent had expired: none left.
	Forbidden, Foreign, Stopped uint64
	// Forged answers to consent checks did not count.
	Forged uint64
	// ReadErrors were survived.
	ReadErrors uint64
}

// Open starts reading from the connection.
func Open(config Config) (*Socket, error) {
	config = config.withDefaults()
	s := &Socket{
		config: config, pacer: newPacer(config.Clock, config.Pacing),
		readEnded: make(chan struct{}),
		paths:     map[*Path]struct{}{}, checks: map[consent.TransactionID]*Path{}, owners: map[netip.AddrPort]*Path{},
	}
	if err := s.openSender(); err != nil {
		return nil, err
	}
	if config.Listener != nil {
		var err error
		if s.streams, err = openStreams(config.Listener, config.Announce, config); err != nil {
			return nil, errors.Join(err, s.sender.close())
		}
	}
	s.mux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: muxConn{s}, Logger: config.PionLog.NewLogger("ice")})
	return s, nil
}

func (s *Socket) openSender() error {
	udp, ok := s.config.Conn.(udpConn)
	if s.config.Wire == nil || !ok {
		s.sender = clockSender{clock: s.config.Consent, conn: s.config.Conn}
		return nil
	}
	socket, err := s.config.Wire.Socket(udp.UDPConn)
	if err != nil {
		return fmt.Errorf("send consent checks by the kernel: %w", err)
	}
	s.sender = wireSender{socket: socket, kernel: s.config.Wire.Report().Kernel}
	return nil
}

// Counts tells what the socket did so far.
func (s *Socket) Counts() Counts {
	return Counts{
		Pacing: s.pacer.counts(), Forbidden: s.counts.forbidden.Load(), Foreign: s.counts.foreign.Load(),
		Stopped: s.counts.stopped.Load(), Forged: s.counts.forged.Load(), ReadErrors: s.counts.readErrors.Load(),
	}
}

// Close ends all paths, closes the connection and waits for what the socket started. Agents should have ended before.
func (s *Socket) Close() error {
	s.mu.Lock()
	s.closed = true
	paths := make([]*Path, 0, len(s.paths))
	for p := range s.paths {
		paths = append(paths, p)
	}
	s.mu.Unlock()
	for _, p := range paths {
		p.Close()
	}
	s.pacer.close()
	err := errors.Join(s.sender.close(), s.config.Conn.Close())
	if s.streams != nil {
		err = errors.Join(err, s.streams.mux.Close())
	}
	<-s.readEnded // The mux reads on until its connection ends, however busy that is; closed first, it might not.
	return errors.Join(err, s.mux.Close())
}

// Admits reports whether agents may send to an address of a peer's.
func (s *Socket) Admits(to netip.AddrPort) bool { return s.config.Admit(canonical(to)) }

// muxConn is the socket as pion's mux has it: what the mux closes is the connection alone.
type muxConn struct{ *Socket }

func (c muxConn) Close() error { return c.config.Conn.Close() }

// readPause is how long a read that failed waits before the next one.
const readPause = 5 * time.Millisecond

// ReadFromAddrPort reads what is pion's. Only the end of the connection is an error: pion's mux stops at any.
func (s *Socket) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := s.config.Conn.ReadFromAddrPort(b)
		switch {
		case err == nil && s.takes(b[:n], canonical(from)):
		case errors.Is(err, net.ErrClosed):
			s.endOnce.Do(func() { close(s.readEnded) })
			return n, from, err
		case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
			return n, from, err
		default:
			s.counts.readErrors.Add(1)
			pause(s.config.Clock, readPause)
		}
	}
}

func pause(clock timing.Clock, d time.Duration) {
	over := make(chan struct{})
	clock.AfterFunc(d, func() { close(over) })
	<-over
}

// takes handles an answer to a consent check; false for all else.
func (s *Socket) takes(datagram []byte, from netip.AddrPort) bool {
	if consent.KindOf(datagram) != consent.Answer {
		return false
	}
	now := s.config.Consent.Now()
	id := consent.TransactionOf(datagram)
	s.mu.Lock()
	p := s.checks[id]
	s.mu.Unlock()
	if p == nil {
		return false
	}
	p.answer(id, datagram, from, now)
	return true
}

// ReadFrom is ReadFromAddrPort.
func (s *Socket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := s.ReadFromAddrPort(b)
	return n, net.UDPAddrFromAddrPort(from), err
}

// WriteToAddrPort sends what a path has let through.
func (s *Socket) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return s.config.Conn.WriteToAddrPort(b, to)
}

// WriteTo is WriteToAddrPort.
func (s *Socket) WriteTo(b []byte, to net.Addr) (int, error) {
	return s.WriteToAddrPort(b, addrPort(to))
}

// LocalAddr is the connection's.
func (s *Socket) LocalAddr() net.Addr { return s.config.Conn.LocalAddr() }

// SetDeadline, SetReadDeadline and SetWriteDeadline are the connection's.
func (s *Socket) SetDeadline(t time.Time) error      { return s.config.Conn.SetDeadline(t) }
func (s *Socket) SetReadDeadline(t time.Time) error  { return s.config.Conn.SetReadDeadline(t) }
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.config.Conn.SetWriteDeadline(t) }

// foreign reports whether an address is that of another path's pair.
func (s *Socket) foreign(to netip.AddrPort, p *Path) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := s.owners[to]
	return owner != nil && owner != p
}
