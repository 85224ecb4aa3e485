package turn_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
	"tourbillon/turn"
)

func TestGarbageDoesNotKill(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}})
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, password)
	oldBinding := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	oldBinding[4] ^= 0xff // RFC 3489: no cookie
	garbage := [][]byte{
		{0}, {0xff, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0, 0, 0, 0, 0}, {0x40, 0, 0xff, 0xff}, oldBinding, make([]byte, 1500),
	}
	for _, p := range garbage {
		if _, err := c.conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	// Well-formed, and nothing that anybody may ask for.
	for _, p := range [][]byte{
		{0x40, 0, 0, 4, 1, 2, 3, 4}, // ChannelData without an allocation
		stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication)).Raw,
		stun.MustBuild(stun.TransactionID, stun.NewType(0xf, stun.ClassRequest)).Raw,
	} {
		if _, err := c.conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if code := errorCode(t, c.allocate()); code != 0 {
		t.Fatalf("allocate after garbage answered %d", code)
	}
	if n := server.Stats().Garbage; n != uint64(len(garbage)) {
		t.Errorf("%d of %d counted as garbage", n, len(garbage))
	}
	// Frames whose length overflows 16 bits when padded or added to: pion's splitter never gets past them.
	for _, p := range [][]byte{
		{0x40, 0, 0xff, 0xfc, 0, 0, 0, 0, 0}, {0x40, 0, 0xff, 0xff, 0, 0, 0, 0, 0},
		append([]byte{0, 1, 0xff, 0xec, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...),
	} {
		conn, err := net.Dial("tcp", addressOf(t, server, turn.TCP).String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		whole := append(p, make([]byte, 1<<16+24-len(p))...)
		size := 4 + (int(p[2])<<8+int(p[3])+3)&^3
		if p[0] == 0 {
			size = 20 + int(p[2])<<8 + int(p[3])
		}
		ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
		if _, err := conn.Write(append(whole[:size], ask.Raw...)); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 20)); err != nil {
			t.Errorf("frame %x…: no answer to the request behind it: %v", p, err)
		}
	}
	// A stream that is no TURN is closed.
	conn, err := net.Dial("tcp", addressOf(t, server, turn.TCP).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("\x16\x03\x01 a TLS ClientHello")); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, conn)
}

// expectClosed waits for the server to end a connection.
func expectClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err := io.Copy(io.Discard, conn)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Error("the connection stays open")
	}
}

// TestChallengesAreThrottled asks without credentials and counts the answers: where there are no loops, on a clock that
// stands still, and where there are, on the kernel's, which goes on.
func TestChallengesAreThrottled(t *testing.T) {
	for name, withoutLoops := range map[string]bool{"loops": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			clock, began := timingtest.NewManual(), time.Now()
			server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Clock: clock, WithoutLoops: withoutLoops})
			username, password := issued("alice", time.Now())
			known := newRawClient(t, server, username, password)
			if code := errorCode(t, known.allocate()); code != 0 { // Took one challenge.
				t.Fatalf("allocate answered %d", code)
			}
			// withheld counts how many of 40 were. What grows back in the time that all this takes is answered.
			withheld := func(counter func(turn.Stats) uint64, message stun.MessageType, due, perSecond uint64) {
				before := counter(server.Stats())
				flood(t, known, message, 40)
				grown := uint64(0)
				if !withoutLoops {
					grown = 1 + uint64(time.Since(began).Seconds()*float64(perSecond))
				}
				if n := counter(server.Stats()) - before; n > 40-due || n+grown < 40-due {
					t.Errorf("%v: %d of 40 withheld, want %d but for %d that have grown back", message, n, 40-due, grown)
				}
			}
			challenge := stun.NewType(stun.MethodAllocate, stun.ClassRequest)
			challenges := func(s turn.Stats) uint64 { return s.ThrottledChallenges }
			withheld(challenges, challenge, 9, 10)
			withheld(func(s turn.Stats) uint64 { return s.ThrottledBindings }, stun.BindingRequest, 20, 20)
			if withoutLoops {
				clock.Advance(time.Second)
				before := challenges(server.Stats())
				flood(t, known, challenge, 10)
				if n := challenges(server.Stats()) - before; n != 0 {
					t.Errorf("a second later %d challenges are still withheld", n)
				}
			}
			s := server.Stats()
			if s.Challenges+s.ThrottledChallenges < 41 || s.Bindings+s.ThrottledBindings != 40 {
				t.Errorf("%d challenges and %d Binding responses sent are counted", s.Challenges, s.Bindings)
			}
			if s.Garbage != 0 {
				t.Errorf("%d packets taken for garbage", s.Garbage)
			}
		})
	}
}

// flood sends requests without credentials, and returns when they have been served.
func flood(t *testing.T, known *rawClient, message stun.MessageType, n int) {
	t.Helper()
	for range n {
		if _, err := known.conn.Write(stun.MustBuild(stun.TransactionID, message).Raw); err != nil {
			t.Fatal(err)
		}
	}
	// Authenticated requests are answered as ever, and this one proves that the flood was handled.
	for range 50 {
		if code := errorCode(t, known.request(stun.MethodRefresh)); code != 0 {
			t.Fatalf("refresh answered %d", code)
		}
	}
}

