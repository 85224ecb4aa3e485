package turn_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

// framed has each Read of a stream return one frame, so that a rawClient can speak over it.
type framed struct {
	net.Conn
	frame []byte
}

func (f *framed) Read(p []byte) (int, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(f.Conn, head); err != nil {
		return 0, err
	}
	size := int(binary.BigEndian.Uint16(head[2:]))
	if head[0] < 0x40 {
		size += 16
	} else {
		size = (size + 3) &^ 3
	}
	f.frame = append(head, make([]byte, size)...)
	_, err := io.ReadFull(f.Conn, f.frame[4:])
	return copy(p, f.frame), err
}

func newStreamClient(t *testing.T, server *turn.Server) *rawClient {
	t.Helper()
	return newStreamClientOver(t, server, turn.TCP, nil)
}

// newStreamClientOver is a client on TCP or TLS.
func newStreamClientOver(t *testing.T, server *turn.Server, transport turn.Transport, trust *tls.Config) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addressOf(t, server, transport).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if transport == turn.TLS {
		trust = trust.Clone()
		trust.ServerName = "127.0.0.1"
		conn = tls.Client(conn, trust)
	}
	username, password := issued("alice", time.Now())
	return &rawClient{t: t, conn: &framed{Conn: conn}, username: username, password: password}
}

// TestStreamsComeAndGo allocates and releases over many connections, one after the other and all at once.
func TestStreamsComeAndGo(t *testing.T) {
	server := listen(t, turn.Config{TCP: []string{"127.0.0.1:0"}, Limits: turn.LimitsOff()})
	peer := netip.MustParseAddrPort("8.8.8.8:9000")
	for i := range 600 {
		c := newStreamClient(t, server)
		c.expectSigned("allocate", c.allocate(), 0)
		c.bindTo(peer)
		if i%2 == 0 {
			c.expectSigned("release", c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0)), 0)
		}
		c.conn.Close()
	}
	eventually(t, "allocations end with their connections", func() bool { return server.Stats().Allocations == 0 })
}

// bindTo binds channel 0x4000 of an allocation to a peer.
func (c *rawClient) bindTo(peer netip.AddrPort) {
	c.t.Helper()
	c.expectSigned("bind", c.request(stun.MethodChannelBind, attr(stun.AttrChannelNumber, 0x40, 0, 0, 0), peerAddress(peer)), 0)
}

// TestSlowStreamIsToldByReason has a client on TCP not read what its peer sends: the drops show in the allocation and in
// the counters, and the client is answered all the same.
func TestSlowStreamIsToldByReason(t *testing.T) {
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	at := peer.LocalAddr().(*net.UDPAddr).AddrPort()
	server := listen(t, turn.Config{
		TCP: []string{"127.0.0.1:0"}, Limits: turn.LimitsOff(), MuxPorts: []netip.AddrPort{at},
	})
	c := newStreamClient(t, server)
	if err := c.conn.(*framed).Conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	c.expectSigned("allocate", c.allocate(), 0)
	c.bindTo(at)
	relay, data := server.Allocations()[0].Relay, make([]byte, 1200)
	eventually(t, "packets are dropped", func() bool {
		for range 200 {
			if _, err := peer.WriteToUDPAddrPort(data, relay); err != nil {
				t.Fatal(err)
			}
		}
		return server.Stats().DeniedPackets["slow-client"] > 0
	})
	c.expectSigned("refresh", c.request(stun.MethodRefresh), 0) // Passes over the data that came before.
	if a := server.Allocations()[0]; a.Drops["slow-client"] == 0 || a.Denied == 0 || a.FromPeers.Packets == 0 {
		t.Errorf("shown %+v", a)
	}
}

// TestAllocateAgainOnAStream releases an allocation and makes another on the same connection, with a user who is kicked
// in between.
func TestAllocateAgainOnAStream(t *testing.T) {
	server := listen(t, turn.Config{TCP: []string{"127.0.0.1:0"}, Limits: turn.LimitsOff()})
	c := newStreamClient(t, server)
	for i := range 20 {
		c.expectSigned("allocate", c.allocate(), 0)
		c.expectSigned("allocate again", c.allocate(), 437)
		c.bindTo(netip.MustParseAddrPort("8.8.8.8:9000"))
		if i%2 == 0 {
			c.expectSigned("release", c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0)), 0)
		} else if n := server.Kick("alice"); n != 1 {
			t.Fatalf("%d allocations ended", n)
		}
		c.expectSigned("refresh", c.request(stun.MethodRefresh), 437)
	}
	if n := server.Stats().Allocations; n != 0 {
		t.Errorf("%d allocations are left", n)
	}
}

