//go:build linux

package relay_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"

	"tourbillon/turn/relay"
)

// hostAddresses are addresses of this host: all of 127.0.0.0/8 is.
var hostAddresses = []string{"127.0.0.1", "127.0.0.2", "127.7.7.7", "::1"}

// onWildcard runs a test with a listener on each wildcard address, for each address of this host that it serves.
func onWildcard(t *testing.T, test func(t *testing.T, s *setting, local netip.Addr)) {
	for _, wildcard := range []string{"0.0.0.0:0", "[::]:0"} {
		t.Run(wildcard, func(t *testing.T) {
			bothWays(t, func(t *testing.T, p *relay.Plane) {
				at := netip.MustParseAddrPort(wildcard)
				listeners, err := p.Listen(at, false)
				if err != nil {
					t.Fatal(err)
				}
				for _, address := range hostAddresses {
					local := netip.MustParseAddr(address)
					if at.Addr().Is4() && local.Is6() {
						continue
					}
					s := &setting{t: t, listener: listeners[0], client: socketAt(t, local), peer: socket(t)}
					s.open()
					test(t, s, local)
				}
			})
		})
	}
}

func (s *setting) open() {
	s.t.Helper()
	var err error
	if s.relay, err = s.listener.Loop().OpenRelay(anywhere); err != nil {
		s.t.Fatal(err)
	}
}

// socketAt is a client that reaches an address of this host: one of IPv4 sends from 127.0.0.1 to all of 127.0.0.0/8.
func socketAt(t *testing.T, local netip.Addr) *net.UDPConn {
	t.Helper()
	from := anywhere
	if local.Is6() {
		from = netip.MustParseAddrPort("[::1]:0")
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(from))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *setting) at(local netip.Addr) netip.AddrPort {
	return netip.AddrPortFrom(local, addr(s.listener).Port())
}

func (s *setting) attachAt(local netip.Addr) {
	s.relay.Attach(relay.Client{Listener: s.listener, Addr: addr(s.client), Local: local})
}

// TestWildcardAnswersFromWhereItWasAsked: Binding answers, ChannelData, Data indications, and what Go sends.
func TestWildcardAnswersFromWhereItWasAsked(t *testing.T) {
	onWildcard(t, func(t *testing.T, s *setting, local netip.Addr) {
		server := s.at(local)
		ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
		s.sends(s.client, server, ask.Raw)
		s.gets(s.client, server, stun.MustBuild(stun.NewTransactionIDSetter(ask.TransactionID), stun.BindingSuccess,
			&stun.XORMappedAddress{IP: addr(s.client).Addr().AsSlice(), Port: int(addr(s.client).Port())}).Raw)

		s.attachAt(local)
		s.bind(0x4001)
		s.sends(s.client, server, channelData(0x4001, "there"))
		s.gets(s.peer, addr(s.relay), []byte("there"))
		for range 5 { // Several at once leave as segments of one.
			s.sends(s.peer, addr(s.relay), []byte("and back"))
		}
		for range 5 {
			s.gets(s.client, server, channelData(0x4001, "and back"))
		}
		s.bind(0)
		s.sends(s.client, server, indication(stun.MethodSend, addr(s.peer), "there"))
		s.gets(s.peer, addr(s.relay), []byte("there"))
		s.sends(s.peer, addr(s.relay), []byte("and back"))
		s.getsIndication(addr(s.peer), "and back")

		s.sends(s.client, server, channelData(0x4002, "for Go"))
		buffer := make([]byte, 2048)
		n, from, told, err := s.listener.ReadPacket(buffer)
		if err != nil || string(buffer[4:n]) != "for Go" || from != addr(s.client) || told != local {
			t.Fatalf("%x from %v to %v: %v", buffer[:n], from, told, err)
		}
		if err := s.listener.WritePacket([]byte("from Go"), from, told); err != nil {
			t.Fatal(err)
		}
		s.gets(s.client, server, []byte("from Go"))
		if err := s.relay.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestLocalAddressIsOfTheFiveTuple: one client socket has an allocation at each of two addresses of ours, and what goes
// to a third is nobody's.
func TestLocalAddressIsOfTheFiveTuple(t *testing.T) {
	onWildcard(t, func(t *testing.T, s *setting, local netip.Addr) {
		if local.Is6() {
			return // There is but one on loopback.
		}
		other := *s
		other.peer = socket(t)
		other.open()
		locals := []netip.Addr{local, netip.MustParseAddr("127.9.9.9")}
		both := []*setting{s, &other}
		for i, one := range both {
			one.attachAt(locals[i])
			one.bind(0x4001)
		}
		for range 3 {
			for i, one := range both {
				one.sends(one.client, one.at(locals[i]), channelData(0x4001, "there"))
				one.gets(one.peer, addr(one.relay), []byte("there"))
				one.sends(one.peer, addr(one.relay), []byte("and back"))
				one.gets(one.client, one.at(locals[i]), channelData(0x4001, "and back"))
			}
		}
		third := s.at(netip.MustParseAddr("127.3.3.3"))
		s.sends(s.client, third, channelData(0x4001, "of no allocation"))
		s.sends(s.client, third, stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw)
		buffer := make([]byte, 100)
		if _, from, err := s.client.ReadFromUDPAddrPort(buffer); err != nil || from != third {
			t.Fatalf("answered from %v: %v", from, err)
		}
		if up, _, _ := s.relay.Traffic(); up.Packets != 3 {
			t.Errorf("%d packets passed", up.Packets)
		}
		for _, one := range both {
			if err := one.relay.Close(); err != nil {
				t.Error(err)
			}
			<-one.relay.Ended()
		}
	})
}

// TestWildcardOutsideTheLoops: a socket of package net tells and chooses as a listener does.
func TestWildcardOutsideTheLoops(t *testing.T) {
	for _, row := range []struct{ network, at string }{{"udp4", "0.0.0.0:0"}, {"udp", "[::]:0"}, {"udp6", "[::]:0"}} {
		conn, err := net.ListenPacket(row.network, row.at)
		if err != nil {
			t.Fatal(err)
		}
		w, err := relay.NewWildcard(conn.(*net.UDPConn))
		if err != nil {
			t.Fatal(err)
		}
		for _, address := range hostAddresses {
			local := netip.MustParseAddr(address)
			if row.network == "udp4" && local.Is6() || row.network == "udp6" && local.Is4() {
				continue
			}
			client := socketAt(t, local)
			s := &setting{t: t, client: client}
			server := netip.AddrPortFrom(local, addr(w).Port())
			s.sends(client, server, []byte("there"))
			buffer := make([]byte, 100)
			n, from, told, err := w.ReadPacket(buffer)
			if err != nil || string(buffer[:n]) != "there" || from != addr(client) || told != local {
				t.Fatalf("%s: %q from %v to %v: %v", row.network, buffer[:n], from, told, err)
			}
			if err := w.WritePacket([]byte("and back"), from, told); err != nil {
				t.Fatal(err)
			}
			s.gets(client, server, []byte("and back"))
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}
