//go:build linux

package relay_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"go.uber.org/goleak"

	"tourbillon/timing/timingtest"
	"tourbillon/turn/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; none comes near it unless something is broken.
const patience = timingtest.Patience

// anywhere is a free port, which is free for being opened again when it was closed.
var anywhere = netip.AddrPortFrom(timingtest.OwnLoopback(), 0)

// bothWays runs a test with io_uring and with epoll.
func bothWays(t *testing.T, test func(t *testing.T, p *relay.Plane)) {
	for name, o := range map[string]relay.Options{"io_uring": {Loops: 1}, "epoll": {Loops: 1, WithoutRing: true}} {
		t.Run(name, func(t *testing.T) {
			p, err := relay.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			for _, note := range p.Notes() {
				t.Log(note)
			}
			defer func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}()
			test(t, p)
		})
	}
}

// setting is one allocation with a client and a peer.
type setting struct {
	t            *testing.T
	listener     *relay.Listener
	relay        *relay.Relay
	client, peer *net.UDPConn
}

func newSetting(t *testing.T, p *relay.Plane) *setting {
	t.Helper()
	listeners, err := p.Listen(anywhere, false)
	if err != nil {
		t.Fatal(err)
	}
	s := &setting{t: t, listener: listeners[0], client: socket(t), peer: socket(t)}
	if s.relay, err = s.listener.Loop().OpenRelay(anywhere); err != nil {
		t.Fatal(err)
	}
	return s
}

func socket(t *testing.T) *net.UDPConn {
	t.Helper()
	return socketFor(t)
}

func socketFor(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(anywhere))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addr(c interface{ LocalAddr() net.Addr }) netip.AddrPort {
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func (s *setting) attach() { s.relay.Attach(relay.Client{Listener: s.listener, Addr: addr(s.client)}) }

func (s *setting) bind(channel uint16) {
	s.relay.SetFlow(relay.Flow{Peer: addr(s.peer), Announced: addr(s.peer), Channel: channel})
}

func channelData(channel uint16, data string) []byte {
	b := binary.BigEndian.AppendUint16(nil, channel)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// sends sends from one socket to an address.
func (s *setting) sends(from *net.UDPConn, to netip.AddrPort, data []byte) {
	s.t.Helper()
	if _, err := from.WriteToUDPAddrPort(data, to); err != nil {
		s.t.Fatal(err)
	}
}

// gets expects a packet from an address.
func (s *setting) gets(on net.PacketConn, from netip.AddrPort, want []byte) {
	s.t.Helper()
	if err := on.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	n, at, err := on.ReadFrom(buffer)
	if err != nil {
		s.t.Fatal(err)
	}
	if !bytes.Equal(buffer[:n], want) || at.(*net.UDPAddr).AddrPort() != from {
		s.t.Fatalf("got %x from %v, want %x from %v", buffer[:n], at, want, from)
	}
}

func TestChannelDataBothWays(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		s.attach()
		s.bind(0x4001)
		for _, data := range []string{"there", "", "and of some length"} {
			s.sends(s.client, addr(s.listener), channelData(0x4001, data))
			s.gets(s.peer, addr(s.relay), []byte(data))
			s.sends(s.peer, addr(s.relay), []byte(data+" and back"))
			s.gets(s.client, addr(s.listener), channelData(0x4001, data+" and back"))
		}
		if up, down, _ := s.relay.Traffic(); up.Packets != 3 || down.Packets != 3 || up.Bytes != 5+18 {
			t.Errorf("counted %+v and %+v", up, down)
		}
	})
}

// indication builds a Send or Data indication.
func indication(kind stun.Method, peer netip.AddrPort, data string) []byte {
	value := stun.XORMappedAddress{IP: peer.Addr().AsSlice(), Port: int(peer.Port())}
	m := stun.MustBuild(stun.TransactionID, stun.NewType(kind, stun.ClassIndication))
	if err := value.AddToAs(m, stun.AttrXORPeerAddress); err != nil {
		panic(err)
	}
	m.Add(stun.AttrData, []byte(data))
	return m.Raw
}

