package probe

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing/timingtest"
)

// eventually and openFiles go by their short names here.
var eventually, openFiles = timingtest.Eventually, timingtest.OpenFiles

// fakeUDP is a server that answers each request as a function says, nil for not at all.
func fakeUDP(t *testing.T, answer func(conn *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte) netip.AddrPort {
	t.Helper()
	return fakeUDPOn(t, net.IPv4(127, 0, 0, 1), answer)
}

func fakeUDPOn(t *testing.T, address net.IP, answer func(conn *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte) netip.AddrPort {
	t.Helper()
	return fakePackets(t, address, func(conn *net.UDPConn, from netip.AddrPort, packet []byte) []byte {
		ask := stun.New()
		if stun.Decode(packet, ask) != nil {
			return nil
		}
		return answer(conn, from, ask)
	})
}

// fakePackets is a server that answers each packet as a function says, nil for not at all.
func fakePackets(t *testing.T, address net.IP, answer func(conn *net.UDPConn, from netip.AddrPort, packet []byte) []byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: address})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			if b := answer(conn, from, buffer[:n]); b != nil {
				_, _ = conn.WriteToUDPAddrPort(b, from)
			}
		}
	})
	t.Cleanup(func() {
		conn.Close()
		serving.Wait()
	})
	return addressOf(conn.LocalAddr())
}

// onManualClock probes with time going on as fast as timers are armed, once the server is ready for that.
func onManualClock(t *testing.T, targets []Target, o Options, ready func(clock *timingtest.Manual, advanced int) bool) Server {
	t.Helper()
	return reportOnManualClock(t, targets, o, ready).Servers[0]
}

func reportOnManualClock(t *testing.T, targets []Target, o Options, ready func(clock *timingtest.Manual, advanced int) bool) Report {
	t.Helper()
	clock := timingtest.NewManual()
	o.Clock = clock
	done := make(chan Report, 1)
	go func() { done <- Run(t.Context(), targets, o) }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	advanced := 0
	for {
		select {
		case report := <-done:
			if n := clock.Pending(); n > 0 {
				t.Errorf("%d timers are left armed", n)
			}
			return report
		case <-ctx.Done():
			t.Fatal("the probe hangs")
		default:
			if ready(clock, advanced) && clock.AdvanceNext() {
				advanced++
			}
			runtime.Gosched()
		}
	}
}

func hasty() Options {
	return Options{User: "u", Password: "p", Count: 3, Interval: DefaultInterval, Timeout: DefaultTimeout, MaxLoss: DefaultMaxLoss}
}

func bindingSuccess(ask *stun.Message, from netip.AddrPort) []byte {
	return stun.MustBuild(ask, stun.BindingSuccess, &stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())}, stun.Fingerprint).Raw
}

// TestSilentServer holds that the requests are repeated as RFC 8489 says, and that it ends: 0, 0.5, 1.5 and 3.5 s fall
// into the five seconds.
func TestSilentServer(t *testing.T) {
	var asked atomic.Int32
	at := fakeUDP(t, func(*net.UDPConn, netip.AddrPort, *stun.Message) []byte { asked.Add(1); return nil })
	began := timingtest.NewManual().Now()
	due := []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 3500 * time.Millisecond, DefaultTimeout}
	s := onManualClock(t, []Target{target(STUN, at, UDP)}, hasty(), func(c *timingtest.Manual, advanced int) bool {
		if advanced == len(due) {
			return false // It has ended, and is about to say so.
		}
		next, _ := c.Next() // The end alone, between a request and the arming for the next.
		return next == began.Add(due[advanced]) && int(asked.Load()) > advanced
	})
	fails(t, s, stepBinding, CodeNoAnswer)
	if s.Steps[1].TookNS != int64(DefaultTimeout) || s.Problems[0].What != "no answer to 4 requests within 5s" {
		t.Errorf("%+v %+v", s.Steps, problems(s))
	}
}

