package stdtime_test

import (
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/logging"
	"github.com/pion/sctp"
	"github.com/pion/turn/v5"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
	"tourbillon/timing/timingtest"
)

// laboratory runs pion itself in a bubble of virtual time, with the manual clock as the process clock and both moving
// together. Pion as published (GOWORK=off) then goes the same way on package time, and nothing of it is recorded.
type laboratory struct {
	t       *testing.T
	clock   *timingtest.Manual
	meter   *timing.Meter
	network *memnet
	// retimed says whether pion is on the process clock in this build.
	retimed bool
}

func inLaboratory(t *testing.T, run func(l *laboratory)) {
	retimed := builtRetimed(t)
	synctest.Test(t, func(t *testing.T) {
		clock, meter := manualClock(t)
		run(&laboratory{t: t, clock: clock, meter: meter, network: newMemnet(), retimed: retimed})
	})
}

// pass lets time pass in small steps, each when all that the one before set off has been done.
func (l *laboratory) pass(d time.Duration) {
	const step = 10 * time.Millisecond
	for ; d > 0; d -= step {
		synctest.Wait()
		l.clock.Advance(step)
		time.Sleep(step)
	}
	synctest.Wait()
}

// fires counts the firings under a label.
func (l *laboratory) fires(label string) int64 {
	for _, summary := range l.meter.Labels() {
		if summary.Name == label {
			return summary.Total
		}
	}
	return 0
}

// expect checks how often the labels fired since the counts before; 0 in a build with pion as published.
func (l *laboratory) expect(what string, during func(), want map[string]int64) {
	l.t.Helper()
	before := map[string]int64{}
	for label := range want {
		before[label] = l.fires(label)
	}
	during()
	for label, n := range want {
		if !l.retimed {
			n = 0
		}
		if got := l.fires(label) - before[label]; got != n {
			l.t.Errorf("%s: %s fired %d times, want %d", what, label, got, n)
		}
	}
}

// once loses the first datagram that has the mark.
func once(has func(datagram []byte) bool) func([]byte) bool {
	lost := false
	return func(b []byte) bool {
		lose := !lost && has(b)
		lost = lost || lose
		return lose
	}
}

func all([]byte) bool { return true }

// silentLogs keeps pion's remarks on lost datagrams out of the test's output.
func silentLogs() logging.LoggerFactory {
	return &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
}

// Types of SCTP chunks, RFC 9260 section 3.2 and RFC 6525 section 3.1.
const (
	chunkData, chunkInit, chunkSack, chunkShutdown, chunkCookieEcho, chunkReconfig = 0, 1, 3, 7, 10, 130
)

// first tells packets by the type of their first chunk, behind the common header of 12 bytes.
func first(chunk byte) func([]byte) bool {
	return func(packet []byte) bool { return len(packet) > 12 && packet[12] == chunk }
}

// TestSCTPLabels loses one packet for each kind of SCTP timer: that kind fires, under its own label, and no other.
func TestSCTPLabels(t *testing.T) {
	const t1Init, t1Cookie, t2, t3 = "pion.sctp.t1-init", "pion.sctp.t1-cookie", "pion.sctp.t2-shutdown", "pion.sctp.t3-rtx"
	const reconfig, ack = "pion.sctp.reconfig", "pion.sctp.ack"
	inLaboratory(t, func(l *laboratory) {
		t := l.t
		near, far := l.network.socket(1), l.network.socket(2)
		near.peer, far.peer = far.addr, near.addr
		var client, server *sctp.Association
		connect := func() {
			opened := make(chan error, 2)
			go func() { opened <- open(&server, sctp.Server, far) }()
			go func() { opened <- open(&client, sctp.Client, near) }()
			l.pass(4 * time.Second)
			for range 2 {
				if err := <-opened; err != nil {
					t.Fatal(err)
				}
			}
		}
		lostInit, lostCookie := once(first(chunkInit)), once(first(chunkCookieEcho))
		l.network.losing(func(b []byte) bool { return lostInit(b) || lostCookie(b) })
		l.expect("INIT and COOKIE ECHO lost", connect, map[string]int64{t1Init: 1, t1Cookie: 1, t2: 0, t3: 0, reconfig: 0, ack: 0})

		stream, err := client.OpenStream(1, sctp.PayloadTypeWebRTCBinary)
		if err != nil {
			t.Fatal(err)
		}
		send := func() {
			if _, err := stream.Write([]byte("payload")); err != nil {
				t.Error(err)
			}
		}
		send() // The first one is acknowledged at once.
		l.pass(time.Second)
		l.expect("one message", func() {
			send()
			l.pass(900 * time.Millisecond)
		}, map[string]int64{t1Init: 0, t1Cookie: 0, t2: 0, t3: 0, reconfig: 0, ack: 1})

		l.network.losing(all)
		l.expect("all lost", func() {
			send()
			l.pass(1500 * time.Millisecond)
		}, map[string]int64{t1Init: 0, t1Cookie: 0, t2: 0, t3: 1, reconfig: 0, ack: 0})
		l.network.losing(once(first(chunkReconfig)))
		l.pass(5 * time.Second)

		l.expect("RE-CONFIG lost", func() {
			if err := stream.Close(); err != nil {
				t.Error(err)
			}
			l.pass(1500 * time.Millisecond)
		}, map[string]int64{t1Init: 0, t1Cookie: 0, t2: 0, t3: 0, reconfig: 1})

		l.network.losing(once(first(chunkShutdown)))
		l.expect("SHUTDOWN lost", func() {
			go func() { _ = client.Shutdown(t.Context()) }() // It ends with the association, below.
			l.pass(1500 * time.Millisecond)
		}, map[string]int64{t1Init: 0, t1Cookie: 0, t2: 1, t3: 0, reconfig: 0})
		_ = client.Close()
		_ = server.Close()
	})
}

