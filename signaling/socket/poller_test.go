package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for another goroutine.
const patience = 20 * time.Second

// recorder is a Handler that keeps what it is told. Messages that begin with "slow" it takes only where it may block, those
// that begin with "panic" never.
type recorder struct {
	// gate, unless nil, is waited for in each call of Take that may block.
	gate chan struct{}

	mu     sync.Mutex
	told   []string
	places []bool
	faults []*Fault
	over   chan struct{}
	cause  error
}

func newRecorder() *recorder { return &recorder{over: make(chan struct{})} }

func (r *recorder) Quick(m Message) bool {
	if string(m.Payload) != "quick" {
		return false
	}
	r.note(m, false)
	return true
}

func (r *recorder) Take(m Message, mayBlock bool) bool {
	switch {
	case bytes.HasPrefix(m.Payload, []byte("panic")):
		panic("as asked")
	case bytes.HasPrefix(m.Payload, []byte("slow")) && !mayBlock:
		return false
	}
	if mayBlock && r.gate != nil {
		<-r.gate
	}
	r.note(m, mayBlock)
	return true
}

func (r *recorder) note(m Message, mayBlock bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, string(m.Payload))
	r.places = append(r.places, mayBlock)
}

func (r *recorder) Refuse(f *Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, f)
}

func (r *recorder) Ended(cause error) {
	r.cause = cause
	close(r.over)
}

// await waits until the recorder was told n messages, and returns them.
func (r *recorder) await(t *testing.T, n int) []string {
	t.Helper()
	for ctx := patient(t); ; runtime.Gosched() {
		r.mu.Lock()
		told := append([]string{}, r.told...)
		r.mu.Unlock()
		if len(told) >= n || ctx.Err() != nil {
			if len(told) != n {
				t.Fatalf("told %.300q, want %d messages", told, n)
			}
			return told
		}
	}
}

func (r *recorder) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-r.over:
	case <-patient(t).Done():
		t.Fatal("the end was not told")
	}
}

func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// pair returns both ends of a TCP connection.
func pair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp4", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// wrapped hides what a connection is, as TLS does.
type wrapped struct{ net.Conn }

// service is a poller whose goroutines the test waits for.
type service struct {
	*Poller
	tasks sync.WaitGroup
}

func newService(t testing.TB) *service {
	s := &service{}
	s.Poller = NewPoller(1<<20, &s.tasks)
	t.Cleanup(s.tasks.Wait)
	return s
}

// serve serves a new connection, which the test's end ends.
func (s *service) serve(t testing.TB, hidden bool, r *recorder) (*Conn, net.Conn) {
	server, client := pair(t)
	if hidden {
		server = wrapped{server}
	}
	s.tasks.Add(1)
	c := s.Conn(server)
	s.Serve(c, r)
	t.Cleanup(func() {
		c.Cut()
		<-r.over
		s.tasks.Done()
	})
	return c, client
}

// bothWires runs a test over an epoll and with a goroutine per connection.
func bothWires(t *testing.T, test func(t *testing.T, hidden bool)) {
	t.Run("plain", func(t *testing.T) { test(t, false) })
	t.Run("hidden", func(t *testing.T) { test(t, true) })
}

func TestMessagesKeepTheirOrder(t *testing.T) {
	bothWires(t, func(t *testing.T, hidden bool) {
		s, r := newService(t), newRecorder()
		_, client := s.serve(t, hidden, r)
		const n = 3000
		go func() {
			for i := range n {
				kind := []string{"quick", "swift", "slow"}[i%3]
				if kind != "quick" {
					kind = fmt.Sprint(kind, i)
				}
				_, _ = client.Write(clientFrame(0x81, []byte(kind)))
			}
		}()
		for i, text := range r.await(t, n) {
			if want := []string{"quick", fmt.Sprint("swift", i), fmt.Sprint("slow", i)}[i%3]; text != want {
				t.Fatalf("message %d is %q, want %q", i, text, want)
			}
			if i%3 == 2 && !r.places[i] {
				t.Fatalf("message %d was taken where it may not block", i)
			}
		}
		_ = client.Close()
		r.awaitEnd(t)
	})
}

// TestABlockedHandlerDelaysNobody has one connection's handler block while another's goes on.
func TestABlockedHandlerDelaysNobody(t *testing.T) {
	bothWires(t, func(t *testing.T, hidden bool) {
		s, stuck, swift := newService(t), newRecorder(), newRecorder()
		stuck.gate = make(chan struct{})
		_, a := s.serve(t, hidden, stuck)
		_, b := s.serve(t, hidden, swift)
		_, _ = a.Write(append(clientFrame(0x81, []byte("slow")), clientFrame(0x81, []byte("next"))...))
		for range 100 {
			_, _ = b.Write(clientFrame(0x81, []byte("hello")))
		}
		swift.await(t, 100)
		_, _ = a.Write(clientFrame(0x81, []byte("last")))
		if len(stuck.told) != 0 {
			t.Error("taken behind the gate")
		}
		close(stuck.gate)
		if told := stuck.await(t, 3); told[0] != "slow" || told[1] != "next" || told[2] != "last" {
			t.Errorf("told %q", told)
		}
	})
}

