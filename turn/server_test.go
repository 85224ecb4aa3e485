package turn_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

func everyTransport(t *testing.T) (*turn.Server, func(turn.Transport, string) (net.PacketConn, string)) {
	t.Helper()
	certificate, trust := selfSigned(t)
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}, TLS: []string{"127.0.0.1:0"},
		DTLS: []string{"127.0.0.1:0"}, TLSConfig: certificate,
	})
	return server, func(transport turn.Transport, user string) (net.PacketConn, string) {
		t.Helper()
		username, password := issued(user, time.Now())
		relay, err := client(t, server, transport, trust, username, password).Allocate()
		if err != nil {
			t.Fatalf("allocate over %s: %v", transport, err)
		}
		t.Cleanup(func() { relay.Close() })
		return relay, username
	}
}

// TestRelayToRelay sends between two allocations over every transport, first by indications, then by channels, and
// watches the counts that the admin page shows.
func TestRelayToRelay(t *testing.T) {
	server, allocate := everyTransport(t)
	there, _ := allocate(turn.UDP, "bob")
	for _, transport := range []turn.Transport{turn.UDP, turn.TCP, turn.TLS, turn.DTLS} {
		here, _ := allocate(transport, "alice")
		exchange(t, there, here, "permission") // Opens the way back before here sends.
		for range 20 {
			exchange(t, here, there, "x")
			exchange(t, there, here, "a payload of a few bytes more")
		}
		shown := shownRelay(t, server, here.LocalAddr().String())
		if shown.Transport != transport || shown.User != "alice" || shown.Permissions != 1 ||
			shown.ToPeers.Packets < 20 || shown.FromPeers.Packets < 20 || shown.FromPeers.Bytes < 20*29 || shown.Denied != 0 {
			t.Errorf("over %s: %+v", transport, shown)
		}
		eventually(t, "a channel is bound", func() bool {
			exchange(t, here, there, "again")
			return shownRelay(t, server, here.LocalAddr().String()).Channels == 1
		})
		exchange(t, here, there, "over the channel")
		exchange(t, here, there, "four") // A frame shorter than pion's splitter recognises.
	}
	stats := server.Stats()
	delete(stats.DeniedPackets, "no-permission") // The first packet, which comes before there is one.
	if len(stats.AuthFailures)+len(stats.DeniedPackets)+len(stats.DeniedPermissions) != 0 ||
		stats.Panics != 0 || stats.Garbage != 0 || stats.FromClients.Packets == 0 || stats.ToClients.Packets == 0 {
		t.Errorf("stats %+v", stats)
	}
}

func shownRelay(t *testing.T, server *turn.Server, relay string) turn.Allocation {
	t.Helper()
	for _, a := range server.Allocations() {
		if a.Relay.String() == relay {
			return a
		}
	}
	t.Fatalf("%s is not among %+v", relay, server.Allocations())
	return turn.Allocation{}
}

// exchange sends text from one relay to the other, once, and waits until it has arrived.
func exchange(t *testing.T, from, to net.PacketConn, text string) {
	t.Helper()
	arrived := make(chan string, 1)
	if err := to.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, _, err := to.ReadFrom(buffer)
			if err != nil || string(buffer[:n]) == text {
				arrived <- string(buffer[:n])
				return
			}
		}
	}()
	// The receiver's own permission: a packet of its own towards the sender.
	if text == "permission" {
		if _, err := to.WriteTo([]byte("hello"), from.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if got := <-arrived; got != text {
		t.Fatalf("%q did not arrive", text)
	}
}

func TestWrongCredentials(t *testing.T) {
	now := newWall(time.Now())
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Now: now.now})
	good, password := issued("alice", now.now())
	expired, expiredPassword := issued("alice", now.now().Add(-turn.DefaultTTL-time.Second))
	for name, row := range map[string]struct{ username, password, reason string }{
		"password":  {good, "wrong", "integrity"},
		"expired":   {expired, expiredPassword, "expired"},
		"malformed": {"alice", password, "malformed-username"},
	} {
		if code := errorCode(t, newRawClient(t, server, row.username, row.password).allocate()); code != 401 {
			t.Errorf("%s: answered %d, want 401", name, code)
		}
		if n := server.Stats().AuthFailures[row.reason]; n != 1 {
			t.Errorf("%s: counted %d times", name, n)
		}
	}
	if n := len(server.Allocations()); n != 0 {
		t.Errorf("%d allocations", n)
	}
}