// getsIndication expects a Data indication of a peer's data.
func (s *setting) getsIndication(peer netip.AddrPort, data string) {
	s.t.Helper()
	buffer := make([]byte, 4096)
	if err := s.client.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	n, err := s.client.Read(buffer)
	if err != nil {
		s.t.Fatal(err)
	}
	m := &stun.Message{Raw: buffer[:n]}
	var from stun.XORMappedAddress
	if err := errors.Join(m.Decode(), from.GetFromAs(m, stun.AttrXORPeerAddress)); err != nil {
		s.t.Fatal(err)
	}
	got, err := m.Get(stun.AttrData)
	at, _ := netip.AddrFromSlice(from.IP)
	if err != nil || string(got) != data || netip.AddrPortFrom(at.Unmap(), uint16(from.Port)) != peer ||
		m.Type != stun.NewType(stun.MethodData, stun.ClassIndication) {
		s.t.Fatalf("got %v with %q from %v: %v", m.Type, got, from, err)
	}
}

func TestIndicationsBothWays(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		s.attach()
		s.bind(0)
		for _, data := range []string{"there", "four", "and of some length"} {
			s.sends(s.client, addr(s.listener), indication(stun.MethodSend, addr(s.peer), data))
			s.gets(s.peer, addr(s.relay), []byte(data))
			s.sends(s.peer, addr(s.relay), []byte(data+"!"))
			s.getsIndication(addr(s.peer), data+"!")
		}
	})
}

func TestIndicationsOverIPv6(t *testing.T) {
	before := anywhere
	defer func() { anywhere = before }()
	anywhere = netip.MustParseAddrPort("[::1]:0")
	TestIndicationsBothWays(t)
	TestChannelDataBothWays(t)
	TestBindingIsAnsweredInTheLoop(t)
	TestBindingCarriesFingerprint(t)
}

func TestBindingIsAnsweredInTheLoop(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
		s.sends(s.client, addr(s.listener), ask.Raw)
		want := stun.MustBuild(stun.NewTransactionIDSetter(ask.TransactionID), stun.BindingSuccess,
			&stun.XORMappedAddress{IP: addr(s.client).Addr().AsSlice(), Port: int(addr(s.client).Port())})
		s.gets(s.client, addr(s.listener), want.Raw)
		// With another attribute it is for somebody who knows attributes.
		for _, odd := range [][]stun.Setter{
			{stun.NewSoftware("odd")}, {stun.NewUsername("odd")}, {stun.NewSoftware("odd"), stun.Fingerprint},
			{stun.Fingerprint, stun.Fingerprint},
		} {
			ask := stun.MustBuild(append([]stun.Setter{stun.TransactionID, stun.BindingRequest}, odd...)...).Raw
			s.sends(s.client, addr(s.listener), ask)
			s.gets(s.listener, addr(s.client), ask)
		}
	})
}