// TestChallengesAreTheSame compares the challenge of a request that is served in Go with those that the data plane gives
// after it.
func TestChallengesAreTheSame(t *testing.T) {
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}})
	client := newRawClient(t, server, "nobody", "nothing")
	ask := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest))
	var answers [][]byte
	for range 3 {
		if _, err := client.conn.Write(ask.Raw); err != nil {
			t.Fatal(err)
		}
		if err := client.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 1500)
		n, err := client.conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, buffer[:n])
	}
	if !bytes.Equal(answers[0], answers[1]) || !bytes.Equal(answers[0], answers[2]) {
		t.Errorf("challenges differ: %x", answers)
	}
	var theirs stun.Nonce
	if err := theirs.GetFrom(newRawClient(t, server, "nobody", "nothing").bare(stun.MethodAllocate)); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(answers[0], theirs) {
		t.Errorf("two clients have the nonce %s", theirs)
	}
}

// TestStrangersAreCutOff opens connections that never authenticate; the clock then passes their deadline.
func TestStrangersAreCutOff(t *testing.T) {
	certificate, trust := selfSigned(t)
	clock := timingtest.NewManual()
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}, TLS: []string{"127.0.0.1:0"}, TLSConfig: certificate,
		Clock: clock,
	})
	username, password := issued("alice", time.Now())
	relay, err := client(t, server, turn.TCP, nil, username, password).Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	dial := func(transport turn.Transport) net.Conn {
		conn, err := net.Dial("tcp", addressOf(t, server, transport).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	silentTCP, silentTLS := dial(turn.TCP), dial(turn.TLS)
	idle, err := tls.Dial("tcp", addressOf(t, server, turn.TLS).String(), trust)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	// An answer says that the server's side of the handshake is over.
	if _, err := idle.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	// Beside them, the host policy's timer, the allocation's and that of its connection.
	eventually(t, "three deadlines are armed", func() bool { return clock.Pending() == 6 })
	clock.Advance(10 * time.Second)
	for _, conn := range []net.Conn{silentTCP, silentTLS, idle} {
		expectClosed(t, conn)
	}
	eventually(t, "three are counted", func() bool { return server.Stats().FailedConns == 3 })
	if n := len(server.Allocations()); n != 1 {
		t.Errorf("%d allocations; the one that authenticated was cut off too", n)
	}
	for range 20 {
		dial(turn.TCP)
	}
	expectClosed(t, dial(turn.TCP))
	if n := server.Stats().RefusedConns; n != 1 {
		t.Errorf("%d connections refused, want the 21st", n)
	}
}

func TestPanicCostsOneRequest(t *testing.T) {
	calls := 0
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Now: func() time.Time {
		if calls++; calls == 1 {
			panic("a broken clock")
		}
		return time.Now()
	}})
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, password)
	if code := errorCode(t, c.allocate()); code != 500 {
		t.Errorf("the request that met the panic was answered %d, want 500", code)
	}
	if code := errorCode(t, c.allocate()); code != 0 {
		t.Errorf("the next request was answered %d", code)
	}
	if n := server.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
}

// TestStrangersAreCounted sends ChannelData and Send indications without an allocation, in each way that a client is served.
func TestStrangersAreCounted(t *testing.T) {
	for name, withoutLoops := range map[string]bool{"loops": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			server := listen(t, turn.Config{
				UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}, WithoutLoops: withoutLoops,
			})
			username, password := issued("alice", time.Now())
			for i, c := range []*rawClient{newRawClient(t, server, username, password), newStreamClient(t, server)} {
				c.sendIndication(netip.MustParseAddrPort("8.8.8.8:9"), "from a stranger")
				if _, err := c.conn.Write([]byte{0x40, 1, 0, 4, 1, 2, 3, 4}); err != nil {
					t.Fatal(err)
				}
				eventually(t, "both are counted", func() bool { return server.Stats().Strangers == uint64(2*i+2) })
			}
		})
	}
}

// TestLostPacketsShow has a request take until more have come than may wait: those that are lost show in the counters.
func TestLostPacketsShow(t *testing.T) {
	var hold atomic.Bool
	release := make(chan struct{})
	defer close(release)
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Now: func() time.Time {
		if hold.Load() {
			<-release
		}
		return time.Now()
	}})
	username, password := issued("alice", time.Now())
	c := newRawClient(t, server, username, password)
	c.expectSigned("allocate", c.allocate(), 0)
	hold.Store(true)
	refresh := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest),
		stun.NewUsername(username), stun.NewRealm(turn.DefaultRealm), c.nonce,
		stun.NewLongTermIntegrity(username, turn.DefaultRealm, password))
	eventually(t, "requests are lost", func() bool {
		for range 100 {
			if _, err := c.conn.Write(refresh.Raw); err != nil {
				t.Fatal(err)
			}
		}
		return server.Stats().QueueFull > 0
	})
}