// TestSilentSecondAddress has a server name a second address that answers to nobody, as one does that was given an address
// which only it can reach: its silence is no sign of a filter.
func TestSilentSecondAddress(t *testing.T) {
	var asked atomic.Int32
	other := fakeUDP(t, func(*net.UDPConn, netip.AddrPort, *stun.Message) []byte { asked.Add(1); return nil })
	at := fakeUDP(t, func(_ *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte {
		if ask.Contains(stun.AttrChangeRequest) {
			return nil // It would be sent from the other one.
		}
		named := &stun.MappedAddress{IP: other.Addr().AsSlice(), Port: int(other.Port())}
		return stun.MustBuild(ask, stun.BindingSuccess, &stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())},
			otherAddress{named}, stun.Fingerprint).Raw
	})
	o := hasty()
	o.Count = 0
	report := reportOnManualClock(t, []Target{target(STUN, at, UDP)}, o, func(*timingtest.Manual, int) bool { return asked.Load() > 0 })
	if len(report.NAT) != 1 || report.NAT[0].Mapping != mappingNone || report.NAT[0].Filtering != "" {
		t.Errorf("%+v", report.NAT)
	}
}

// otherAddress is a MAPPED-ADDRESS by the name of OTHER-ADDRESS.
type otherAddress struct{ *stun.MappedAddress }

func (a otherAddress) AddTo(m *stun.Message) error { return a.AddToAs(m, stun.AttrOtherAddress) }