// TestBindingCarriesFingerprint asks with and without FINGERPRINT: an answer has it when its request has (RFC 8489 14.7),
// and one that is wrong is answered by silence (6.3).
func TestBindingCarriesFingerprint(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		for _, row := range []struct {
			name    string
			setters []stun.Setter
			marked  bool
		}{
			{"bare", nil, false},
			{"FINGERPRINT", []stun.Setter{stun.Fingerprint}, true},
		} {
			ask := stun.MustBuild(append([]stun.Setter{stun.TransactionID, stun.BindingRequest}, row.setters...)...)
			broken := append([]byte(nil), ask.Raw...)
			broken[8]++ // Another transaction, for which FINGERPRINT is wrong.
			if row.marked {
				s.sends(s.client, addr(s.listener), broken)
			}
			s.sends(s.client, addr(s.listener), ask.Raw)
			s.getsBinding(row.name, ask.TransactionID, row.marked)
		}
		if n := p.Counters(); n.Bindings != 2 || n.Garbage != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// getsBinding expects a Binding success response, as another decoder reads it.
func (s *setting) getsBinding(name string, id [stun.TransactionIDSize]byte, marked bool) {
	s.t.Helper()
	if err := s.client.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	answer := &stun.Message{Raw: make([]byte, 1024)}
	n, err := s.client.Read(answer.Raw)
	answer.Raw = answer.Raw[:n]
	var at stun.XORMappedAddress
	if err := errors.Join(err, answer.Decode(), at.GetFrom(answer)); err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	if at.Port != int(addr(s.client).Port()) || answer.TransactionID != id || answer.Type != stun.BindingSuccess {
		s.t.Errorf("%s: %v with %v", name, answer, at)
	}
	if has := answer.Contains(stun.AttrFingerprint); has != marked || has && stun.Fingerprint.Check(answer) != nil {
		s.t.Errorf("%s: FINGERPRINT in the answer: %v, %v", name, has, answer)
	}
}

func TestBindingsAreThrottled(t *testing.T) {
	const rate, sent = 3, 50
	p, err := relay.Open(relay.Options{Loops: 1, BindingsPerSecond: rate})
	if err != nil {
		t.Fatal(err)
	}
	defer closePlane(t, p)
	s := newSetting(t, p)
	began := time.Now()
	for range sent {
		s.sends(s.client, addr(s.listener), stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw)
	}
	eventually(t, "all are judged", func() bool {
		n := p.Counters()
		return n.FromClients == sent && n.Bindings+n.ThrottledBindings >= sent
	})
	// A second's share at once, and what the time that all this took brings.
	most := uint64(rate*(1+time.Since(began).Seconds())) + 1
	if n := p.Counters(); n.Bindings < rate || n.Bindings > most || n.Bindings+n.ThrottledBindings != sent {
		t.Errorf("%d answered, at most %d are due, %d withheld", n.Bindings, most, n.ThrottledBindings)
	}
}

func closePlane(t *testing.T, p *relay.Plane) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// eventually goes by its short name here.
var eventually = timingtest.Eventually

// TestWhatTheLoopDoesNotKnow goes to Go: a peer without a flow to the relay, a known client's other packets to the
// listener. What comes from nobody's client goes nowhere.
func TestWhatTheLoopDoesNotKnow(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		s.sends(s.client, addr(s.listener), channelData(0x4001, "from a stranger"))
		s.sends(s.client, addr(s.listener), indication(stun.MethodSend, addr(s.peer), "from a stranger"))
		s.sends(s.client, addr(s.listener), []byte{0xff, 1, 2, 3})
		eventually(t, "all are counted", func() bool { n := p.Counters(); return n.Strangers == 2 && n.Garbage == 1 })
		s.attach()
		s.sends(s.client, addr(s.listener), channelData(0x4001, "no such channel"))
		s.gets(s.listener, addr(s.client), channelData(0x4001, "no such channel"))
		send := indication(stun.MethodSend, addr(s.peer), "no such flow")
		s.sends(s.client, addr(s.listener), send)
		s.gets(s.listener, addr(s.client), send)
		s.sends(s.peer, addr(s.relay), []byte("no such peer"))
		s.gets(s.relay, addr(s.peer), []byte("no such peer"))
	})
}

// TestFlowsChangeAtOnce rebinds, unbinds and revokes: each is in force for the next packet that is sent.
func TestFlowsChangeAtOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		s.attach()
		for i := range 200 {
			channel := 0x4000 + uint16(i)
			s.bind(channel)
			s.sends(s.client, addr(s.listener), channelData(channel, "bound"))
			s.gets(s.peer, addr(s.relay), []byte("bound"))
			s.sends(s.peer, addr(s.relay), []byte("back"))
			s.gets(s.client, addr(s.listener), channelData(channel, "back"))
			switch i % 3 {
			case 0:
				s.relay.RemoveFlow(addr(s.peer))
			case 1:
				s.relay.RemoveFlows()
			case 2:
				s.bind(0)
				s.relay.RemoveFlow(addr(s.peer))
			}
			s.sends(s.client, addr(s.listener), channelData(channel, "unbound"))
			s.gets(s.listener, addr(s.client), channelData(channel, "unbound"))
			s.sends(s.peer, addr(s.relay), []byte("unbound"))
			s.gets(s.relay, addr(s.peer), []byte("unbound"))
		}
	})
}

