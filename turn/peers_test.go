package turn_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/turn"
)

// sixEncodings writes an IPv4 address in every encoding that IPv6 has for it, and plainly.
func sixEncodings(v4 string) []netip.Addr {
	b := netip.MustParseAddr(v4).As4()
	in := func(prefix [16]byte, at int, b [4]byte) netip.Addr {
		copy(prefix[at:], b[:])
		return netip.AddrFrom16(prefix)
	}
	return []netip.Addr{
		netip.AddrFrom4(b),
		in([16]byte{10: 0xff, 11: 0xff}, 12, b),
		in([16]byte{}, 12, b),
		in([16]byte{8: 0xff, 9: 0xff}, 12, b),
		in([16]byte{1: 0x64, 2: 0xff, 3: 0x9b}, 12, b),
		in([16]byte{0x20, 0x02}, 2, b),
		in([16]byte{0x20, 0x01}, 12, [4]byte{^b[0], ^b[1], ^b[2], ^b[3]}),
	}
}

// TestDeniedPeersGetNoPermission asks an IPv4 and an IPv6 relay for every denied address in every encoding.
func TestDeniedPeersGetNoPermission(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		server := listen(t, turn.Config{
			UDP: []string{net.JoinHostPort(loopback, "0")}, RelayAddress: netip.MustParseAddr(loopback),
		})
		username, password := issued("alice", time.Now())
		c := newRawClient(t, server, username, password)
		family := byte(1)
		if loopback == "::1" {
			family = 2
		}
		if code := errorCode(t, c.allocate(attr(stun.AttrRequestedAddressFamily, family, 0, 0, 0))); code != 0 {
			t.Fatalf("allocate on %s answered %d", loopback, code)
		}
		peers := []netip.Addr{}
		for _, v4 := range []string{"127.0.0.2", "0.0.0.0", "169.254.169.254", "10.0.0.5", "100.64.0.1", "224.0.0.1"} {
			peers = append(peers, sixEncodings(v4)...)
		}
		for _, v6 := range []string{"fe80::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1", "4000::1"} {
			peers = append(peers, netip.MustParseAddr(v6))
		}
		for i, peer := range peers {
			at := peerAddress(netip.AddrPortFrom(peer, 5000))
			if code := errorCode(t, c.request(stun.MethodCreatePermission, at)); code != 403 && code != 443 {
				t.Errorf("permission for %v on %s answered %d", peer, loopback, code)
			}
			number := binary.BigEndian.AppendUint16(nil, uint16(0x4000+i))
			bind := c.request(stun.MethodChannelBind, attr(stun.AttrChannelNumber, append(number, 0, 0)...), at)
			if code := errorCode(t, bind); code != 403 && code != 443 {
				t.Errorf("channel to %v on %s answered %d", peer, loopback, code)
			}
		}
		if a := server.Allocations(); len(a) != 1 || a[0].Permissions != 0 || a[0].Channels != 0 {
			t.Errorf("on %s: %+v", loopback, a)
		}
	}
}

