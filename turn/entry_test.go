package turn

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
	"tourbillon/turn/nonce"
)

// silentSocket is a relay's socket on which nothing arrives.
type silentSocket struct {
	net.PacketConn
	once   sync.Once
	closed chan struct{}
}

func (s *silentSocket) ReadFrom([]byte) (int, net.Addr, error) {
	<-s.closed
	return 0, nil, net.ErrClosed
}

func (s *silentSocket) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// letters keeps what is sent to a client.
type letters struct {
	mu   sync.Mutex // guards sent
	sent [][]byte
}

func (l *letters) reply(p []byte, to tuple) { l.send(p, to) }
func (l *letters) send(p []byte, _ tuple) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, append([]byte(nil), p...))
}
func (l *letters) authenticated(netip.AddrPort) {}

// testEntry begins an allocation for ten minutes.
func testEntry(t *testing.T, c *core, i int, user string) *entry {
	t.Helper()
	key := client(i, "192.0.2.1")
	if reason := c.allocations.reserve(key, user); reason != "" {
		t.Fatalf("not reserved: %s", reason)
	}
	port := c.relays.first + uint16(i)
	socket := newRelayConn(c.relays, &silentSocket{closed: make(chan struct{})}, c.relays.ends[0], port)
	c.relays.ends[0].enter(socket)
	c.tasks.Add(1)
	e := &entry{core: c, key: key, user: user, socket: socket, back: &letters{}, from: tuple{client: key.client}}
	e.shown.User, e.shown.Relay = printable(user), netip.AddrPortFrom(c.relays.ends[0].announced(), port)
	if !e.begin(defaultLifetime) {
		t.Fatal("the table is closed")
	}
	return e
}

func limitedCore(t *testing.T, clock *timingtest.Manual, limits Limits) *core {
	t.Helper()
	c := newCore(Config{Secrets: [][]byte{[]byte("s")}, Clock: clock, Limits: limits}.withDefaults())
	t.Cleanup(func() {
		c.allocations.close()
		c.tasks.Wait()
		if n := clock.Pending(); n != 0 {
			t.Errorf("%d timers left", n)
		}
		if q := c.allocations.quota; len(q.held)+len(q.users)+len(q.sources)+len(q.pending) != 0 {
			t.Errorf("the quota still counts %+v", q)
		}
	})
	return c
}

func peerAt(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 8, byte(i >> 8), byte(i)}), 5000)
}

func TestInstallLimitsPeersAndChannels(t *testing.T) {
	clock := timingtest.NewManual()
	c := limitedCore(t, clock, Limits{PeersPerAllocation: 12, ChannelsPerAllocation: 1, NewPeersPerSecond: 5})
	e := testEntry(t, c, 1, "a\x1b[31m")
	expect := func(i int, channel uint16, want Reason) {
		t.Helper()
		if reason := e.install([]netip.AddrPort{peerAt(i)}, channel); reason != want {
			t.Errorf("peer %d channel %#x: %q, want %q", i, channel, reason, want)
		}
	}
	for i := range 10 {
		expect(i, 0, "")
	}
	expect(3, 0, "")
	expect(10, 0x4000, "")
	expect(10, 0x4000, "")
	expect(9, 0x4000, reasonChannelTaken)
	expect(10, 0x4001, reasonChannels)
	expect(11, 0, "")
	expect(12, 0, reasonPermissions)
	if got := c.allocations.snapshot(); len(got) != 1 || got[0].Permissions != 12 || got[0].Channels != 1 || got[0].User != "a[31m" {
		t.Errorf("snapshot %+v", got)
	}
	e.end()
	expect(1, 0, reasonNoAllocation)
}

// TestNewPeersComeInABurst lets an allocation add what a call needs at once, and no more than the rate from then on.
func TestNewPeersComeInABurst(t *testing.T) {
	const all = maxFrameBytes / 12
	for _, row := range []struct{ rate, burst int }{{5, all}, {200, 200}, {1, all}} {
		clock := timingtest.NewManual()
		c := limitedCore(t, clock, Limits{PeersPerAllocation: Unlimited, NewPeersPerSecond: row.rate})
		e, next := testEntry(t, c, 1, "a"), 0
		add := func() (added int) {
			for ; e.install([]netip.AddrPort{peerAt(next)}, 0) == ""; next++ {
				added++
			}
			if reason := e.install([]netip.AddrPort{peerAt(next)}, 0); reason != reasonNewPeers {
				t.Errorf("refused for %q", reason)
			}
			return added
		}
		if n := add(); n != row.burst {
			t.Errorf("rate %d: %d at once, want %d", row.rate, n, row.burst)
		}
		for range 3 {
			clock.Advance(time.Second)
			if n := add(); n != row.rate {
				t.Errorf("rate %d: %d a second later", row.rate, n)
			}
		}
		if e.install([]netip.AddrPort{peerAt(0), peerAt(1)}, 0) != "" {
			t.Error("a refresh counts as new")
		}
		clock.Advance(3 * time.Minute)
		if n := add(); n != row.burst {
			t.Errorf("rate %d: %d after a rest, want %d", row.rate, n, row.burst)
		}
	}
	for limit, want := range map[int]int{0: 32, 8: 32, 64: 64} {
		if n := (Limits{PeersPerAllocation: limit}).peersAtOnce(); n != want {
			t.Errorf("%d at once with a limit of %d, want %d", n, limit, want)
		}
	}
}

