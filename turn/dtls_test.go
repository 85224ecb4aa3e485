package turn_test

import (
	"errors"
	"net"
	"testing"
	"time"

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