// TestCloseUnderStreams closes the server while clients on TCP come, allocate, ask and go.
func TestCloseUnderStreams(t *testing.T) {
	for range 5 {
		server := listen(t, turn.Config{TCP: []string{"127.0.0.1:0"}, Limits: turn.LimitsOff()})
		var running sync.WaitGroup
		allocated := make(chan struct{}, 100)
		for range 4 {
			running.Go(func() {
				for {
					conn, err := net.Dial("tcp", addressOf(t, server, turn.TCP).String())
					if err != nil {
						return
					}
					username, password := issued("alice", time.Now())
					err = allocateOver(conn, username, password)
					conn.Close()
					if err != nil {
						return // The server has closed.
					}
					select {
					case allocated <- struct{}{}:
					default:
					}
				}
			})
		}
		for range 8 {
			<-allocated
		}
		closeServer(t, server)
		running.Wait()
	}
}

// allocateOver allocates by a connection that may end at any time.
func allocateOver(conn net.Conn, username, password string) error {
	f, buffer := &framed{Conn: conn}, make([]byte, 2048)
	transport := attr(stun.AttrRequestedTransport, 17, 0, 0, 0)
	setters := []stun.Setter{stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), transport}
	for {
		if _, err := conn.Write(stun.MustBuild(setters...).Raw); err != nil {
			return err
		}
		n, err := f.Read(buffer)
		if err != nil {
			return err
		}
		answer := &stun.Message{Raw: buffer[:n]}
		var nonce stun.Nonce
		if answer.Decode() != nil || answer.Type.Class == stun.ClassSuccessResponse || nonce.GetFrom(answer) != nil {
			return nil
		}
		setters = append(setters[:3], stun.NewUsername(username), stun.NewRealm(turn.DefaultRealm), nonce,
			stun.NewLongTermIntegrity(username, turn.DefaultRealm, password))
	}
}

// anew has the client ask for a nonce with its next request.
func (c *rawClient) anew() *rawClient {
	c.nonce = nil
	return c
}

// TestStreamsWithoutAllocationEnd leaves authenticated connections alone: one without an allocation ends ten minutes after
// it has authenticated, or its allocation has ended, even if it asks on. One with an allocation stays.
func TestStreamsWithoutAllocationEnd(t *testing.T) {
	certificate, trust := selfSigned(t)
	for name, row := range map[string]struct {
		transport    turn.Transport
		withoutLoops bool
	}{"TCP by loops": {turn.TCP, false}, "TCP by goroutines": {turn.TCP, true}, "TLS": {turn.TLS, false}} {
		t.Run(name, func(t *testing.T) {
			clock := timingtest.NewManual()
			server := listen(t, turn.Config{
				TCP: []string{"127.0.0.1:0"}, TLS: []string{"127.0.0.1:0"}, TLSConfig: certificate, Clock: clock,
				WithoutLoops: row.withoutLoops,
			})
			over := func() *rawClient { return newStreamClientOver(t, server, row.transport, trust) }
			peer := netip.MustParseAddrPort("8.8.8.8:9000")
			never, stays, ends := over(), over(), over()
			never.expectSigned("refresh of nothing", never.request(stun.MethodRefresh), 437)
			stays.expectSigned("allocate for an hour", stays.allocate(attr(stun.AttrLifetime, 0, 0, 0x0e, 0x10)), 0)
			stays.bindTo(peer)
			ends.expectSigned("allocate", ends.allocate(), 0)
			ends.bindTo(peer)
			clock.Advance(9 * time.Minute)
			ends.expectSigned("release", ends.anew().request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0)), 0)
			never.expectSigned("refresh of nothing", never.anew().request(stun.MethodRefresh), 437)
			clock.Advance(time.Minute)
			expectClosed(t, never.conn)
			ends.expectSigned("refresh of nothing", ends.anew().request(stun.MethodRefresh), 437)
			clock.Advance(9 * time.Minute)
			expectClosed(t, ends.conn)
			clock.Advance(40 * time.Minute)
			stays.expectSigned("refresh", stays.anew().request(stun.MethodRefresh), 0)
			clock.Advance(10 * time.Minute) // The allocation ends.
			stays.expectSigned("refresh of nothing", stays.anew().request(stun.MethodRefresh), 437)
			clock.Advance(10 * time.Minute)
			expectClosed(t, stays.conn)
			if stats := server.Stats(); stats.FailedConns != 0 || stats.Allocations != 0 {
				t.Errorf("%d connections failed, %d allocations", stats.FailedConns, stats.Allocations)
			}
		})
	}
}