// TestLifetimes lets a permission, a channel and an allocation run out, each at its instant and not before.
func TestLifetimes(t *testing.T) {
	clock := timingtest.NewManual()
	c := limitedCore(t, clock, LimitsOff())
	e := testEntry(t, c, 1, "a")
	e.install([]netip.AddrPort{peerAt(1)}, 0x4000)
	e.install([]netip.AddrPort{peerAt(2)}, 0)
	shown := func(permissions, channels, allocations int) {
		t.Helper()
		got := c.allocations.snapshot()
		if len(got) != allocations || allocations == 1 && (got[0].Permissions != permissions || got[0].Channels != channels) {
			t.Fatalf("at %v: %+v, want %d permissions, %d channels", clock.Now(), got, permissions, channels)
		}
	}
	clock.Advance(permissionLifetime - time.Second)
	shown(2, 1, 1)
	e.install([]netip.AddrPort{peerAt(2)}, 0)
	clock.Advance(time.Second)
	shown(1, 1, 1)
	if e.permits(peerAt(1).Addr()) || !e.permits(peerAt(2).Addr()) {
		t.Error("the wrong permission ended")
	}
	if peer, ok := e.peerOf(0x4000); !ok || peer != peerAt(1) {
		t.Error("the channel ended with its permission")
	}
	if !e.prolong(maxLifetime) {
		t.Fatal("not prolonged")
	}
	clock.Advance(channelLifetime - permissionLifetime)
	shown(0, 0, 1)
	if e.install([]netip.AddrPort{peerAt(3)}, 0x4000) != "" {
		t.Error("the number of a channel that ended is still taken")
	}
	clock.Advance(maxLifetime - (channelLifetime - permissionLifetime) - time.Second)
	shown(0, 0, 1)
	clock.Advance(time.Second)
	shown(0, 0, 0)
	if e.prolong(time.Hour) || e.end() || c.relays.isLive(e.shown.Relay) {
		t.Error("what ended lives on")
	}
}

// TestKickBesideRequests ends allocations while requests for them are served: each request is answered for an
// allocation that lives or for none, nothing is ended twice, and nothing is left.
func TestKickBesideRequests(t *testing.T) {
	clock := timingtest.NewManual()
	c := limitedCore(t, clock, LimitsOff())
	s := &Server{core: c}
	const rounds, users = 40, 4
	for round := range rounds {
		var all []*entry
		for i := range users {
			all = append(all, testEntry(t, c, i, "kicked"))
		}
		var wait sync.WaitGroup
		ended := make([]int, 2)
		for k := range ended {
			wait.Go(func() { ended[k] = s.Kick("kicked") })
		}
		for i, e := range all {
			wait.Go(func() {
				for e.prolong(defaultLifetime) {
					e.install([]netip.AddrPort{peerAt(i)}, 0x4000)
					e.toClient(peerAt(i), []byte("x"))
				}
				if e.install([]netip.AddrPort{peerAt(9)}, 0) != reasonNoAllocation || e.permits(peerAt(9).Addr()) {
					t.Errorf("round %d: a kicked allocation takes a permission", round)
				}
			})
		}
		wait.Wait()
		if ended[0]+ended[1] != users || c.allocations.count() != 0 || clock.Pending() != 0 {
			t.Fatalf("round %d: ended %v, %d left, %d timers", round, ended, c.allocations.count(), clock.Pending())
		}
	}
}

// TestClosedTableRefuses begins an allocation as the server closes.
func TestClosedTableRefuses(t *testing.T) {
	c := limitedCore(t, timingtest.NewManual(), Limits{})
	c.allocations.close()
	key := client(1, "192.0.2.1")
	c.allocations.reserve(key, "a")
	c.tasks.Add(1)
	socket := newRelayConn(c.relays, &silentSocket{closed: make(chan struct{})}, c.relays.ends[0], c.relays.first)
	e := &entry{core: c, key: key, user: "a", socket: socket, back: &letters{}}
	if e.begin(defaultLifetime) || e.end() || !socket.ended.closed() {
		t.Error("an allocation of a closed table began")
	}
}

