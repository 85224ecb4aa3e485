package turn

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

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
	p := &socketPart{sharedSocket: s, arrived: make(chan []byte, 64), from: net.UDPAddrFromAddrPort(from), ended: make(chan struct{})}
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
			r := serveRelayed(t, Config{UDP: []string{wildcard}, RelayAddress: netip.MustParseAddr("127.0.0.1"), WithoutLoops: withoutLoops})
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
				timingtest.Eventually(t, "the channel is bound", func() bool { one.exchange(); return r.server.Allocations()[i].Channels == 1 })
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
