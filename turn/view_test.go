package turn_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/turn"
)

// TestLiveView watches one allocation through its life, on a wall clock that stands still.
func TestLiveView(t *testing.T) {
	now := newWall(time.Now())
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Now: now.now})
	username, password := issued("alice", now.now())
	c, other := newRawClient(t, server, username, password), newRawClient(t, server, username, password)
	c.expectSigned("allocate", c.allocate(), 0)
	began := now.now()
	now.advance(time.Minute) // The other is the younger.
	other.expectSigned("allocate", other.allocate(), 0)
	peer := server.Allocations()[1].Relay
	c.expectSigned("permission", c.request(stun.MethodCreatePermission, peerAddress(peer)), 0)
	channel := []stun.Setter{attr(stun.AttrChannelNumber, 0x40, 7, 0, 0), peerAddress(peer)}
	c.expectSigned("channel", c.request(stun.MethodChannelBind, channel...), 0)
	shown := server.Allocations()[0]
	installed := now.now()
	if !shown.Since.Equal(began) || !shown.Expires.Equal(began.Add(10*time.Minute)) || shown.User != "alice" ||
		shown.Transport != turn.UDP || shown.Client.String() != c.conn.LocalAddr().String() ||
		shown.Server != addressOf(t, server, turn.UDP) {
		t.Errorf("%+v", shown)
	}
	want := turn.Binding{Number: 0x4007, Peer: peer, Expires: installed.Add(10 * time.Minute)}
	if len(shown.Bindings) != 1 || shown.Bindings[0] != want || len(shown.Peers) != 1 ||
		shown.Peers[0] != (turn.Peer{Addr: peer.Addr(), Expires: installed.Add(5 * time.Minute)}) {
		t.Errorf("peers %+v, channels %+v, want %+v", shown.Peers, shown.Bindings, want)
	}
	now.advance(time.Minute)
	c.expectSigned("refresh", c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0x03, 0x84)), 0) // 900 s
	c.expectSigned("channel again", c.request(stun.MethodChannelBind, channel...), 0)
	c.sendIndication(netip.MustParseAddrPort("127.0.0.1:9"), "to a port below 1024")
	c.sendIndication(peer, "four")
	eventually(t, "the packet is relayed", func() bool {
		a := server.Allocations()[0]
		return a.ToPeers == turn.Traffic{Packets: 1, Bytes: 4} && a.Denied == 1
	})
	shown = server.Allocations()[0]
	if !shown.Expires.Equal(now.now().Add(15*time.Minute)) || !shown.Bindings[0].Expires.Equal(now.now().Add(10*time.Minute)) ||
		!shown.Peers[0].Expires.Equal(now.now().Add(5*time.Minute)) || shown.Denied != 1 || shown.Drops["port"] != 1 {
		t.Errorf("after the refreshes: %+v", shown)
	}
}

// TestKick ends the allocations of one user among two.
func TestKick(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}})
	var clients []*rawClient
	for _, user := range []string{"alice", "alice", "bob"} {
		username, password := issued(user, time.Now())
		c := newRawClient(t, server, username, password)
		c.expectSigned("allocate", c.allocate(), 0)
		clients = append(clients, c)
	}
	if n := server.Kick("alice"); n != 2 {
		t.Errorf("%d ended, want 2", n)
	}
	eventually(t, "they are gone", func() bool { return len(server.Allocations()) == 1 })
	clients[0].expectSigned("the kicked one's refresh", clients[0].request(stun.MethodRefresh), 437)
	clients[2].expectSigned("the other's refresh", clients[2].request(stun.MethodRefresh), 0)
}

// TestDrain lets one allocation run out and none begin.
func TestDrain(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}})
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, password)
	c.expectSigned("allocate", c.allocate(), 0)
	over, stop := context.WithCancel(context.Background())
	stop()
	if left := server.Drain(over); left != 1 {
		t.Errorf("%d left, want 1", left)
	}
	late := newRawClient(t, server, username, password)
	late.expectSigned("allocate while draining", late.allocate(), 508)
	c.expectSigned("refresh while draining", c.request(stun.MethodRefresh), 0)
	left := make(chan int)
	go func() { left <- server.Drain(context.Background()) }()
	c.expectSigned("release", c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0)), 0)
	if n := <-left; n != 0 {
		t.Errorf("%d left at the end", n)
	}
	if n := server.Stats().QuotaRefusals["draining"]; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
}