func TestLifetimeAsked(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"": defaultLifetime, "\x00\x00\x00\x00": defaultLifetime, "\x00\x00\x00\x01": defaultLifetime,
		"\x00\x00\x03\x84": 15 * time.Minute, "\x00\x00\x0e\x10": time.Hour,
		"\xff\xff\xff\xff": time.Hour, "\x00": defaultLifetime,
	} {
		if got := lifetimeAsked([]byte(in)); got != want {
			t.Errorf("%x: %v, want %v", in, got, want)
		}
	}
}

// TestNonces takes nonces through their hour.
func TestNonces(t *testing.T) {
	clock := timingtest.NewManual()
	ours, others := newNonces(), newNonces()
	client, stranger := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.1:1001")
	first := ours.at(clock.Now(), client)
	good := func(n *nonces, text [nonce.Size]byte, of netip.AddrPort) bool {
		return n.good(text[:], clock.Now(), of)
	}
	if !good(ours, first, client) || good(others, first, client) || good(ours, first, stranger) {
		t.Fatal("a nonce is good for another server or client, or not for its own")
	}
	clock.Advance(nonceLife)
	second := ours.at(clock.Now(), client)
	if second == first || !good(ours, first, client) || !good(ours, second, client) {
		t.Error("an hour later")
	}
	clock.Advance(nonceStep)
	if good(ours, first, client) {
		t.Error("good for more than an hour")
	}
	if good(ours, ours.at(clock.Now().Add(nonceStep), client), client) {
		t.Error("a nonce of the future is good")
	}
}

// FuzzTake throws packets at a server with an allocation: every answer is whole and about the request, nothing is
// answered but requests, and only what is authenticated changes anything.
func FuzzTake(f *testing.F) {
	const user = "4102444800:a"
	key := stun.MessageIntegrity(longTermKey(user, DefaultRealm, password([]byte("s"), user)))
	for _, method := range []stun.Method{
		stun.MethodAllocate, stun.MethodRefresh, stun.MethodCreatePermission, stun.MethodChannelBind, stun.MethodConnect,
	} {
		f.Add(stun.MustBuild(stun.TransactionID, stun.NewType(method, stun.ClassRequest)).Raw)
		f.Add(stun.MustBuild(stun.TransactionID, stun.NewType(method, stun.ClassRequest), stun.NewUsername(user),
			stun.NewRealm(DefaultRealm), stun.NewNonce("n"), key).Raw)
	}
	f.Add(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), stun.NewNonce("x")).Raw)
	f.Add([]byte{0x40, 0, 0, 1, 'x', 0, 0, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		c := limitedCore(t, timingtest.NewManual(), LimitsOff())
		testEntry(t, c, 1, "a")
		shown := func() string { // But for drops.
			all := c.allocations.snapshot()
			for i := range all {
				all[i].Denied, all[i].Drops = 0, nil
			}
			return fmt.Sprint(all)
		}
		before := shown()
		to := &letters{}
		x := (&control{core: c, transport: UDP}).transactions(to)
		whole := string(p)
		for range 2 {
			x.take(p, tuple{client: client(1, "192.0.2.1").client})
		}
		if n := c.counters.panics.Load(); n != 0 || string(p) != whole {
			t.Fatalf("%x: %d panics, or changed", p, n)
		}
		if after := shown(); after != before {
			t.Fatalf("%x: from %s to %s", p, before, after)
		}
		for _, answer := range to.sent {
			m := stun.New()
			if stun.Decode(answer, m) != nil || string(m.TransactionID[:]) != string(p[8:stunHeaderBytes]) ||
				m.Type.Class == stun.ClassRequest || m.Type.Class == stun.ClassIndication {
				t.Fatalf("%x is answered %x", p, answer)
			}
		}
	})
}

// TestFullPortRangeIsToldApart has every port taken by somebody else.
func TestFullPortRangeIsToldApart(t *testing.T) {
	c := limitedCore(t, timingtest.NewManual(), Limits{})
	c.relays.ends[0].bind, c.relays.ports = netip.MustParseAddr("127.0.0.1"), 1
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c.relays.first = addrPort(taken.LocalAddr()).Port()
	if _, err := c.relays.allocate(c.relays.ends[0], anyPort, nil); err != errRelayPorts {
		t.Errorf("a full range: %v", err)
	}
	c.relays.ends[0].bind = netip.MustParseAddr("192.0.2.7") // Of no interface here.
	if _, err := c.relays.allocate(c.relays.ends[0], anyPort, nil); err == nil || err == errRelayPorts {
		t.Errorf("an address that is not ours: %v", err)
	}
}