func open(a **sctp.Association, f func(sctp.Config) (*sctp.Association, error), conn net.Conn) (err error) {
	*a, err = f(sctp.Config{NetConn: conn, LoggerFactory: silentLogs()})
	return err
}

// relays gives out relayed addresses on the network in memory.
type relays struct {
	turn.RelayAddressGenerator
	network *memnet
}

func (r relays) Validate() error { return nil }

func (r relays) AllocatePacketConn(turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	s := r.network.socket(50000)
	return s, s.addr, nil
}

// TestTURNLabels tells a client's retransmits from its refreshes, and both from the server's lifetimes.
func TestTURNLabels(t *testing.T) {
	const transaction, refresh, lifetime = "pion.turn.transaction", "pion.turn.refresh", "pion.turn.lifetime"
	inLaboratory(t, func(l *laboratory) {
		t := l.t
		socket := l.network.socket(40000)
		defer socket.Close() // It is not the client's to close.
		server, client := l.turnServer(), l.turnClient(socket)
		defer server.Close()
		defer client.Close()

		var relayed net.PacketConn
		l.network.losing(once(all))
		l.expect("the first request lost", func() {
			allocated := make(chan error, 1)
			go func() {
				var err error
				relayed, err = client.Allocate()
				allocated <- err
			}()
			l.pass(time.Second)
			if err := <-allocated; err != nil {
				t.Fatal(err)
			}
		}, map[string]int64{transaction: 1, refresh: 0, lifetime: 0})

		l.expect("a permission", func() {
			if _, err := relayed.WriteTo([]byte("payload"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 9}); err != nil {
				t.Error(err)
			}
			l.pass(3 * time.Minute) // Permissions are refreshed every 2 minutes, bindings looked at every 30 seconds.
		}, map[string]int64{transaction: 0, lifetime: 0})
		if got := l.fires(refresh); (got > 0) != l.retimed {
			t.Errorf("%s fired %d times in 3 minutes", refresh, got)
		}
		l.network.losing(all)
		_ = relayed.Close()
		l.expect("nobody refreshes", func() { l.pass(11 * time.Minute) }, map[string]int64{refresh: 0, lifetime: 2})
	})
}

func (l *laboratory) turnServer() *turn.Server {
	key := turn.GenerateAuthKey("user", "realm", "password")
	server, err := turn.NewServer(turn.ServerConfig{
		Realm:         "realm",
		LoggerFactory: silentLogs(),
		AuthHandler:   func(*turn.RequestAttributes) (string, []byte, bool) { return "user", key, true },
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            l.network.socket(3478),
			RelayAddressGenerator: relays{network: l.network},
		}},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return server
}

func (l *laboratory) turnClient(socket net.PacketConn) *turn.Client {
	client, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: "192.0.2.1:3478", Username: "user", Password: "password", Realm: "realm",
		Conn: socket, LoggerFactory: silentLogs(),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := client.Listen(); err != nil {
		l.t.Fatal(err)
	}
	return client
}

// builtRetimed reports whether the go command builds with re-timed modules here.
func builtRetimed(t *testing.T) bool {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{with .Replace}}{{.Path}}{{end}}", "github.com/pion/sctp").Output()
	if err != nil {
		t.Fatalf("ask for the replacement of pion/sctp: %v", err)
	}
	return strings.Contains(string(out), ".retimed")
}

// TestPionIsRetimed holds that in a build with re-timed modules all of those that are linked here say so, and in one
// without none.
func TestPionIsRetimed(t *testing.T) {
	want := builtRetimed(t)
	for _, path := range []string{"github.com/pion/sctp", "github.com/pion/turn/v5", "github.com/pion/stun/v4"} {
		if got := slices.ContainsFunc(stdtime.Modules(), func(m stdtime.Module) bool { return m.Path == path }); got != want {
			t.Errorf("%s is registered: %v, want %v", path, got, want)
		}
	}
}
