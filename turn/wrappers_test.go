package turn

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

func testCore(t *testing.T, clock timing.Clock) *core {
	t.Helper()
	cfg := Config{Secrets: [][]byte{[]byte("s")}, Clock: clock}.withDefaults()
	return newCore(cfg)
}

// failing is a packet socket whose reads fail some times before they give packets from the given sources.
type failing struct {
	net.PacketConn
	failures int
	cause    error
	packet   []byte
	from     []net.Addr
}

func (f *failing) ReadFrom(p []byte) (int, net.Addr, error) {
	if f.failures > 0 {
		f.failures--
		return 0, nil, &net.OpError{Op: "read", Net: "udp", Err: f.cause}
	}
	if len(f.from) == 0 {
		return 0, nil, net.ErrClosed
	}
	from := f.from[0]
	f.from = f.from[1:]
	return copy(p, f.packet), from, nil
}

func (f *failing) Close() error { return nil }

// advancing steps a manual clock to each deadline as it is armed, until stop.
func advancing(t *testing.T, clock *timingtest.Manual) {
	t.Helper()
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			clock.AdvanceNext()
		}
	}()
	t.Cleanup(func() { stop.Store(true); <-done })
}

func TestReadErrorsAreRetried(t *testing.T) {
	binding := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	relay := &net.UDPAddr{IP: net.IPv4(8, 8, 8, 8), Port: 5000}
	type reader func(p []byte) (int, netip.AddrPort, error)
	for name, open := range map[string]func(*core, net.PacketConn) reader{
		"listener": func(c *core, s net.PacketConn) reader {
			l := newUDPListener(c, s)
			return func(p []byte) (int, netip.AddrPort, error) {
				n, from, err := l.read(p)
				return n, canonicalPort(from.client), err
			}
		},
		"relay": func(c *core, s net.PacketConn) reader {
			r := newRelayConn(c.relays, s, c.relays.ends[0], 50000)
			r.allocation.Store(&entry{permissions: map[netip.Addr]lapse{addrPort(relay).Addr(): {}}})
			return func(p []byte) (int, netip.AddrPort, error) {
				n, from, err := r.ReadFrom(p)
				return n, addrPort(from), err
			}
		},
	} {
		cause := map[string]error{"listener": syscall.ENETDOWN, "relay": syscall.ENOBUFS}[name]
		clock := timingtest.NewManual()
		advancing(t, clock)
		c := testCore(t, clock)
		c.tasks.Add(1)
		socket := &failing{failures: 12, cause: cause, packet: binding, from: []net.Addr{&net.UnixAddr{Name: "odd"}, relay}}
		read := open(c, socket)
		began, buffer := clock.Now(), make([]byte, 100)
		n, from, err := read(buffer)
		if err != nil || from != addrPort(relay) || !bytes.Equal(buffer[:n], binding) {
			t.Errorf("%s: %d bytes from %v, %v", name, n, from, err)
		}
		// 5 ms, doubled up to 1 s: 5+10+…+640 ms, then four times 1 s.
		if waited := clock.Now().Sub(began); waited != 1275*time.Millisecond+4*time.Second {
			t.Errorf("%s: waited %v", name, waited)
		}
		if n := c.counters.retries.Load(); n != 12 {
			t.Errorf("%s: %d retries counted", name, n)
		}
		if _, _, err := read(buffer); err != net.ErrClosed {
			t.Errorf("%s: at the end: %v", name, err)
		}
		c.tasks.Wait()
	}
}

func TestCloseEndsARetry(t *testing.T) {
	clock := timingtest.NewManual()
	c := testCore(t, clock)
	c.tasks.Add(1)
	l := newUDPListener(c, &failing{failures: 1 << 30, cause: syscall.ENETDOWN})
	ended := make(chan error)
	go func() {
		_, _, err := l.read(make([]byte, 10))
		ended <- err
	}()
	for clock.Pending() == 0 {
		select {
		case err := <-ended:
			t.Fatalf("ended early: %v", err)
		default:
		}
	}
	l.Close()
	if err := <-ended; err != net.ErrClosed || clock.Pending() != 0 {
		t.Errorf("ended with %v, %d timers left", err, clock.Pending())
	}
}

// scripted is a listener that runs out of files some times, then gives its connections.
type scripted struct {
	failures int
	conns    chan net.Conn
}

func (s *scripted) Accept() (net.Conn, error) {
	if s.failures > 0 {
		s.failures--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	conn, ok := <-s.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (s *scripted) Close() error   { close(s.conns); return nil }
func (s *scripted) Addr() net.Addr { return &net.TCPAddr{} }

// piped is one end of an in-memory stream with a TCP address.
type piped struct{ net.Conn }

func (piped) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7000} }