// TestClientAddressIsUsedAgain has a client's next allocation take the way of the one before, which ends later.
func TestClientAddressIsUsedAgain(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		for range 50 {
			s.attach()
			s.bind(0x4001)
			old := s.relay
			next, err := s.listener.Loop().OpenRelay(anywhere)
			if err != nil {
				t.Fatal(err)
			}
			s.relay = next
			s.attach()
			s.bind(0x4001)
			old.SetFlow(relay.Flow{Peer: addr(s.peer), Announced: addr(s.peer), Channel: 0x4001}) // Too late.
			s.sends(s.client, addr(s.listener), channelData(0x4001, "by the next"))
			s.gets(s.peer, addr(next), []byte("by the next"))
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			<-old.Ended()
			s.sends(s.client, addr(s.listener), channelData(0x4001, "by the next still"))
			s.gets(s.peer, addr(next), []byte("by the next still"))
		}
	})
}

// TestClosedRelay gives its port free, relays nothing more and keeps its counts.
func TestClosedRelay(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		s.attach()
		s.bind(0x4001)
		s.sends(s.client, addr(s.listener), channelData(0x4001, "last"))
		s.gets(s.peer, addr(s.relay), []byte("last"))
		at := addr(s.relay)
		if err := s.relay.Close(); err != nil {
			t.Fatal(err)
		}
		<-s.relay.Ended()
		if _, _, err := s.relay.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading a closed relay: %v", err)
		}
		if _, err := s.relay.WriteTo(nil, s.peer.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing to a closed relay: %v", err)
		}
		if up, _, _ := s.relay.Traffic(); up != (relay.Traffic{Packets: 1, Bytes: 4}) {
			t.Errorf("counted %+v", up)
		}
		s.bind(0x4002) // Does nothing.
		s.sends(s.client, addr(s.listener), channelData(0x4001, "too late"))
		eventually(t, "it is dropped", func() bool { return p.Counters().Strangers == 1 })
		again, err := s.listener.Loop().OpenRelay(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFlowWhileLive(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		s.attach()
		port := addr(s.peer).Port()
		s.relay.SetFlow(relay.Flow{Peer: addr(s.peer), Announced: addr(s.peer), Channel: 0x4001, WhileLive: true, LivePort: port})
		for range 3 {
			s.sends(s.client, addr(s.listener), channelData(0x4001, "dead"))
			s.gets(s.listener, addr(s.client), channelData(0x4001, "dead"))
			s.sends(s.peer, addr(s.relay), []byte("dead"))
			s.gets(s.relay, addr(s.peer), []byte("dead"))
			p.Live(0, port, true)
			s.sends(s.client, addr(s.listener), channelData(0x4001, "live"))
			s.gets(s.peer, addr(s.relay), []byte("live"))
			p.Live(0, port, false)
		}
	})
}

