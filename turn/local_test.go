package turn

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	pion "github.com/pion/turn/v5"

	"tourbillon/timing/timingtest"
)

// sharedSocket is one client socket that several TURN clients use, one for each address of the server. A packet from an
// address that nobody asked fails the test.
type sharedSocket struct {
	t      *testing.T
	socket net.PacketConn
	mu     sync.Mutex // guards parts
	parts  map[netip.AddrPort]*socketPart
}

// socketPart is what comes from one address.
type socketPart struct {
	*sharedSocket
	arrived chan []byte
	from    net.Addr
	ended   chan struct{}
	end     sync.Once
}

func shareSocket(t *testing.T, network string) *sharedSocket {
	t.Helper()
	socket, err := net.ListenPacket(network, map[string]string{"udp4": "127.0.0.1:0", "udp6": "[::1]:0"}[network])
	if err != nil {
		t.Fatal(err)
	}
	s := &sharedSocket{t: t, socket: socket, parts: make(map[netip.AddrPort]*socketPart)}
	var reading sync.WaitGroup
	reading.Go(s.read)
	t.Cleanup(func() { socket.Close(); reading.Wait() })
	return s
}

func (s *sharedSocket) read() {
	buffer := make([]byte, 2048)
	for {
		n, from, err := s.socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		s.mu.Lock()
		part := s.parts[addrPort(from)]
		s.mu.Unlock()
		if part == nil {
			s.t.Errorf("%d bytes from %v, which nobody asked", n, from)
			continue
		}
		select {
		case part.arrived <- append([]byte(nil), buffer[:n]...):
		case <-part.ended:
		}
	}
}

func (s *sharedSocket) part(from netip.AddrPort) net.PacketConn {
	p := &socketPart{
		sharedSocket: s, arrived: make(chan []byte, 64), from: net.UDPAddrFromAddrPort(from), ended: make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[from] = p
	return p
}

func (p *socketPart) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case data := <-p.arrived:
		return copy(b, data), p.from, nil
	case <-p.ended:
		return 0, nil, net.ErrClosed
	}
}

func (p *socketPart) WriteTo(b []byte, to net.Addr) (int, error) { return p.socket.WriteTo(b, to) }
func (p *socketPart) Close() error                               { p.end.Do(func() { close(p.ended) }); return nil }
func (p *socketPart) LocalAddr() net.Addr                        { return p.socket.LocalAddr() }
func (p *socketPart) SetDeadline(time.Time) error                { return nil }
func (p *socketPart) SetReadDeadline(time.Time) error            { return nil }
func (p *socketPart) SetWriteDeadline(time.Time) error           { return nil }

// TestWildcardListener has one client socket allocate at several addresses of a server that listens on all of them:
// each is an allocation of its own (RFC 8656 3.2), with a channel, and everything comes from the address that was asked.
func TestWildcardListener(t *testing.T) {
	for _, withoutLoops := range []bool{false, true} {
		for wildcard, locals := range map[string][]string{
			"0.0.0.0:0": {"127.0.0.1", "127.0.0.2", "127.7.7.7"}, "[::]:0": {"127.0.0.1", "127.0.0.2"}, "[0::]:0": {"::1"},
		} {
			r := serveRelayed(t, Config{
				UDP: []string{wildcard}, RelayAddress: netip.MustParseAddr("127.0.0.1"), WithoutLoops: withoutLoops,
			})
			network := "udp4"
			if locals[0] == "::1" {
				network = "udp6"
			}
			shared := shareSocket(t, network)
			at := r.server.Addresses()[0].Addr
			for i, local := range locals {
				one := *r
				server := netip.AddrPortFrom(netip.MustParseAddr(local), at.Port())
				one.allocateFrom(shared.part(server), server.String())
				for range 3 {
					one.exchange()
				}
				all := r.server.Allocations()
				if len(all) != i+1 || all[i].Server != server || all[i].Client != addrPort(shared.socket.LocalAddr()) {
					t.Fatalf("%s at %s: %+v", wildcard, local, all)
				}
				timingtest.Eventually(t, "the channel is bound", func() bool {
					one.exchange()
					return r.server.Allocations()[i].Channels == 1
				})
			}
		}
	}
}