func TestRefreshOutlivesCredential(t *testing.T) {
	now := newWall(time.Now())
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Now: now.now})
	username, password := issued("alice", now.now())
	c := newRawClient(t, server, username, password)
	if code := errorCode(t, c.allocate()); code != 0 {
		t.Fatalf("allocate answered %d", code)
	}
	now.advance(time.Hour)
	if code := errorCode(t, c.request(stun.MethodRefresh)); code != 0 {
		t.Errorf("refresh after expiry answered %d", code)
	}
	if code := errorCode(t, newRawClient(t, server, username, password).allocate()); code != 401 {
		t.Errorf("allocate after expiry answered %d", code)
	}
	if code := errorCode(t, c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0))); code != 0 {
		t.Errorf("release answered %d", code)
	}
	if n := len(server.Allocations()); n != 0 {
		t.Errorf("%d allocations after the release", n)
	}
}

// TestReallocateAtOnce releases and allocates on one 5-tuple as fast as it can: the end of the old relay's loop must
// not take the new allocation with it.
func TestReallocateAtOnce(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}})
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, password)
	for i := range 200 {
		if code := errorCode(t, c.allocate()); code != 0 {
			t.Fatalf("allocation %d answered %d", i, code)
		}
		if code := errorCode(t, c.request(stun.MethodRefresh)); code != 0 || len(server.Allocations()) != 1 {
			t.Fatalf("allocation %d: refresh answered %d, shown %+v", i, code, server.Allocations())
		}
		if code := errorCode(t, c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0))); code != 0 {
			t.Fatalf("release %d answered %d", i, code)
		}
	}
}

func TestSecretsRotateMidSession(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}})
	username, password := issued("alice", time.Now())
	old := newRawClient(t, server, username, password)
	if code := errorCode(t, old.allocate()); code != 0 {
		t.Fatalf("allocate answered %d", code)
	}
	if err := server.SetCredentials([][]byte{[]byte("the new secret"), []byte(testSecret)}, nil); err != nil {
		t.Fatal(err)
	}
	if code := errorCode(t, old.request(stun.MethodRefresh)); code != 0 {
		t.Errorf("refresh under the old secret answered %d", code)
	}
	if code := errorCode(t, newRawClient(t, server, username, password).allocate()); code != 0 {
		t.Errorf("allocate under the old secret answered %d", code)
	}
	_, username, password, ttl := server.ICEServers("bob", time.Now(), "")
	if code := errorCode(t, newRawClient(t, server, username, password).allocate()); code != 0 || ttl != turn.DefaultTTL {
		t.Errorf("allocate under the new secret answered %d, ttl %v", code, ttl)
	}
	if err := server.SetCredentials([][]byte{[]byte("the new secret")}, nil); err != nil {
		t.Fatal(err)
	}
	if code := errorCode(t, old.request(stun.MethodRefresh)); code != 401 {
		t.Errorf("refresh under a dropped secret answered %d", code)
	}
	if server.SetCredentials(nil, nil) == nil || server.SetCredentials([][]byte{nil}, nil) == nil {
		t.Error("no secret, or an empty one, was accepted")
	}
}

func TestQuotaAnswers486(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Limits: turn.Limits{AllocationsPerUser: 2}})
	username, password := issued("alice", time.Now())
	var last *rawClient
	for i, want := range []int{0, 0, 486} {
		c := newRawClient(t, server, username, password)
		if code := errorCode(t, c.allocate()); code != want {
			t.Fatalf("allocation %d answered %d, want %d", i, code, want)
		}
		if want == 0 {
			last = c
		}
	}
	if n := server.Stats().QuotaRefusals["user-quota"]; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
	last.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0))
	if code := errorCode(t, newRawClient(t, server, username, password).allocate()); code != 0 {
		t.Errorf("after a release: answered %d", code)
	}
}

func TestWhatIsNotOffered(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}})
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, password)
	for name, row := range map[string]struct {
		answer *stun.Message
		want   int
	}{
		"TCP relay":   {c.request(stun.MethodAllocate, attr(stun.AttrRequestedTransport, 6, 0, 0, 0)), 442},
		"reservation": {c.allocate(attr(stun.AttrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8)), 508},
		"IPv6":        {c.allocate(attr(stun.AttrRequestedAddressFamily, 2, 0, 0, 0)), 440},
	} {
		if code := errorCode(t, row.answer); code != row.want {
			t.Errorf("%s: answered %d, want %d", name, code, row.want)
		}
	}
	if code := errorCode(t, c.allocate()); code != 0 {
		t.Fatalf("allocate answered %d", code)
	}
	at := trap.Addr().(*net.TCPAddr).AddrPort()
	if code := errorCode(t, c.request(stun.MethodConnect, peerAddress(at))); code != 403 {
		t.Errorf("CONNECT answered %d", code)
	}
	if err := trap.(*net.TCPListener).SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if conn, err := trap.Accept(); err == nil {
		conn.Close()
		t.Error("CONNECT dialled")
	}
}