// TestCeilings has rates so low that the time which the test takes brings next to nothing.
func TestCeilings(t *testing.T) {
	const sent, atOnce = 200, 50 // So many as any socket has room for.
	for name, row := range map[string]struct {
		plane  relay.Options
		client relay.Client
		of     func(relay.Drops) uint64
	}{
		"packets": {client: relay.Client{PacketsPerSecond: 4}, of: func(d relay.Drops) uint64 { return d.PacketRate }},
		"bytes":   {client: relay.Client{BytesPerSecond: 40}, of: func(d relay.Drops) uint64 { return d.Bandwidth }},
		"server":  {plane: relay.Options{BytesPerSecond: 1000}, of: func(d relay.Drops) uint64 { return d.Server }},
	} {
		t.Run(name, func(t *testing.T) {
			row.plane.Loops = 1
			p, err := relay.Open(row.plane)
			if err != nil {
				t.Fatal(err)
			}
			defer closePlane(t, p)
			s := newSetting(t, p)
			row.client.Listener, row.client.Addr = s.listener, addr(s.client)
			s.relay.Attach(row.client)
			s.bind(0x4001)
			data := strings.Repeat("x", 1000)
			if name != "server" {
				data = data[:10]
			}
			for n := uint64(1); n <= sent; n++ {
				s.sends(s.client, addr(s.listener), channelData(0x4001, data))
				if n%atOnce == 0 {
					eventually(t, "all are relayed or dropped", func() bool {
						up, _, drops := s.relay.Traffic()
						return up.Packets+row.of(drops) == n
					})
				}
			}
			if up, _, drops := s.relay.Traffic(); up.Packets == 0 || row.of(drops) < sent/4 || p.Counters().Drops != drops {
				t.Errorf("%d passed, dropped %+v", up.Packets, drops)
			}
		})
	}
}

// TestSlowWayTakesFromTheSameCeilings sends through a loop what Go admits for the same allocation meanwhile, in both
// directions: together they keep to one rate.
func TestSlowWayTakesFromTheSameCeilings(t *testing.T) {
	const rate, burst, offered = 4000, 1000, 5000
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		s.relay.Attach(relay.Client{Listener: s.listener, Addr: addr(s.client), PacketsPerSecond: rate})
		s.bind(0x4001)
		for d, send := range map[relay.Direction]func(){
			relay.ToPeer:   func() { s.sends(s.client, addr(s.listener), channelData(0x4001, "through the loop")) },
			relay.FromPeer: func() { s.sends(s.peer, addr(s.relay), []byte("through the loop")) },
		} {
			relayed := func() uint64 {
				up, down, _ := s.relay.Traffic()
				return map[relay.Direction]uint64{relay.ToPeer: up.Packets, relay.FromPeer: down.Packets}[d]
			}
			send() // The ceilings are in force when it has passed.
			eventually(t, "the first passes", func() bool { return relayed() == 1 })
			began, admitted := time.Now(), uint64(0)
			for range offered {
				send()
				if s.relay.Admit(d, 16) == relay.Admitted {
					admitted++
				}
			}
			// What still waits in a socket was sent before, and takes from the ceilings later.
			eventually(t, "the loop has seen the last", func() bool {
				seen := p.Counters().Packets
				send()
				eventually(t, "one more is seen", func() bool { return p.Counters().Packets > seen })
				return relayed() > 1
			})
			all, allowed := admitted+relayed(), burst+rate*time.Since(began).Seconds()+2
			if float64(all) > allowed || admitted == 0 {
				t.Errorf("direction %d: %d passed, %d of them beside the loop, allowed %.0f", d, all, admitted, allowed)
			}
		}
		if err := s.relay.Close(); err != nil {
			t.Error(err)
		}
		<-s.relay.Ended()
		if refusal := s.relay.Admit(relay.ToPeer, 1); refusal != relay.Admitted {
			t.Errorf("an ended relay refuses for %v", refusal)
		}
	})
}

// TestPlaneDraws: what is relayed beside the plane takes from the plane's ceiling, and after the end there is none.
func TestPlaneDraws(t *testing.T) {
	p, err := relay.Open(relay.Options{Loops: 1, BytesPerSecond: 4})
	if err != nil {
		t.Fatal(err)
	}
	s := newSetting(t, p)
	s.attach()
	s.bind(0x4001)
	if !p.Draw(1 << 20) { // More than a bucket passes while that is full, and is paid off for days.
		t.Error("a full bucket refuses")
	}
	if p.Draw(1) || s.relay.Admit(relay.ToPeer, 1) != relay.Server {
		t.Error("an empty bucket gives")
	}
	s.sends(s.client, addr(s.listener), channelData(0x4001, "none left"))
	eventually(t, "it is dropped", func() bool { return p.Counters().Drops.Server == 1 })
	want := p.Counters()
	closePlane(t, p)
	if got := p.Counters(); p.Draw(1) || got.Drops != want.Drops || got.FromClients != want.FromClients {
		t.Errorf("after the end %+v, before %+v", got, want)
	}
}

