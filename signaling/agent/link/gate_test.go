package link_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/timing/timingtest"
)

// bench is a socket on a manual clock; tests write as pion's agents do.
type bench struct {
	clock   *timingtest.Manual
	network *timingtest.Network
	socket  *link.Socket
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{clock: timingtest.NewManual()}
	b.network = timingtest.NewNetwork(b.clock, timingtest.Deliver)
	endpoint, err := b.network.Listen(ourHost)
	check(t, "listen", err)
	b.socket, err = link.Open(link.Config{Conn: endpoint, Clock: b.clock, Admit: link.Admit(inMemory)})
	check(t, "open", err)
	t.Cleanup(func() {
		check(t, "close the socket", b.socket.Close())
		check(t, "close the network", b.network.Close())
		if n := b.clock.Pending(); n != 0 {
			t.Errorf("%d timers are left", n)
		}
	})
	return b
}

func (b *bench) path(t *testing.T, ufrag string) (*link.Path, net.PacketConn) {
	t.Helper()
	p, err := b.socket.NewPath(nil)
	check(t, "make a path", err)
	conn, err := p.Mux().GetConn(ufrag, net.UDPAddrFromAddrPort(ourHost))
	check(t, "get a connection", err)
	t.Cleanup(func() { _ = conn.Close() })
	return p, conn
}

func write(t *testing.T, conn net.PacketConn, data []byte, to netip.AddrPort) {
	t.Helper()
	if n, err := conn.WriteTo(data, net.UDPAddrFromAddrPort(to)); err != nil || n != len(data) {
		t.Errorf("write %d bytes to %v: %d, %v", len(data), to, n, err)
	}
}

func request(t *testing.T) []byte {
	t.Helper()
	raw, err := credentials.Request(consent.TransactionID{1})
	check(t, "build a request", err)
	return raw
}

// TestForbiddenAddresses has an agent given candidates that it must not send to: nothing leaves, whatever it is.
func TestForbiddenAddresses(t *testing.T) {
	b := newBench(t)
	p, conn := b.path(t, "ours")
	defer p.Close()
	for _, text := range []string{"127.0.0.1:80", "169.254.169.254:80", "[fe80::1]:9", "[::ffff:127.0.0.1]:80", "224.0.0.1:9", "0.0.0.0:9", "100.100.100.200:80"} {
		write(t, conn, request(t), netip.MustParseAddrPort(text))
		write(t, conn, []byte{22, 254, 253}, netip.MustParseAddrPort(text))
	}
	b.clock.Advance(time.Second)
	if sent, n := len(b.network.Sent()), b.socket.Counts().Forbidden; sent != 0 || n != 14 {
		t.Errorf("%d datagrams left, %d were kept back", sent, n)
	}
}

// TestForbiddenPair selects a pair to where no datagram may go: no consent check goes there either.
func TestForbiddenPair(t *testing.T) {
	b := newBench(t)
	p, conn := b.path(t, "ours")
	defer p.Close()
	p.Select(netip.MustParseAddrPort("169.254.169.254:80"), credentials)
	b.clock.Advance(time.Minute)
	if sent, s := len(b.network.Sent()), p.Status(); sent != 0 || s.Consent != consent.None || b.socket.Counts().Forbidden != 1 {
		t.Errorf("%d datagrams left, %+v", sent, s)
	}
	write(t, conn, request(t), peerHost)
	if s := p.Status(); s.Pacing.Sent != 1 || b.socket.Admits(netip.MustParseAddrPort("[::ffff:127.0.0.1]:80")) || !b.socket.Admits(peerHost) {
		t.Errorf("%+v", s)
	}
}

// TestEndedAgent has checks wait for their turn when their agent ends: they never leave.
func TestEndedAgent(t *testing.T) {
	b := newBench(t)
	p, conn := b.path(t, "ours")
	for n := range 4 {
		write(t, conn, request(t), netip.AddrPortFrom(peerHost.Addr(), uint16(5000+n)))
	}
	if sent := len(b.network.Sent()); sent != 1 {
		t.Errorf("%d checks left at once, want the first alone", sent)
	}
	b.clock.Advance(50 * time.Millisecond)
	p.Close()
	b.clock.Advance(time.Second)
	if sent, n := len(b.network.Sent()), b.socket.Counts().Pacing; sent != 2 || n.Ended != 2 {
		t.Errorf("%d checks left, %+v", sent, n)
	}
	if _, err := conn.WriteTo([]byte{22}, net.UDPAddrFromAddrPort(peerHost)); err == nil {
		t.Error("an ended agent could send")
	}
}

// TestForeignPeer has a second agent be given the first one's peer for a candidate: its checks would make pion's mux
// hand it the first one's packets, so they do not leave while the first one has consent.
func TestForeignPeer(t *testing.T) {
	b := newBench(t)
	first, _ := b.path(t, "first")
	second, conn := b.path(t, "second")
	defer second.Close()
	first.Select(peerHost, credentials)
	write(t, conn, request(t), peerHost)
	if sent, n := len(b.network.SentTo(peerHost)), b.socket.Counts().Foreign; sent != 0 || n != 1 {
		t.Errorf("%d left, %d were kept back", sent, n)
	}
	first.Close()
	write(t, conn, request(t), peerHost)
	if sent := len(b.network.SentTo(peerHost)); sent != 1 {
		t.Errorf("%d left when the address was free", sent)
	}
}

// FuzzRead gives the socket any datagram while a check awaits its answer: it survives, and nothing counts.
func FuzzRead(f *testing.F) {
	raw, _ := credentials.Request(consent.TransactionID{1})
	f.Add(raw)
	f.Add(raw[:20])
	f.Add([]byte{1, 1, 255, 255, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		clock := timingtest.NewManual()
		network := timingtest.NewNetwork(clock, timingtest.Deliver)
		endpoint, err := network.Listen(ourHost)
		check(t, "listen", err)
		socket, err := link.Open(link.Config{Conn: endpoint, Clock: clock, Random: &soonest{}, Admit: link.Admit(inMemory)})
		check(t, "open", err)
		path, err := socket.NewPath(nil)
		check(t, "make a path", err)
		path.Select(peerHost, credentials)
		theirs, err := network.Listen(peerHost)
		check(t, "listen", err)
		clock.Advance(consent.MinInterval)
		_, err = theirs.WriteToAddrPort(datagram, ourHost)
		check(t, "send", err)
		path.Close()
		if s := path.Status(); s.Quality.Answers != 0 {
			t.Errorf("%x counts", datagram)
		}
		check(t, "close the socket", socket.Close())
		check(t, "close the network", network.Close())
	})
}
