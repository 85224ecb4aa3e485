package turn_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

// clientHello looks like the beginning of a DTLS handshake, and no more.
var clientHello = append([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1}, make([]byte, 11)...)

// TestDTLSStrangers begins handshakes that come to nothing: some are refused, the others end with the clock, and TCP,
// whose sources cannot be spoofed, does not suffer.
func TestDTLSStrangers(t *testing.T) {
	certificate, _ := selfSigned(t)
	clock := timingtest.NewManual()
	server := listen(t, turn.Config{
		TCP: []string{"127.0.0.1:0"}, DTLS: []string{"127.0.0.1:0"}, TLSConfig: certificate, Clock: clock,
		Limits: turn.Limits{UnauthenticatedConnsPerSource: 3},
	})
	const tries = 5
	for range tries {
		conn, err := net.Dial("udp", addressOf(t, server, turn.DTLS).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(clientHello); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two are refused", func() bool { return server.Stats().RefusedConns == tries-3 })
	username, password := issued("alice", time.Now())
	relay, err := client(t, server, turn.TCP, nil, username, password).Allocate()
	if err != nil {
		t.Fatalf("TCP beside them: %v", err)
	}
	defer relay.Close()
	clock.Advance(10 * time.Second)
	eventually(t, "the others end", func() bool { return server.Stats().FailedConns == 3 })
}

// TestDTLSClientsThatVanish leaves two authenticated connections in silence: the one without an allocation ends.
func TestDTLSClientsThatVanish(t *testing.T) {
	certificate, trust := selfSigned(t)
	clock := timingtest.NewManual()
	server := listen(t, turn.Config{DTLS: []string{"127.0.0.1:0"}, TLSConfig: certificate, Clock: clock})
	username, password := issued("alice", time.Now())
	stays := &rawClient{t: t, conn: connTo{dial(t, server, turn.DTLS, trust), nil}, username: username, password: password}
	stays.expectSigned("allocate for an hour", stays.allocate(attr(stun.AttrLifetime, 0, 0, 0x0e, 0x10)), 0)
	gone := dial(t, server, turn.DTLS, trust)
	c := &rawClient{t: t, conn: connTo{gone, nil}, username: username, password: password}
	c.expectSigned("refresh of nothing", c.request(stun.MethodRefresh), 437)
	clock.Advance(10 * time.Minute)
	ended := make(chan error, 1)
	go func() {
		_, _, err := gone.ReadFrom(make([]byte, 100))
		ended <- err
	}()
	if err := <-ended; err == nil || isTimeout(err) {
		t.Errorf("the silent client is kept: %v", err)
	}
	clock.Advance(49 * time.Minute)
	if n := len(server.Allocations()); n != 1 {
		t.Errorf("%d allocations, want that of the other client", n)
	}
	clock.Advance(time.Minute)
	eventually(t, "the other's ends with its lifetime", func() bool { return len(server.Allocations()) == 0 })
}

// dialFrom makes a DTLS connection from a socket.
func dialFrom(t *testing.T, server *turn.Server, trust *tls.Config, socket net.PacketConn) net.Conn {
	t.Helper()
	conn, err := dtls.ClientWithOptions(socket, net.UDPAddrFromAddrPort(addressOf(t, server, turn.DTLS)),
		dtls.WithRootCAs(trust.RootCAs), dtls.WithServerName("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Fatalf("the handshake from %v: %v", socket.LocalAddr(), err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestDTLSPortReused leaves an association without a word and comes anew from the same port, as another client may
// that is given it: the old association and its allocation give way (RFC 6347 4.2.8).
func TestDTLSPortReused(t *testing.T) {
	certificate, trust := selfSigned(t)
	server := listen(t, turn.Config{DTLS: []string{"127.0.0.1:0"}, TLSConfig: certificate})
	username, password := issued("alice", time.Now())
	at := &net.UDPAddr{IP: timingtest.OwnLoopback().AsSlice()} // Nobody else takes the port between two rounds.
	for round := range 4 {
		socket, err := net.ListenUDP("udp4", at)
		if err != nil {
			t.Fatal(err)
		}
		at = socket.LocalAddr().(*net.UDPAddr)
		c := &rawClient{t: t, conn: dialFrom(t, server, trust, socket), username: username, password: password}
		c.expectSigned(fmt.Sprintf("allocate in round %d", round), c.allocate(), 0)
		if n := len(server.Allocations()); n != 1 {
			t.Errorf("round %d: %d allocations", round, n)
		}
		socket.Close() // The server is not told.
	}
	if n := server.Stats().FailedConns; n != 0 {
		t.Errorf("%d connections failed", n)
	}
}

// TestDTLSForgedHello sends a ClientHello in the name of a client that is there, as a stranger may: the association
// stays, in use and idle, and the stranger's ends with the clock.
func TestDTLSForgedHello(t *testing.T) {
	certificate, trust := selfSigned(t)
	clock := timingtest.NewManual()
	server := listen(t, turn.Config{DTLS: []string{"127.0.0.1:0"}, TLSConfig: certificate, Clock: clock})
	username, password := issued("alice", time.Now())
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	c := &rawClient{t: t, conn: dialFrom(t, server, trust, socket), username: username, password: password}
	c.expectSigned("allocate", c.allocate(), 0)
	timers := clock.Pending()
	for range 3 {
		if _, err := socket.WriteTo(clientHello, net.UDPAddrFromAddrPort(addressOf(t, server, turn.DTLS))); err != nil {
			t.Fatal(err)
		}
		c.expectSigned("refresh", c.request(stun.MethodRefresh), 0)
	}
	eventually(t, "the stranger's deadline is armed", func() bool { return clock.Pending() == timers+1 })
	clock.Advance(10 * time.Second)
	eventually(t, "the stranger's ends", func() bool { return server.Stats().FailedConns == 1 })
	c.expectSigned("refresh after it", c.request(stun.MethodRefresh), 0)
	if n := len(server.Allocations()); n != 1 {
		t.Errorf("%d allocations", n)
	}
}

// TestDTLSOnAWildcard shakes hands at two addresses of a wildcard listener: the clients' sockets are connected, so that
// an answer from another address would not reach them.
func TestDTLSOnAWildcard(t *testing.T) {
	certificate, trust := selfSigned(t)
	server := listen(t, turn.Config{
		DTLS: []string{"0.0.0.0:0"}, RelayAddress: netip.MustParseAddr("127.0.0.1"), TLSConfig: certificate,
	})
	port := addressOf(t, server, turn.DTLS).Port()
	for _, local := range []string{"127.0.0.1", "127.0.0.2"} {
		at := netip.AddrPortFrom(netip.MustParseAddr(local), port)
		conn, err := dtls.DialWithOptions("udp4", net.UDPAddrFromAddrPort(at),
			dtls.WithRootCAs(trust.RootCAs), dtls.WithServerName("127.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := conn.HandshakeContext(ctx); err != nil {
			t.Fatalf("at %v: %v", at, err)
		}
		ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
		if _, err := conn.Write(ask.Raw); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 100)
		if n, err := conn.Read(buffer); err != nil || !stun.IsMessage(buffer[:n]) {
			t.Fatalf("at %v: %x, %v", at, buffer[:n], err)
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// connTo is a packet connection with one far end, as a net.Conn.
type connTo struct {
	net.PacketConn
	to net.Addr
}

func (c connTo) Read(p []byte) (int, error) {
	n, _, err := c.ReadFrom(p)
	return n, err
}

func (c connTo) Write(p []byte) (int, error) { return c.WriteTo(p, c.to) }
func (c connTo) RemoteAddr() net.Addr        { return c.to }