// TestEvenPort asks for even ports and for the ports after them, and takes those by their tokens (RFC 8656 7.2): once, by
// the user that they were reserved for, for half a minute.
func TestEvenPort(t *testing.T) {
	for name, withoutLoops := range map[string]bool{"loops": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			clock := timingtest.NewManual()
			server := listen(t, turn.Config{
				UDP: []string{"127.0.0.1:0"}, Clock: clock, WithoutLoops: withoutLoops, Limits: turn.LimitsOff(),
				RelayAddress: timingtest.OwnLoopback(), // Nobody else takes the port that is given up.
			})
			username, password := issued("alice", time.Now())
			allocate := func(username, password string, setter stun.Setter) (code int, relay stun.XORMappedAddress, token []byte) {
				answer := newRawClient(t, server, username, password).allocate(setter)
				token, _ = answer.Get(stun.AttrReservationToken)
				_ = relay.GetFromAs(answer, stun.AttrXORRelayedAddress)
				return errorCode(t, answer), relay, token
			}
			take := func(token []byte) stun.Setter { return attr(stun.AttrReservationToken, token...) }
			code, relay, token := allocate(username, password, attr(stun.AttrEvenPort, 0))
			if code != 0 || relay.Port%2 != 0 || token != nil {
				t.Errorf("an even port: %d, %v, token %x", code, relay, token)
			}
			for range 8 {
				code, relay, token := allocate(username, password, attr(stun.AttrEvenPort, 0x80))
				if code != 0 || relay.Port%2 != 0 || len(token) != 8 {
					t.Fatalf("a pair: %d, %v, token %x", code, relay, token)
				}
				strangers, word := issued("mallory", time.Now())
				if code, _, _ := allocate(strangers, word, take(token)); code != 508 {
					t.Errorf("another user's token was answered %d", code)
				}
				if code, next, _ := allocate(username, password, take(token)); code != 0 || next.Port != relay.Port+1 {
					t.Errorf("the token of %v was answered %d, %v", relay, code, next)
				}
				if code, _, _ := allocate(username, password, take(token)); code != 508 {
					t.Errorf("the token was answered %d the second time", code)
				}
			}
			_, relay, token = allocate(username, password, attr(stun.AttrEvenPort, 0x80))
			if socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: relay.IP, Port: relay.Port + 1}); err == nil {
				socket.Close()
				t.Error("the port after it is not kept")
			}
			clock.Advance(31 * time.Second)
			if code, _, _ := allocate(username, password, take(token)); code != 508 {
				t.Errorf("a token that has lapsed was answered %d", code)
			}
			socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: relay.IP, Port: relay.Port + 1})
			if err != nil {
				t.Fatal("the port is kept for ever:", err)
			}
			socket.Close()
			kept := 0
			for ; kept < 200; kept++ { // None is taken.
				if code, _, _ := allocate(username, password, attr(stun.AttrEvenPort, 0x80)); code != 0 {
					if code != 508 {
						t.Errorf("one reservation too many was answered %d", code)
					}
					break
				}
			}
			if kept != 64 {
				t.Errorf("%d ports are kept at a time, want 64", kept)
			}
		})
	}
}

func TestReady(t *testing.T) {
	clock := timingtest.NewManual()
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Clock: clock})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := range 50 { // More than the throttle lets one source have at one instant.
		if err := server.Ready(ctx); err != nil {
			t.Fatalf("probe %d: %v", i, err)
		}
	}
	closeServer(t, server)
	over, stop := context.WithCancel(context.Background())
	stop()
	if err := server.Ready(over); !errors.Is(err, context.Canceled) {
		t.Errorf("a closed server: %v", err)
	}
	if err := listen(t, turn.Config{TCP: []string{"127.0.0.1:0"}}).Ready(ctx); !errors.Is(err, turn.ErrNoUDPListener) {
		t.Errorf("without UDP: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	for _, transport := range []turn.Transport{turn.UDP, turn.TCP} {
		first := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}})
		at := addressOf(t, first, transport).String()
		files := openFiles(t)
		cfg := turn.Config{UDP: []string{"127.0.0.1:0"}, Secrets: [][]byte{[]byte(testSecret)}}
		if transport == turn.UDP {
			cfg.UDP = append(cfg.UDP, at)
		} else {
			cfg.TCP = []string{at}
		}
		_, err := turn.Listen(cfg)
		want := "listen " + string(transport) + " " + at +
			": address already in use: stop the other TURN server (coturn?) or choose another turn." + string(transport)
		if err == nil || err.Error() != want || !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("error %v\nwant  %s", err, want)
		}
		if typed := (*turn.ListenError)(nil); !errors.As(err, &typed) || typed.Address != at {
			t.Errorf("%T is no ListenError for %s", err, at)
		}
		if n := openFiles(t); n > files {
			t.Errorf("%d files open after the failure, %d before", n, files)
		}
	}
}