func TestLargeMessages(t *testing.T) {
	bothWires(t, func(t *testing.T, hidden bool) {
		s, r := newService(t), newRecorder()
		_, client := s.serve(t, hidden, r)
		for i := range 10 {
			go func() { _, _ = client.Write(clientFrame(0x82, bytes.Repeat([]byte{byte('a' + i)}, 300_000))) }()
			if told := r.await(t, i+1); len(told[i]) != 300_000 || told[i] != string(bytes.Repeat([]byte{byte('a' + i)}, 300_000)) {
				t.Fatalf("message %d came changed", i)
			}
		}
	})
}

// TestWriteWaitsForTheReader fills the network, sees TryWrite take nothing, and lets a blocked Write end by reading.
func TestWriteWaitsForTheReader(t *testing.T) {
	s, r := newService(t), newRecorder()
	c, client := s.serve(t, false, r)
	frame := AppendFrame(nil, OpBinary, make([]byte, 64<<10))
	total := 0
	for {
		n, err := c.TryWrite(frame)
		if err != nil {
			t.Fatal(err)
		}
		if total += n; n < len(frame) {
			break
		}
	}
	rest := bytes.Repeat([]byte("z"), 1<<20)
	done := make(chan error, 1)
	go func() { done <- c.Write(rest) }()
	if n, err := io.CopyN(io.Discard, client, int64(total+len(rest))); err != nil {
		t.Fatalf("read %d of %d: %v", n, total+len(rest), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCutEndsABlockedWrite(t *testing.T) {
	bothWires(t, func(t *testing.T, hidden bool) {
		s, r := newService(t), newRecorder()
		c, _ := s.serve(t, hidden, r)
		done := make(chan error, 1)
		go func() {
			for {
				if err := c.Write(make([]byte, 1<<20)); err != nil {
					done <- err
					return
				}
			}
		}()
		c.Cut()
		c.Cut()
		r.awaitEnd(t)
		if err := <-done; err == nil {
			t.Error("the write succeeded")
		}
		if _, err := c.TryWrite([]byte("late")); err == nil && !hidden {
			t.Error("wrote to a connection that is gone")
		}
	})
}

// TestAFaultIsToldAndTheRestDropped lets the server still write after it, as a close frame is.
func TestAFaultIsToldAndTheRestDropped(t *testing.T) {
	bothWires(t, func(t *testing.T, hidden bool) {
		s, r := newService(t), newRecorder()
		c, client := s.serve(t, hidden, r)
		_, _ = client.Write(append(clientFrame(0x81, []byte("first")), 0xff, 0xff))
		for ctx := patient(t); ctx.Err() == nil; runtime.Gosched() {
			r.mu.Lock()
			told := len(r.faults)
			r.mu.Unlock()
			if told > 0 {
				break
			}
		}
		_, _ = client.Write(clientFrame(0x81, []byte("too late")))
		if err := c.Write([]byte("bye")); err != nil {
			t.Error(err)
		}
		c.CloseWrite()
		if got, err := io.ReadAll(client); string(got) != "bye" || err != nil && !hidden {
			t.Errorf("read %q, %v", got, err)
		}
		_, err := client.Write(make([]byte, 2*discardBytes))
		r.awaitEnd(t)
		if len(r.faults) != 1 || r.faults[0].Code != CodeProtocolError || len(r.told) != 1 {
			t.Errorf("faults %v, told %q, write %v", r.faults, r.told, err)
		}
	})
}

func TestAPanicEndsItsConnectionAlone(t *testing.T) {
	bothWires(t, func(t *testing.T, hidden bool) {
		s, bad, good := newService(t), newRecorder(), newRecorder()
		_, a := s.serve(t, hidden, bad)
		_, b := s.serve(t, hidden, good)
		_, _ = a.Write(clientFrame(0x81, []byte("panic")))
		bad.awaitEnd(t)
		if bad.cause == nil {
			t.Error("no cause told")
		}
		_, _ = b.Write(clientFrame(0x81, []byte("hello")))
		good.await(t, 1)
	})
}

// TestManyComeAndGo has connections end in every way while others are made, and looks for descriptors left behind.
func TestManyComeAndGo(t *testing.T) {
	bothWires(t, func(t *testing.T, hidden bool) {
		s := newService(t)
		var running sync.WaitGroup
		for g := range 8 {
			running.Go(func() {
				for i := range 100 {
					server, client := pair(t)
					if hidden {
						server = wrapped{server}
					}
					r := newRecorder()
					s.tasks.Add(1)
					c := s.Conn(server)
					_, _ = client.Write(clientFrame(0x81, []byte("slow")))
					s.Serve(c, r)
					switch (g + i) % 3 {
					case 0:
						_ = client.Close()
					case 1:
						c.Cut()
					default:
						r.await(t, 1)
						_, _ = c.TryWrite([]byte("x"))
						_ = client.(*net.TCPConn).SetLinger(0)
						_ = client.Close()
					}
					r.awaitEnd(t)
					_ = client.Close()
					s.tasks.Done()
				}
			})
		}
		running.Wait()
		s.tasks.Wait()
		if s.count != 0 || s.loop != nil {
			t.Errorf("%d connections are counted at the end, loop %v", s.count, s.loop)
		}
	})
}

func TestErrorsSayWhatWasTried(t *testing.T) {
	s, r := newService(t), newRecorder()
	c, _ := s.serve(t, false, r)
	c.Cut()
	r.awaitEnd(t)
	if err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