// pipe starts a listener that has run out of files before, and returns the client's end and what pion would get.
func pipe(t *testing.T) (near net.Conn, far net.Conn, c *core) {
	t.Helper()
	clock := timingtest.NewManual()
	c = testCore(t, clock)
	near, other := net.Pipe()
	const failures = 3
	socket := &scripted{failures: failures, conns: make(chan net.Conn, 1)}
	socket.conns <- piped{other}
	l := newStreamListener(c, socket, c.gate, nil)
	l.start()
	for range failures { // Each waits for the clock.
		for clock.Pending() == 0 {
			runtime.Gosched()
		}
		clock.AdvanceNext()
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		near.Close()
		l.Close()
		far.Close()
		c.tasks.Wait()
		if len(l.conns)+c.gate.count+len(c.gate.sources) != 0 {
			t.Errorf("left behind: %v, gate %d", l.conns, c.gate.count)
		}
		if _, err := l.Accept(); err != net.ErrClosed {
			t.Errorf("Accept after Close: %v", err)
		}
	})
	return near, far, c
}

func TestFramesComeWhole(t *testing.T) {
	near, far, c := pipe(t)
	if n := c.counters.retries.Load(); n != 3 {
		t.Errorf("%d accept errors survived, want 3", n)
	}
	binding := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	long := append([]byte{0x40, 0, 0x13, 0x88}, make([]byte, 5000)...)
	frames := [][]byte{
		binding, {0x40, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0}, long,
		{0x40, 1, 0, 1, 'x', 0, 0, 0}, {0x40, 2, 0, 0}, binding,
	}
	go func() {
		stream := bytes.Join(frames, nil)
		for len(stream) > 0 { // In pieces that end nowhere in particular.
			n := min(7, len(stream))
			if _, err := near.Write(stream[:n]); err != nil {
				return
			}
			stream = stream[n:]
		}
	}()
	buffer := make([]byte, 1600)
	for i, frame := range frames {
		if len(frame) > maxFrameBytes {
			continue
		}
		n, err := far.Read(buffer)
		if err != nil || !bytes.Equal(buffer[:n], frame) {
			t.Fatalf("frame %d: %x, %v; want %x", i, buffer[:n], err, frame)
		}
	}
	if n := c.counters.garbage.Load(); n != 1 {
		t.Errorf("%d frames skipped, want the long one", n)
	}
	go near.Write([]byte("\x16\x03\x01 a TLS ClientHello"))
	if _, err := far.Read(buffer); !errors.Is(err, errNotTURN) {
		t.Errorf("TLS on the stream: %v", err)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw)
	f.Add([]byte{0x40, 0, 0xff, 0xfc, 0, 0, 0, 0, 0})
	f.Add([]byte{0x40, 0, 0, 1, 'x', 0, 0, 0, 0x40, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		c := testCore(t, timingtest.NewManual())
		c.gate.enter(netip.Addr{})
		near, other := net.Pipe()
		conn := newStreamConn(newStreamListener(c, &scripted{}, c.gate, nil), other, tuple{})
		defer conn.Close()
		go func() {
			near.Write(stream)
			near.Close()
		}()
		total, buffer := 0, make([]byte, 1600)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				break
			}
			if n == 0 || n > maxFrameBytes || classify(buffer[:n]) == kindGarbage {
				t.Fatalf("handed out %x", buffer[:n])
			}
			if total += n; total > 6*len(stream) {
				t.Fatalf("%d bytes out of %d", total, len(stream))
			}
		}
		io.Copy(io.Discard, near)
	})
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"alice":                    "alice",
		"a\x1b[31m\n\tb\x00\u202e": "a[31mb",
		"\xff\xfe":                 "\uFFFD",
		strings.Repeat("é", 200):   strings.Repeat("é", 128),
		"%s%n":                     "%s%n",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPionLogsAreTamed(t *testing.T) {
	clock := timingtest.NewManual()
	var out bytes.Buffer
	handler := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})
	log := pionLogs{log: slog.New(handler), clock: clock}.NewLogger("turn")
	for range 100 {
		log.Infof("No Permission for %s", "evil\nlevel=ERROR")
		log.Error("100% odd")
		log.Debugf("every packet %d", 1)
		log.Trace("every packet")
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "level=DEBUG") || !strings.Contains(lines[1], "level=WARN") ||
		!strings.Contains(lines[1], `text="100% odd"`) || strings.Contains(lines[0], `\n`) {
		t.Errorf("logged:\n%s", out.String())
	}
	clock.Advance(logWindow)
	out.Reset()
	log.Warn("again")
	if !strings.Contains(out.String(), "suppressed=99") {
		t.Errorf("a window later: %s", out.String())
	}
}