// TestPortGivenBackLate has a port free only once the server has met it in use, as that of a killed server is.
func TestPortGivenBackLate(t *testing.T) {
	for _, transport := range []turn.Transport{turn.UDP, turn.TCP} {
		first := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}})
		at := addressOf(t, first, transport)
		cfg := turn.Config{Log: slog.New(slog.NewTextHandler(onWrite(func() { closeServer(t, first) }), nil))}
		if transport == turn.UDP {
			cfg.UDP = []string{at.String()}
		} else {
			cfg.TCP = []string{at.String()}
		}
		if got := addressOf(t, listen(t, cfg), transport); got != at {
			t.Errorf("listening on %v, want %v", got, at)
		}
	}
}

// onWrite is an [io.Writer] that does something once something is written.
type onWrite func()

func (do onWrite) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("in use")) {
		do()
	}
	return len(p), nil
}

func TestConfigErrorsComeTogether(t *testing.T) {
	_, err := turn.Listen(turn.Config{
		Realm: "a realm too long", UDP: []string{"localhost:3478", "3478"}, TLS: []string{"127.0.0.1:0"},
		PortMin: 60000, PortMax: 50000, CredentialTTL: time.Millisecond,
		RelayAddress: netip.MustParseAddr("0.0.0.0"), RelayBind: netip.MustParseAddr("::1"),
		AllowPeers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), {}}, DenyPeers: []netip.Prefix{{}},
		Secrets: [][]byte{{}}, Limits: turn.Limits{Allocations: -7},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"turn.realm: ", `turn.udp: "localhost"`, `turn.udp: "3478"`, "turn.tls: ", "turn.port_min: ", "turn.credential_ttl: ",
		"turn.relay_address: ", "turn.relay_bind: ", "turn.allow_peers: 127.0.0.0/8 is loopback",
		"turn.allow_peers: an invalid", "turn.deny_peers: ", "turn.secrets: an empty", "turn.limits: -7",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("no %q in:\n%v", field, err)
		}
	}
	for _, row := range []turn.Config{{}, {UDP: []string{"127.0.0.1:0"}}} {
		if _, err := turn.Listen(row); err == nil || !strings.Contains(err.Error(), "turn.secrets: no secret") {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

func TestICEServers(t *testing.T) {
	certificate, _ := selfSigned(t)
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0", "[::]:0"}, TCP: []string{"[::1]:0"}, TLS: []string{"127.0.0.1:0"}, TLSConfig: certificate,
	})
	bound := server.Addresses()
	at := func(i int, host string) string {
		if host == "" {
			return bound[i].Addr.String()
		}
		return net.JoinHostPort(host, bound[i].Addr.String()[strings.LastIndex(bound[i].Addr.String(), ":")+1:])
	}
	for _, host := range []string{"", "turn.example.com", "2001:db8::7"} {
		second := at(1, host)
		if host == "" {
			second = at(1, "127.0.0.1")
		}
		want := []string{
			"stun:" + at(0, host), "turn:" + at(0, host) + "?transport=udp",
			"stun:" + second, "turn:" + second + "?transport=udp",
			"turn:" + at(2, host) + "?transport=tcp", "turns:" + at(3, host) + "?transport=tcp",
		}
		if urls, _, _, _ := server.ICEServers("alice", time.Now(), host); !slices.Equal(urls, want) {
			t.Errorf("host %q:\n%q\nwant\n%q", host, urls, want)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	files := openFiles(t)
	t.Run("session", func(t *testing.T) {
		server, allocate := everyTransport(t)
		for _, transport := range []turn.Transport{turn.UDP, turn.TCP, turn.TLS, turn.DTLS} {
			allocate(transport, "alice")
		}
		silent, err := net.Dial("tcp", addressOf(t, server, turn.TLS).String())
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		if n := len(server.Allocations()); n != 4 {
			t.Fatalf("%d allocations", n)
		}
		over, stop := context.WithCancel(context.Background())
		stop()
		if err := server.Close(over); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("close with a context that is over: %v", err)
		}
		closeServer(t, server)
		closeServer(t, server)
		if n := len(server.Allocations()); n != 0 {
			t.Errorf("%d allocations after Close", n)
		}
	})
	eventually(t, "every file is closed", func() bool { return openFiles(t) <= files })
}
