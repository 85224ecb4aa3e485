package timing_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// wireModes are the ways in which every wire must keep the same promises.
var wireModes = []timing.WireMode{timing.WireOwnerThread, timing.WireSQPoll, timing.WireClock}

// eachWire runs a test in every mode. Where the kernel refuses one, the clock stands in, as it would in service.
func eachWire(t *testing.T, capacity int, run func(t *testing.T, w *timing.Wire)) {
	for _, mode := range wireModes {
		t.Run(string(mode), func(t *testing.T) {
			run(t, openWire(t, timing.WireConfig{Mode: mode, Capacity: capacity}))
		})
	}
}

func openWire(t testing.TB, config timing.WireConfig) *timing.Wire {
	w := timing.NewWire(timing.Runtime{}, config)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func listen(t testing.TB, network, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func addressOf(conn *net.UDPConn) netip.AddrPort { return conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func openSocket(t testing.TB, w *timing.Wire) *timing.WireSocket {
	t.Helper()
	s, err := w.Socket(listen(t, "udp4", "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outcomes returns a completion callback and the channel to which it reports.
func outcomes(n int) (func(timing.Sent), <-chan timing.Sent) {
	c := make(chan timing.Sent, n)
	return func(s timing.Sent) { c <- s }, c
}

func mustSendAt(t testing.TB, s *timing.WireSocket, at timing.Instant, data string, to netip.AddrPort, done func(timing.Sent)) *timing.WireSend {
	t.Helper()
	x, err := s.SendAt(at, []byte(data), to, done)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// receiveAll reads as many datagrams as are expected, and what else is there, and returns the count.
func receiveAll(t testing.TB, conn *net.UDPConn, expected int) (n int) {
	t.Helper()
	for receives(t, conn, patience(n < expected)) {
		n++
	}
	return n
}

func patience(expecting bool) time.Duration {
	if expecting {
		return time.Minute
	}
	return 2 * time.Millisecond
}

func receives(t testing.TB, conn *net.UDPConn, patience time.Duration) bool {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, _, err := conn.ReadFromUDPAddrPort(make([]byte, timing.MaxWireDatagram))
	return err == nil
}

func TestWireDelivers(t *testing.T) {
	routes := []struct{ network, from, to string }{
		{"udp4", "127.0.0.1:0", "127.0.0.1:0"},
		{"udp6", "[::1]:0", "[::1]:0"},
		{"udp", "[::]:0", "127.0.0.1:0"},
	}
	eachWire(t, 0, func(t *testing.T, w *timing.Wire) {
		for _, route := range routes {
			t.Run(route.from+" to "+route.to, func(t *testing.T) {
				receiver := listen(t, "udp", route.to)
				sender := listen(t, route.network, route.from)
				s, err := w.Socket(sender)
				if err != nil {
					t.Fatal(err)
				}
				done, sent := outcomes(1)
				data := []byte("on time")
				due := timing.Runtime{}.Now().Add(3 * time.Millisecond)
				if _, err := s.SendAt(due, data, addressOf(receiver), done); err != nil {
					t.Fatal(err)
				}
				copy(data, "changed")
				buffer := make([]byte, 100)
				n, from, err := receiver.ReadFromUDPAddrPort(buffer)
				if err != nil || string(buffer[:n]) != "on time" {
					t.Fatalf("received %q, %v", buffer[:n], err)
				}
				if from.Port() != addressOf(sender).Port() {
					t.Errorf("came from %v, want the port of %v", from, addressOf(sender))
				}
				if got := <-sent; got.Err != nil || got.Due != due || got.At < due {
					t.Errorf("completion %+v of a send due at %d", got, due)
				}
			})
		}
	})
}

func TestWirePastLeavesAtOnce(t *testing.T) {
	eachWire(t, 0, func(t *testing.T, w *timing.Wire) {
		receiver, s := listen(t, "udp4", "127.0.0.1:0"), openSocket(t, w)
		done, sent := outcomes(3)
		for _, at := range []timing.Instant{-5, 0, timing.Runtime{}.Now().Add(-time.Hour)} {
			x := mustSendAt(t, s, at, "late", addressOf(receiver), done)
			if got := <-sent; got.Err != nil {
				t.Errorf("a send due at %d: %v", at, got.Err)
			}
			if x.Cancel() {
				t.Error("Cancel of a datagram that has left: true")
			}
		}
		if n := receiveAll(t, receiver, 3); n != 3 {
			t.Errorf("%d datagrams received, want 3", n)
		}
	})
}

func TestWireCancel(t *testing.T) {
	eachWire(t, 0, func(t *testing.T, w *timing.Wire) {
		receiver, s := listen(t, "udp4", "127.0.0.1:0"), openSocket(t, w)
		for _, at := range []timing.Instant{timing.Runtime{}.Now().Add(time.Hour), timing.Never - 1, timing.Never} {
			done, sent := outcomes(1)
			x := mustSendAt(t, s, at, "never", addressOf(receiver), done)
			for range 2 {
				if !x.Cancel() {
					t.Errorf("Cancel of a send due at %d: false", at)
				}
			}
			if got := <-sent; !errors.Is(got.Err, timing.ErrWireCancelled) || got.Due != at {
				t.Errorf("completion %+v, want cancelled, due at %d", got, at)
			}
			if !x.Cancel() {
				t.Error("Cancel after the completion changed its answer")
			}
		}
		if n := receiveAll(t, receiver, 0); n != 0 {
			t.Errorf("%d cancelled datagrams received", n)
		}
	})
}

// TestWireCancelRace has cancels meet instants head on: each datagram is either received or was cancelled, never both
// and never neither. With a deadline of 0 the cancel meets the hand-over to the kernel instead.
func TestWireCancelRace(t *testing.T) {
	const rounds, batch = 300, 64
	eachWire(t, batch, func(t *testing.T, w *timing.Wire) {
		receiver, s := listen(t, "udp4", "127.0.0.1:0"), openSocket(t, w)
		var left, kept, cancelled, received int
		for round := range rounds {
			done, sent := outcomes(batch)
			due := timing.Runtime{}.Now().Add(time.Duration(round%8) * 40 * time.Microsecond)
			var sends [batch]*timing.WireSend
			for i := range sends {
				sends[i] = mustSendAt(t, s, due.Add(time.Duration(i)*2*time.Microsecond), "maybe", addressOf(receiver), done)
			}
			for _, x := range sends {
				if x.Cancel() {
					cancelled++
				}
			}
			leftBefore := left
			for range sends {
				switch got := <-sent; {
				case got.Err == nil:
					left++
				case errors.Is(got.Err, timing.ErrWireCancelled):
					kept++
				default:
					t.Fatal(got.Err)
				}
			}
			received += receiveAll(t, receiver, left-leftBefore)
		}
		t.Logf("%d left, %d cancelled", left, cancelled)
		if left != received || kept != cancelled || left+kept != rounds*batch {
			t.Errorf("%d completed as sent and %d were received; %d completed as cancelled and %d cancels said so; %d in all, want %d",
				left, received, kept, cancelled, left+kept, rounds*batch)
		}
	})
}

func TestWireRefuses(t *testing.T) {
	eachWire(t, 0, func(t *testing.T, w *timing.Wire) {
		s := openSocket(t, w)
		good := netip.MustParseAddrPort("127.0.0.1:9")
		unreported := func(timing.Sent) { t.Error("a refused send was reported as complete") }
		cases := []struct {
			size int
			to   netip.AddrPort
			want error
		}{
			{timing.MaxWireDatagram + 1, good, timing.ErrWireTooLarge},
			{1, netip.AddrPort{}, timing.ErrWireAddress},
			{1, netip.AddrPortFrom(good.Addr(), 0), timing.ErrWireAddress},
		}
		for _, c := range cases {
			if _, err := s.SendAt(0, make([]byte, c.size), c.to, unreported); !errors.Is(err, c.want) {
				t.Errorf("%d bytes to %v: %v, want %v", c.size, c.to, err, c.want)
			}
		}
		done, sent := outcomes(1)
		if _, err := s.SendAt(0, make([]byte, timing.MaxWireDatagram), good, done); err != nil {
			t.Errorf("the largest datagram: %v", err)
		}
		<-sent
	})
}

// TestWireReportsRefusals checks that what the network refuses is reported.
func TestWireReportsRefusals(t *testing.T) {
	eachWire(t, 0, func(t *testing.T, w *timing.Wire) {
		s := openSocket(t, w)
		done, sent := outcomes(1)
		// A socket of the loopback interface has no way out.
		mustSendAt(t, s, 0, "refused", netip.MustParseAddrPort("192.0.2.1:9"), done)
		if got := <-sent; got.Err == nil {
			t.Error("a datagram from 127.0.0.1 to the outside completed as sent")
		}
	})
}

func TestWireFull(t *testing.T) {
	const capacity = 4
	eachWire(t, capacity, func(t *testing.T, w *timing.Wire) {
		receiver, s := listen(t, "udp4", "127.0.0.1:0"), openSocket(t, w)
		done, sent := outcomes(2 * capacity)
		var sends []*timing.WireSend
		for range capacity {
			sends = append(sends, mustSendAt(t, s, timing.Never, "", addressOf(receiver), done))
		}
		if _, err := s.SendAt(0, nil, addressOf(receiver), done); !errors.Is(err, timing.ErrWireFull) {
			t.Fatalf("one send too many: %v, want ErrWireFull", err)
		}
		sends[0].Cancel()
		<-sent
		mustSendAt(t, s, 0, "", addressOf(receiver), done)
		if got := <-sent; got.Err != nil {
			t.Errorf("a send in the place that came free: %v", got.Err)
		}
	})
}

// TestWireAllAtOnce fills every place with one instant, several times over.
func TestWireAllAtOnce(t *testing.T) {
	const capacity, rounds = 128, 20 // A usual receive buffer holds some 250 datagrams.
	eachWire(t, capacity, func(t *testing.T, w *timing.Wire) {
		receiver, s := listen(t, "udp4", "127.0.0.1:0"), openSocket(t, w)
		for range rounds {
			done, sent := outcomes(capacity)
			due := timing.Runtime{}.Now().Add(2 * time.Millisecond)
			for range capacity {
				mustSendAt(t, s, due, "", addressOf(receiver), done)
			}
			for range capacity {
				if got := <-sent; got.Err != nil {
					t.Fatal(got.Err)
				}
			}
			if n := receiveAll(t, receiver, capacity); n != capacity {
				t.Fatalf("%d datagrams received, want %d", n, capacity)
			}
		}
	})
}

func TestWireSocketClose(t *testing.T) {
	eachWire(t, 0, func(t *testing.T, w *timing.Wire) {
		receiver, s, other := listen(t, "udp4", "127.0.0.1:0"), openSocket(t, w), openSocket(t, w)
		done, sent := outcomes(10)
		for range 9 {
			mustSendAt(t, s, timing.Runtime{}.Now().Add(time.Hour), "never", addressOf(receiver), done)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		for range 9 {
			if got := <-sent; !errors.Is(got.Err, timing.ErrWireClosed) {
				t.Errorf("completion %+v, want closed", got)
			}
		}
		if _, err := s.SendAt(0, nil, addressOf(receiver), done); !errors.Is(err, timing.ErrWireClosed) {
			t.Errorf("SendAt on a closed socket: %v, want ErrWireClosed", err)
		}
		mustSendAt(t, other, 0, "other", addressOf(receiver), done)
		if got := <-sent; got.Err != nil {
			t.Errorf("a send of another socket: %v", got.Err)
		}
		if n := receiveAll(t, receiver, 1); n != 1 {
			t.Errorf("%d datagrams received, want only the other socket's", n)
		}
	})
}

func TestWireClose(t *testing.T) {
	for _, mode := range wireModes {
		t.Run(string(mode), func(t *testing.T) {
			w := timing.NewWire(timing.Runtime{}, timing.WireConfig{Mode: mode})
			receiver, s := listen(t, "udp4", "127.0.0.1:0"), openSocket(t, w)
			var reported atomic.Int64
			x := mustSendAt(t, s, timing.Runtime{}.Now().Add(time.Hour), "never", addressOf(receiver), func(got timing.Sent) {
				if !errors.Is(got.Err, timing.ErrWireClosed) {
					t.Errorf("completion %+v, want closed", got)
				}
				reported.Add(1)
			})
			for range 2 {
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}
			if reported.Load() != 1 {
				t.Error("Close returned before the completion was reported")
			}
			if !x.Cancel() {
				t.Error("Cancel of a send that the closed wire will never make: false")
			}
			if _, err := s.SendAt(0, nil, addressOf(receiver), nil); !errors.Is(err, timing.ErrWireClosed) {
				t.Errorf("SendAt: %v, want ErrWireClosed", err)
			}
			if _, err := w.Socket(listen(t, "udp4", "127.0.0.1:0")); !errors.Is(err, timing.ErrWireClosed) {
				t.Errorf("Socket: %v, want ErrWireClosed", err)
			}
		})
	}
}

func TestWireCallbackMayCallTheWire(t *testing.T) {
	eachWire(t, 1, func(t *testing.T, w *timing.Wire) {
		receiver, s := listen(t, "udp4", "127.0.0.1:0"), openSocket(t, w)
		finished := make(chan struct{})
		mustSendAt(t, s, 0, "first", addressOf(receiver), func(timing.Sent) {
			_, err := s.SendAt(timing.Never, []byte("second"), addressOf(receiver), func(timing.Sent) { close(finished) })
			if err := errors.Join(err, s.Close()); err != nil {
				t.Error(err)
			}
		})
		<-finished
	})
}

// TestWireUnderContention has everything happen at once, for the race detector and for what Close promises.
func TestWireUnderContention(t *testing.T) {
	for _, mode := range wireModes {
		t.Run(string(mode), func(t *testing.T) {
			w := timing.NewWire(timing.Runtime{}, timing.WireConfig{Mode: mode, Capacity: 64})
			receiver := listen(t, "udp4", "127.0.0.1:0")
			var accepted, reported atomic.Int64
			var users sync.WaitGroup
			for i := range 4 {
				s := openSocket(t, w)
				users.Go(func() {
					for n := 0; ; n++ {
						due := timing.Runtime{}.Now().Add(time.Duration(n%7) * 50 * time.Microsecond)
						x, err := s.SendAt(due, []byte(fmt.Sprint(n)), addressOf(receiver), func(timing.Sent) { reported.Add(1) })
						switch {
						case errors.Is(err, timing.ErrWireClosed):
							return
						case errors.Is(err, timing.ErrWireFull):
							runtime.Gosched()
							continue
						case err != nil:
							t.Error(err)
							return
						}
						accepted.Add(1)
						if n%3 == i%3 {
							x.Cancel()
						}
					}
				})
			}
			timingtest.Real(timing.Runtime{}).Pass(30 * time.Millisecond)
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			users.Wait()
			if accepted.Load() != reported.Load() {
				t.Errorf("%d sends accepted, %d reported by the time Close returned", accepted.Load(), reported.Load())
			}
		})
	}
}

// TestWireOnManualClock checks that a clock that the kernel does not share is never handed to it.
func TestWireOnManualClock(t *testing.T) {
	clock := timingtest.NewManual()
	w := timing.NewWire(clock, timing.WireConfig{})
	defer w.Close()
	if report := w.Report(); report.Kernel || report.Mode != timing.WireClock || report.Reason == "" {
		t.Errorf("report %+v of a wire on a manual clock", report)
	}
	receiver, s := listen(t, "udp4", "127.0.0.1:0"), openSocket(t, w)
	done, sent := outcomes(1)
	mustSendAt(t, s, clock.Now().Add(time.Minute), "a minute later", addressOf(receiver), done)
	clock.Advance(time.Minute - 1)
	if n := receiveAll(t, receiver, 0); n != 0 {
		t.Fatal("left before its instant")
	}
	clock.Advance(1)
	if got := <-sent; got.Err != nil || got.At != got.Due {
		t.Errorf("completion %+v", got)
	}
}