// TestOwnServicesAreOutOfReach gives a relay the permission for its own address, which relay-to-relay needs, and aims
// at a service on that address that is no relay, by indication and by channel, and back.
func TestOwnServicesAreOutOfReach(t *testing.T) {
	service, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	target := service.LocalAddr().(*net.UDPAddr).AddrPort()
	// The service has a port of the relays' range.
	first := target.Port() - min(200, target.Port()-1024)
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, PortMin: first, PortMax: first + 400})
	username, password := issued("alice", time.Now())
	c, other := newRawClient(t, server, username, password), newRawClient(t, server, username, password)
	for _, each := range []*rawClient{c, other} {
		if code := errorCode(t, each.allocate()); code != 0 {
			t.Fatalf("allocate answered %d", code)
		}
		if code := errorCode(t, each.request(stun.MethodCreatePermission, peerAddress(target))); code != 0 {
			t.Fatalf("permission for the relay's own address answered %d", code)
		}
	}
	bind := c.request(stun.MethodChannelBind, attr(stun.AttrChannelNumber, 0x40, 0, 0, 0), peerAddress(target))
	if code := errorCode(t, bind); code != 0 {
		t.Fatalf("channel to the relay's own address answered %d", code)
	}
	for _, port := range []uint16{0, 22, first - 1, first + 401} {
		bind := c.request(stun.MethodChannelBind, attr(stun.AttrChannelNumber, 0x40, 1, 0, 0),
			peerAddress(netip.AddrPortFrom(target.Addr(), port)))
		if code := errorCode(t, bind); code != 403 {
			t.Errorf("channel to port %d of the relay's own address, where no relay can be, answered %d", port, code)
		}
	}
	relays := server.Allocations()

	c.sendIndication(target, "by indication")
	if _, err := c.conn.Write([]byte{0x40, 0, 0, 4, 'e', 'v', 'i', 'l'}); err != nil {
		t.Fatal(err)
	}
	for _, service := range []netip.AddrPort{addressOf(t, server, turn.UDP), netip.MustParseAddrPort("127.0.0.1:22")} {
		c.sendIndication(service, "at the listener and at a low port")
	}
	// The way back: the service sends to the relay, whose permission covers its address.
	if _, err := service.WriteToUDPAddrPort([]byte("from the service"), relays[0].Relay); err != nil {
		t.Fatal(err)
	}
	eventually(t, "five packets are denied", func() bool { return server.Allocations()[0].Denied == 5 })
	// A packet that is admitted, sent last, proves that all before it were judged.
	c.sendIndication(relays[1].Relay, "relay to relay")
	eventually(t, "the other relay receives", func() bool { return server.Allocations()[1].FromPeers.Packets == 1 })
	eventually(t, "the sender counts it", func() bool { return server.Allocations()[0].ToPeers.Packets >= 1 })
	if got := server.Allocations()[0]; got.ToPeers.Packets != 1 || got.FromPeers.Packets != 0 {
		t.Errorf("%+v", got)
	}
	if err := service.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n, from, err := service.ReadFrom(make([]byte, 100)); err == nil {
		t.Errorf("the service received %d bytes from %v", n, from)
	}
	if got := server.Stats().DeniedPackets; got[string(turn.ReasonLoopback)] != 4 || got[string(turn.ReasonPort)] != 1 {
		t.Errorf("denied packets %v", got)
	}
}

// TestOneToOneNAT announces an address that is not bound: relays still reach one another by it.
func TestOneToOneNAT(t *testing.T) {
	outside := netip.MustParseAddr("198.51.100.7")
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, RelayAddress: outside, RelayBind: netip.MustParseAddr("127.0.0.1"),
	})
	username, password := issued("alice", time.Now())
	a, b := newRawClient(t, server, username, password), newRawClient(t, server, username, password)
	a.allocate()
	b.allocate()
	relays := server.Allocations()
	if len(relays) != 2 || relays[0].Relay.Addr() != outside {
		t.Fatalf("%+v", relays)
	}
	for _, c := range []*rawClient{a, b} {
		if code := errorCode(t, c.request(stun.MethodCreatePermission, peerAddress(relays[0].Relay))); code != 0 {
			t.Fatalf("permission answered %d", code)
		}
	}
	a.sendIndication(relays[1].Relay, "through the outside address")
	if err := b.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 2048)
	n, err := b.conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	message := stun.New()
	if err := stun.Decode(buffer[:n], message); err != nil {
		t.Fatal(err)
	}
	var from stun.XORMappedAddress
	if err := from.GetFromAs(message, stun.AttrXORPeerAddress); err != nil {
		t.Fatal(err)
	}
	if got := from.String(); got != relays[0].Relay.String() {
		t.Errorf("came from %s, want %v", got, relays[0].Relay)
	}
}
