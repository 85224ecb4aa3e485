//go:build linux

package relay_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tourbillon/turn/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; none comes near it unless something is broken.
const patience = 10 * time.Second

var anywhere = netip.MustParseAddrPort("127.0.0.1:0")

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
	listeners, err := p.Listen(anywhere)
	if err != nil {
		t.Fatal(err)
	}
	s := &setting{t: t, listener: listeners[0], client: socket(t), peer: socket(t)}
	if s.relay, err = s.listener.OpenRelay(anywhere); err != nil {
		t.Fatal(err)
	}
	return s
}

func socket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anywhere))
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