func TestMangledAnswers(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:3478")
	for name, mangle := range map[string]func(b []byte) []byte{
		"cut short":         func(b []byte) []byte { return b[:len(b)-3] },
		"wrong fingerprint": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"a request":         func(b []byte) []byte { b[0] = 0; return b },
	} {
		ask := bindingRequest()
		x := &exchanger{target: target(STUN, at, UDP)}
		if x.take(packet{data: mangle(bindingSuccess(ask, at))}, ask) != nil {
			t.Errorf("%s: taken", name)
		}
		if p := x.silence(7); p.Code != CodeMalformed {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// waiting tells that a transaction has made both its timers: the next request's, which may not be armed yet, and its end.
func waiting(c *timingtest.Manual, _ int) bool { return c.Pending() == 2 }

// TestForeignPackets meets something that answers over UDP and is no STUN server, and one that answers what was not asked.
func TestForeignPackets(t *testing.T) {
	for want, b := range map[string][]byte{CodeNotSTUN: []byte("pong"), CodeNoAnswer: bindingRequest().Raw} {
		at := fakeUDP(t, func(*net.UDPConn, netip.AddrPort, *stun.Message) []byte { return b })
		told := func(s Server) bool {
			first := s.Problems[0]
			return first.Step == stepBinding && first.Code == want && !strings.Contains(first.Remedy, "firewall")
		}
		s := patiently(t, func(timeout time.Duration) Server {
			o := hasty()
			o.Timeout = timeout
			return only(t, []Target{target(TURN, at, UDP)}, o)
		}, told)
		if s.OK || !told(s) || s.Steps[1].Status != StatusFailed {
			t.Errorf("%+v\n%+v", problems(s), s.Steps)
		}
	}
}

func TestSilenceInWords(t *testing.T) {
	x := &exchanger{target: Target{TURN, "h", 1, TCP}, timeout: time.Second, strays: 1}
	if p := x.silence(1); p.What != "no answer to 1 request within 1s, but 1 packet that answered something else" {
		t.Error(p.What)
	}
	x.foreign, x.strays = 2, 2
	if p := x.silence(3); p.What != "no answer to 3 requests within 1s, but 2 packets of something other than STUN" {
		t.Error(p.What)
	}
}

// TestNonceLoop meets a server that never takes its own nonce.
func TestNonceLoop(t *testing.T) {
	at := fakeUDP(t, func(_ *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte {
		code := stun.CodeStaleNonce
		switch {
		case ask.Type.Method == stun.MethodBinding:
			return bindingSuccess(ask, from)
		case !ask.Contains(stun.AttrNonce):
			code = stun.CodeUnauthorized
		}
		m := stun.MustBuild(ask, stun.NewType(ask.Type.Method, stun.ClassErrorResponse), code, stun.NewRealm("r"), stun.NewNonce("n"))
		return m.Raw
	})
	o := hasty()
	o.Count, o.Clock, o.Timeout = 0, nil, patience
	fails(t, only(t, []Target{target(TURN, at, UDP)}, o), stepAllocate, CodeNonceLoop)
}

// TestSpoofedSource holds that an answer from another socket is none, on a link with a server and on one without.
func TestSpoofedSource(t *testing.T) {
	stranger, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	at := fakeUDP(t, func(_ *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte {
		_, _ = stranger.WriteToUDPAddrPort(bindingSuccess(ask, from), from)
		return nil
	})
	fails(t, onManualClock(t, []Target{target(STUN, at, UDP)}, hasty(), waiting), stepBinding, CodeNoAnswer)

	r := &runner{o: hasty().withDefaults()}
	l, err := r.listen(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	ask := bindingRequest()
	x := &exchanger{link: l, from: at}
	if x.take(packet{from: addressOf(stranger.LocalAddr()), data: bindingSuccess(ask, at)}, ask) != nil || x.strays != 1 {
		t.Error("an answer from elsewhere was taken")
	}
	if x.take(packet{from: at, data: bindingSuccess(ask, at)}, ask) == nil {
		t.Error("the server's answer was not taken")
	}
}

// TestLossAndDuplicates meets a server that answers Binding requests but the third twice and the fourth never, however
// often they are repeated.
func TestLossAndDuplicates(t *testing.T) {
	s := patiently(t, func(timeout time.Duration) Server {
		seen := map[[stun.TransactionIDSize]byte]int{}
		at := fakeUDP(t, func(conn *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte {
			if _, again := seen[ask.TransactionID]; !again {
				seen[ask.TransactionID] = len(seen) + 1
			}
			b := bindingSuccess(ask, from)
			switch seen[ask.TransactionID] {
			case 3:
				_, _ = conn.WriteToUDPAddrPort(b, from)
			case 4:
				return nil
			}
			return b
		})
		o := hasty()
		o.Count, o.Timeout, o.Interval, o.MaxLoss = 4, timeout, MinInterval, 25
		return only(t, []Target{target(STUN, at, UDP)}, o)
	}, func(s Server) bool { return s.OK && len(s.Series) == 1 && s.Series[0].LossPercent == 25 })
	if !s.OK || len(s.Problems) != 1 || s.Problems[0].Code != CodeLoss || s.Problems[0].Fatal {
		t.Fatalf("%+v", problems(s))
	}
	if got := s.Series[0]; got.Sent != 4 || got.Received != 3 || got.Duplicates != 1 || got.LossPercent != 25 {
		t.Errorf("%+v", got)
	}
}

// TestLossyServer meets a server that answers one Binding request of the series: it has failed, and is still asked to relay.
func TestLossyServer(t *testing.T) {
	lossy := func(s Server) bool { return len(s.Series) == 1 && s.Series[0].LossPercent == 90 }
	s := patiently(t, func(timeout time.Duration) Server {
		var asked atomic.Int32
		at := fakeUDP(t, func(_ *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte {
			switch {
			case ask.Type.Method != stun.MethodBinding:
				return stun.MustBuild(ask, stun.NewType(ask.Type.Method, stun.ClassErrorResponse), stun.CodeForbidden).Raw
			case asked.Add(1) > 2: // One for the step.
				return nil
			}
			return bindingSuccess(ask, from)
		})
		o := hasty()
		o.Count, o.Timeout, o.Interval = 10, timeout, MinInterval
		return only(t, []Target{target(TURN, at, UDP)}, o)
	}, lossy)
	if s.State != StateFailed || !lossy(s) || s.Problems[0].Code != CodeLossLimit || !s.Problems[0].Fatal {
		t.Fatalf("%+v\n%+v", problems(s), s.Series)
	}
	fails(t, s, stepAllocate, CodeForbidden)
}

// patiently probes where silence has to be waited for, with more and more time for what comes, until it is as it should
// be: a busy machine may need more than a second for an answer. It returns what came last.
func patiently(t *testing.T, probe func(timeout time.Duration) Server, good func(Server) bool) (s Server) {
	t.Helper()
	for timeout := time.Second; timeout <= 16*time.Second; timeout *= 2 {
		if s = probe(timeout); good(s) {
			break
		}
		t.Logf("with %v for each step: %+v", timeout, problems(s))
	}
	return s
}

// fakeTCP is a server that writes a text to whoever connects, and then closes the connection or keeps it. accepted tells whether
// anybody has connected.
func fakeTCP(t *testing.T, text string, keep bool) (at netip.AddrPort, accepted func() bool) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	closed := make(chan struct{})
	var seen atomic.Bool
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			seen.Store(true)
			_, _ = conn.Write([]byte(text))
			if keep {
				<-closed
			}
			conn.Close()
		}
	})
	t.Cleanup(func() {
		close(closed)
		listener.Close()
		serving.Wait()
	})
	return addressOf(listener.Addr()), seen.Load
}

func TestBrokenStreams(t *testing.T) {
	ok := bindingSuccess(bindingRequest(), netip.MustParseAddrPort("192.0.2.1:1"))
	for name, c := range map[string]struct {
		text   string
		keep   bool
		scheme Scheme
		over   Transport
		step   string
		code   string
	}{
		"not STUN":         {"\xff\xff\xff\xff", true, TURN, TCP, stepBinding, CodeNotSTUN},
		"HTTP":             {"HTTP/1.1 400 Bad Request\r\n", true, TURN, TCP, stepBinding, CodeNotSTUN},
		"SSH":              {"SSH-2.0-OpenSSH_9.2\r\n", true, TURN, TCP, stepBinding, CodeNotSTUN},
		"SMTP":             {"220 mail.example ESMTP\r\n", true, TURN, TCP, stepBinding, CodeNotSTUN}, // Like STUN of 12 kB.
		"closed at once":   {"", false, TURN, TCP, stepBinding, CodeClosed},
		"frame cut short":  {string(ok[:10]), false, TURN, TCP, stepBinding, CodeClosed},
		"silent":           {"", true, TURN, TCP, stepAllocate, CodeNoAnswer},
		"frame never ends": {string(ok[:10]), true, TURN, TCP, stepAllocate, CodeNoAnswer},
		"silent TLS":       {"", true, TURNS, TLS, stepConnect, CodeNoAnswer},
		"no TLS":           {"220 mail.example ESMTP\r\n", true, TURNS, TLS, stepConnect, CodeNoTLS},
		"TLS closed":       {"", false, TURNS, TLS, stepConnect, CodeNoTLS},
	} {
		t.Run(name, func(t *testing.T) {
			at, accepted := fakeTCP(t, c.text, c.keep)
			var s Server
			if c.code == CodeNoAnswer {
				s = onManualClock(t, []Target{target(c.scheme, at, c.over)}, hasty(), func(clock *timingtest.Manual, advanced int) bool {
					return waiting(clock, advanced) || c.over == TLS && accepted()
				})
			} else {
				o := hasty()
				o.Timeout = patience
				s = only(t, []Target{target(c.scheme, at, c.over)}, o)
			}
			if s.OK {
				t.Fatalf("good: %+v", s)
			}
			for _, step := range s.Steps {
				if step.Name != stepConnect && step.Status != StatusFailed {
					t.Errorf("%s is shown as %s", step.Name, step.Status)
				}
			}
			for _, p := range s.Problems {
				if p.Step == c.step && p.Code == c.code {
					if c.code == CodeNotSTUN && p.Remedy != notSTUN {
						t.Errorf("%+v", p)
					}
					return
				}
			}
			t.Errorf("%+v, want %s at %s", problems(s), c.code, c.step)
		})
	}
}

func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", netip.AddrPortFrom(timingtest.OwnLoopback(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	at := addressOf(listener.Addr())
	listener.Close()
	o := hasty()
	o.Timeout = patience
	fails(t, only(t, []Target{target(TURN, at, TCP)}, o), stepConnect, CodeRefused)
	fails(t, only(t, []Target{target(STUN, at, UDP)}, o), stepBinding, CodeRefused)
}