// TestPortIsTaken: a listening address belongs to one plane, although its loops share it.
func TestPortIsTaken(t *testing.T) {
	first, err := relay.Open(relay.Options{Loops: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer closePlane(t, first)
	listeners, err := first.Listen(anywhere, false)
	if err != nil || len(listeners) != 3 {
		t.Fatalf("%d listeners: %v", len(listeners), err)
	}
	second, err := relay.Open(relay.Options{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer closePlane(t, second)
	if _, err := second.Listen(addr(listeners[0]), false); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the port is shared: %v", err)
	}
	for _, l := range listeners {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := l.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading a closed listener: %v", err)
		}
	}
	if _, err := second.Listen(addr(listeners[0]), false); err != nil {
		t.Errorf("the port is not free again: %v", err)
	}
}

// TestStorm changes everything while packets flow, on several loops, and expects nothing but whole payloads at the
// right places.
func TestStorm(t *testing.T) {
	for name, o := range map[string]relay.Options{"io_uring": {Loops: 2}, "epoll": {Loops: 2, WithoutRing: true}} {
		t.Run(name, func(t *testing.T) {
			p, err := relay.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			defer closePlane(t, p)
			listeners, err := p.Listen(anywhere, false)
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() { storm(t, p, listeners, i) })
			}
			all.Wait()
			if n := p.Counters(); n.Packets == 0 || n.Garbage != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

// storm makes and ends allocations of one client, which sends all the while to a peer that checks what it gets.
func storm(t *testing.T, p *relay.Plane, listeners []*relay.Listener, seed int) {
	client, peer := socket(t), socket(t)
	mine := string(rune('a' + seed))
	var reading sync.WaitGroup
	for _, c := range []*net.UDPConn{client, peer} {
		reading.Go(func() { readWhole(t, c, mine) })
	}
	for round := range 60 {
		l := listeners[round%len(listeners)]
		r, err := l.Loop().OpenRelay(anywhere)
		if err != nil {
			t.Error(err)
			break
		}
		r.Attach(relay.Client{Listener: l, Addr: addr(client)})
		for i := range 20 {
			channel := uint16(0x4000 + i%3)
			r.SetFlow(relay.Flow{Peer: addr(peer), Announced: addr(peer), Channel: channel, WhileLive: i%2 == 0, LivePort: 7})
			p.Live(0, 7, i%4 == 0)
			_, _ = client.WriteToUDPAddrPort(channelData(channel, strings.Repeat(mine, 10+i)), addr(l))
			_, _ = peer.WriteToUDPAddrPort([]byte(strings.Repeat(mine, 50+i)), addr(r))
			if i%5 == 0 {
				r.RemoveFlow(addr(peer))
			}
		}
		_ = r.Close()
		if round%2 == 0 {
			<-r.Ended()
		}
	}
	_, _ = client.SetReadDeadline(time.Unix(1, 0)), peer.SetReadDeadline(time.Unix(1, 0))
	reading.Wait()
}

// readWhole reads until the deadline and expects packets of one letter.
func readWhole(t *testing.T, c *net.UDPConn, letter string) {
	buffer := make([]byte, 2048)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		data := string(buffer[:n])
		if n >= 4 && buffer[0] == 0x40 {
			data = data[4:]
		}
		if strings.Trim(data, letter) != "" {
			t.Errorf("%q for %q", data, letter)
		}
	}
}
