package turn_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

// peers are two sockets at addresses of their own, which the policy admits as ICE sockets of ours.
func peers(t *testing.T) (permitted, stranger *net.UDPConn, mux []netip.AddrPort) {
	t.Helper()
	var sockets []*net.UDPConn
	for _, at := range []string{"127.0.0.2", "127.0.0.3"} {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(at)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socket.Close() })
		sockets, mux = append(sockets, socket), append(mux, socket.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	return sockets[0], sockets[1], mux
}

// TestStrangersTakeNothingOfTheCeilings floods a relay from an address without a permission: the peer that has one gets
// all of its packets through, whatever the ceiling, and nothing of the flood is counted as relayed.
func TestStrangersTakeNothingOfTheCeilings(t *testing.T) {
	for name, withoutLoops := range map[string]bool{"loops": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			permitted, stranger, mux := peers(t)
			server := listen(t, turn.Config{
				UDP: []string{"127.0.0.1:0"}, MuxPorts: mux, WithoutLoops: withoutLoops, Limits: turn.Limits{PacketsPerSecond: 40},
			})
			username, password := issued("alice", time.Now())
			c := newRawClient(t, server, username, password)
			if code := errorCode(t, c.allocate()); code != 0 {
				t.Fatalf("allocate answered %d", code)
			}
			if code := errorCode(t, c.request(stun.MethodCreatePermission, peerAddress(mux[0]))); code != 0 {
				t.Fatalf("permission answered %d", code)
			}
			relay := server.Allocations()[0].Relay
			const flood, wanted = 100, 5
			dropped := func() uint64 { return server.Allocations()[0].Drops["no-permission"] }
			for i := range flood { // One by one, so that no queue is what drops it.
				if _, err := stranger.WriteToUDPAddrPort([]byte("junk"), relay); err != nil {
					t.Fatal(err)
				}
				eventually(t, "a stranger's packet is dropped for want of a permission", func() bool { return dropped() == uint64(i)+1 })
			}
			for range wanted {
				if _, err := permitted.WriteToUDPAddrPort([]byte("wanted"), relay); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "what is permitted arrives", func() bool { return server.Allocations()[0].FromPeers.Packets == wanted })
			if a := server.Allocations()[0]; a.Denied != flood || a.Refused() != 0 {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestAChannelNeedsItsPermission lets the permission of a channel lapse, which comes before the channel does, and has it
// granted again (RFC 8656 11.3).
func TestAChannelNeedsItsPermission(t *testing.T) {
	for name, withoutLoops := range map[string]bool{"loops": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			clock := timingtest.NewManual()
			peer, _, mux := peers(t)
			server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, MuxPorts: mux, WithoutLoops: withoutLoops, Clock: clock})
			username, password := issued("alice", time.Now())
			c := newRawClient(t, server, username, password)
			if code := errorCode(t, c.allocate()); code != 0 {
				t.Fatalf("allocate answered %d", code)
			}
			channel := attr(stun.AttrChannelNumber, 0x40, 0, 0, 0)
			if code := errorCode(t, c.request(stun.MethodChannelBind, channel, peerAddress(mux[0]))); code != 0 {
				t.Fatalf("channel answered %d", code)
			}
			relay := server.Allocations()[0].Relay
			bothWays := func(name string) {
				t.Helper()
				before := server.Allocations()[0]
				if _, err := c.conn.Write([]byte{0x40, 0, 0, 4, 'd', 'a', 't', 'a'}); err != nil {
					t.Fatal(err)
				}
				if _, err := peer.WriteToUDPAddrPort([]byte("data"), relay); err != nil {
					t.Fatal(err)
				}
				eventually(t, name, func() bool {
					now := server.Allocations()[0]
					if name == "relayed" {
						return now.ToPeers.Packets == before.ToPeers.Packets+1 && now.FromPeers.Packets == before.FromPeers.Packets+1
					}
					return now.Drops["no-permission"] == before.Drops["no-permission"]+2 && now.ToPeers == before.ToPeers &&
						now.FromPeers == before.FromPeers
				})
			}
			bothWays("relayed")
			clock.Advance(5*time.Minute + time.Second)
			eventually(t, "the permission lapses", func() bool {
				a := server.Allocations()[0]
				return a.Permissions == 0 && a.Channels == 1
			})
			bothWays("dropped")
			if code := errorCode(t, c.request(stun.MethodCreatePermission, peerAddress(mux[0]))); code != 0 {
				t.Fatalf("permission answered %d", code)
			}
			bothWays("relayed")
			bothWays("relayed")
		})
	}
}