// TestWildcardAllocationsEndApart: of two allocations of one client socket at two addresses, the end of one leaves the
// other, and no answer is counted for the wrong one.
func TestWildcardAllocationsEndApart(t *testing.T) {
	r := serveRelayed(t, Config{UDP: []string{"0.0.0.0:0"}, RelayAddress: netip.MustParseAddr("127.0.0.1")})
	shared, port := shareSocket(t, "udp4"), r.server.Addresses()[0].Addr.Port()
	both := [2]relayed{*r, *r}
	for i, local := range []string{"127.0.0.1", "127.0.0.2"} {
		server := netip.AddrPortFrom(netip.MustParseAddr(local), port)
		both[i].allocateFrom(shared.part(server), server.String())
		both[i].exchange()
	}
	if err := both[0].relay.Close(); err != nil { // Refreshes to 0.
		t.Fatal(err)
	}
	timingtest.Eventually(t, "one is left", func() bool { return len(r.server.Allocations()) == 1 })
	both[1].exchange()
	if left := r.server.Allocations()[0]; left.Server.Addr() != netip.MustParseAddr("127.0.0.2") {
		t.Errorf("left is %+v", left)
	}
}

// TestAssociationsOfOneClient: DTLS associations of one client socket at two addresses of this host are two clients'; one
// more at either is the rival of that one alone.
func TestAssociationsOfOneClient(t *testing.T) {
	c := testCore(t, timingtest.NewManual())
	socket, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	d := newDemux(c, telling(c, socket))
	l := newStreamListener(c, d, c.dtlsGate, nil)
	l.datagrams = true
	client := netip.MustParseAddrPort("192.0.2.1:7")
	var conns []*streamConn
	for _, local := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.2"} {
		from := tuple{client: client, local: netip.MustParseAddr(local)}
		known, rival := d.pathsOf(from, true)
		if rival != nil {
			known = rival
		}
		at := netip.AddrPortFrom(from.local, addrPort(socket.LocalAddr()).Port())
		if known == nil || known.LocalAddr().String() != at.String() {
			t.Fatalf("at %s: %+v", local, known)
		}
		known.establish()
		conn := newStreamConn(l, known, l.tuple(known))
		if !c.dtlsGate.enter(client.Addr()) || !l.register(conn) || conn.key() != from.key(0) {
			t.Errorf("at %s: %+v", local, conn.key())
		}
		conns = append(conns, conn)
	}
	if len(l.conns) != 2 || len(l.rivals) != 1 {
		t.Errorf("%d connections and %d rivals", len(l.conns), len(l.rivals))
	}
	for _, conn := range conns {
		conn.Close()
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	c.tasks.Wait()
}

// TestStreamsOfOneClient has one address and port of a client connect to two addresses of a wildcard listener and
// allocate at both.
func TestStreamsOfOneClient(t *testing.T) {
	r := serveRelayed(t, Config{TCP: []string{"0.0.0.0:0"}, RelayAddress: netip.MustParseAddr("127.0.0.1")})
	port := r.server.Addresses()[0].Addr.Port()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, Control: reusing}
	for i, local := range []string{"127.0.0.1", "127.0.0.2"} {
		server := netip.AddrPortFrom(netip.MustParseAddr(local), port)
		stream, err := dialer.Dial("tcp4", server.String())
		if err != nil {
			t.Fatal(err)
		}
		dialer.LocalAddr = stream.LocalAddr()
		one := *r
		one.allocateFrom(pion.NewSTUNConn(stream), server.String())
		one.exchange()
		all := r.server.Allocations()
		if len(all) != i+1 || all[i].Server != server || all[i].Client != addrPort(stream.LocalAddr()) {
			t.Fatalf("at %s: %+v", local, all)
		}
	}
	if n := r.server.Stats().RefusedConns; n != 0 {
		t.Errorf("%d connections refused", n)
	}
}

// reusing lets several connections have one local port.
func reusing(_, _ string, raw syscall.RawConn) error {
	var refused error
	err := raw.Control(func(fd uintptr) {
		refused = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	})
	return errors.Join(err, refused)
}
