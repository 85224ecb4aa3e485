package timingtest_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	left  = netip.MustParseAddrPort("192.0.2.1:5000")
	right = netip.MustParseAddrPort("192.0.2.2:5000")
)

func listen(t *testing.T, n *timingtest.Network, at netip.AddrPort) *timingtest.Endpoint {
	t.Helper()
	e, err := n.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// onEachClock runs a case on the manual clock and in a bubble of virtual package time.
func onEachClock(t *testing.T, run func(t *testing.T, s timingtest.Subject)) {
	t.Run("manual", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { run(t, timingtest.Virtual(timingtest.NewManual())) })
	})
	t.Run("bubble", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { run(t, timingtest.Real(timing.Runtime{})) })
	})
}

// TestNetworkLosesAndDelays sends five packets: the second is lost, the third comes after the others.
func TestNetworkLosesAndDelays(t *testing.T) {
	onEachClock(t, func(t *testing.T, s timingtest.Subject) {
		start := s.Clock.Now()
		network := timingtest.NewNetwork(s.Clock, func(p timingtest.Packet) timingtest.Fate {
			switch string(p.Data) {
			case "1":
				return timingtest.Fate{Lose: true}
			case "2":
				return timingtest.Fate{Delay: 7 * time.Millisecond}
			}
			return timingtest.Fate{}
		})
		defer network.Close()
		from, to := listen(t, network, left), listen(t, network, right)
		for i := range 5 {
			if _, err := from.WriteTo(fmt.Append(nil, i), to.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			s.Pass(time.Millisecond)
		}
		s.Pass(4*time.Millisecond - 1)
		var arrived []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			buffer := make([]byte, 8)
			for len(arrived) < 4 {
				n, source, err := to.ReadFromAddrPort(buffer)
				if err != nil || source != left {
					t.Errorf("read from %v: %v", source, err)
					return
				}
				arrived = append(arrived, fmt.Sprintf("%s@%v", buffer[:n], s.Clock.Now().Sub(start)))
			}
		}()
		synctest.Wait()
		s.Pass(1)
		synctest.Wait()
		<-done
		want := "0@8.999999ms 3@8.999999ms 4@8.999999ms 2@9ms"
		if got := strings.Join(arrived, " "); got != want {
			t.Errorf("arrived %s, want %s", got, want)
		}
		for i, p := range network.SentFrom(left) {
			if want := start.Add(time.Duration(i) * time.Millisecond); p.Sent != want || p.To != right || string(p.Data) != fmt.Sprint(i) {
				t.Errorf("recorded %q to %v at %v, want at %v", p.Data, p.To, p.Sent.Sub(start), want.Sub(start))
			}
		}
		if sent := network.Sent(); !sent[1].Fate.Lose || sent[1].Arrived() != timing.Never || sent[2].Arrived() != start.Add(9*time.Millisecond) {
			t.Errorf("recorded fates %+v and %+v", sent[1].Fate, sent[2].Fate)
		}
	})
}

func TestEndpointDeadlines(t *testing.T) {
	onEachClock(t, func(t *testing.T, s timingtest.Subject) {
		now := time.Now
		if dated, ok := s.Clock.(*timingtest.Manual); ok {
			now = dated.Time
		}
		network := timingtest.NewNetwork(s.Clock, timingtest.Deliver)
		defer network.Close()
		e := listen(t, network, left)
		start := s.Clock.Now()
		read := func() (ended chan timing.Instant) {
			ended = make(chan timing.Instant, 1)
			go func() {
				if _, _, err := e.ReadFrom(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("read past the deadline: %v", err)
				}
				ended <- s.Clock.Now()
			}()
			synctest.Wait()
			return ended
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(e.SetReadDeadline(now().Add(time.Second)))
		ended := read()
		must(e.SetReadDeadline(now().Add(2 * time.Second))) // The later one stands, also for the read that waits.
		s.Pass(2 * time.Second)
		if late := (<-ended).Sub(start) - 2*time.Second; late != 0 {
			t.Errorf("the read ended %v after its deadline", late)
		}
		<-read() // The deadline holds until it is changed.
		must(e.SetDeadline(time.Time{}))
		if _, err := e.WriteTo([]byte("x"), e.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if n, _, err := e.ReadFrom(make([]byte, 8)); n != 1 || err != nil {
			t.Errorf("read without a deadline: %d, %v", n, err)
		}
		must(e.SetReadDeadline(now().Add(-time.Second)))
		<-read()
		must(e.SetReadDeadline(now().Add(time.Hour))) // Closing disarms it.
	})
}

// TestNetworkClose ends reads, drops what is on its way and leaves no timer.
func TestNetworkClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := timingtest.NewManual()
		network := timingtest.NewNetwork(clock, func(timingtest.Packet) timingtest.Fate { return timingtest.Fate{Delay: time.Second} })
		a, b := listen(t, network, left), listen(t, network, right)
		if err := b.SetReadDeadline(clock.Time().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.WriteTo([]byte("x"), b.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, _, err := b.ReadFrom(make([]byte, 8))
			ended <- err
		}()
		synctest.Wait()
		for range 2 {
			if err := network.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the read ended with %v, want net.ErrClosed", err)
		}
		if n := clock.Pending(); n != 0 {
			t.Errorf("%d timers left", n)
		}
		_, write := a.WriteTo([]byte("x"), b.LocalAddr())
		_, again := network.Listen(left)
		for what, err := range map[string]error{"write": write, "listen": again, "deadline": a.SetDeadline(time.Now())} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v, want net.ErrClosed", what, err)
			}
		}
	})
}

func TestNetworkAddresses(t *testing.T) {
	network := timingtest.NewNetwork(timingtest.NewManual(), timingtest.Deliver)
	defer network.Close()
	first := listen(t, network, left)
	if _, err := network.Listen(left); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("an address in use: %v", err)
	}
	if _, err := network.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), 1)); err == nil {
		t.Error("an unspecified address: no error")
	}
	if _, err := first.WriteTo(nil, &net.TCPAddr{}); err == nil {
		t.Error("a TCP address: no error")
	}
	free := netip.AddrPortFrom(left.Addr(), 0)
	ports := []uint16{listen(t, network, free).Address().Port(), listen(t, network, free).Address().Port()}
	if ports[0] == ports[1] || slices.Contains(ports, 0) {
		t.Errorf("free ports %v", ports)
	}
	_ = first.Close()
	listen(t, network, left)
}

// TestDialHearsOnePeer holds that a connection passes over what others send.
func TestDialHearsOnePeer(t *testing.T) {
	network := timingtest.NewNetwork(timingtest.NewManual(), timingtest.Deliver)
	defer network.Close()
	a, b := listen(t, network, left), listen(t, network, right)
	stranger := listen(t, network, netip.AddrPortFrom(left.Addr(), 0))
	conn := a.Dial(right)
	if _, err := stranger.WriteTo([]byte("stranger"), a.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Dial(left).Write([]byte("peer")); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 16)
	if n, err := conn.Read(buffer); err != nil || string(buffer[:n]) != "peer" {
		t.Errorf("read %q, %v", buffer[:n], err)
	}
	if conn.RemoteAddr().String() != right.String() {
		t.Errorf("remote address %v, want %v", conn.RemoteAddr(), right)
	}
}
