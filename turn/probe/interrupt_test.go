package probe

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
	"tourbillon/turn"
)

// unfinished wants a server about which nothing bad was found out, with the interruption as its last problem.
func unfinished(t *testing.T, s Server, step string) {
	t.Helper()
	if s.State != StateInterrupted || s.OK || len(s.Problems) == 0 {
		t.Fatalf("%s: %+v", s.State, s)
	}
	if last := s.Problems[len(s.Problems)-1]; last.Step != step || last.Code != CodeInterrupted || last.Fatal {
		t.Errorf("%+v, want the interruption at %s", problems(s), step)
	}
}

// TestInterrupted holds that the end of the caller's context ends a probe that waits, and that it is said neither of that
// server nor of the one that was not reached that it failed.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	at := fakeUDP(t, func(*net.UDPConn, netip.AddrPort, *stun.Message) []byte { cancel(); return nil })
	report := Run(ctx, []Target{target(TURN, at, UDP), target(STUN, at, UDP)}, hasty())
	if report.OK || !report.Interrupted {
		t.Errorf("ok %v, interrupted %v", report.OK, report.Interrupted)
	}
	unfinished(t, report.Servers[0], stepBinding)
	unfinished(t, report.Servers[1], stepConnect)
	if steps := report.Servers[0].Steps; steps[len(steps)-1].Status != StatusInterrupted {
		t.Errorf("%+v", steps)
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil || strings.Contains(text.String(), "FAILED") {
		t.Errorf("%v\n%s", err, text.String())
	}
	for _, s := range report.Servers {
		if !strings.Contains(text.String(), s.URL+"  interrupted\n") {
			t.Errorf("no %s interrupted in\n%s", s.URL, text.String())
		}
	}
}

// TestInterruptedBetweenSteps has the end come with the answer to the Binding request: a relay that was not asked to relay is
// never called good.
func TestInterruptedBetweenSteps(t *testing.T) {
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		var allocates atomic.Int32
		at := fakeUDP(t, func(conn *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte {
			if ask.Type.Method != stun.MethodBinding {
				allocates.Add(1)
				return nil
			}
			_, _ = conn.WriteToUDPAddrPort(bindingSuccess(ask, from), from)
			cancel()
			return nil
		})
		o := hasty()
		o.Count = 0
		s := Run(ctx, []Target{target(TURN, at, UDP)}, o).Servers[0]
		last := s.Problems[len(s.Problems)-1]
		if s.State != StateInterrupted || last.Code != CodeInterrupted || allocates.Load() > 0 && last.Step != stepAllocate {
			t.Fatalf("%s after %d requests to allocate: %+v", s.State, allocates.Load(), problems(s))
		}
		cancel()
	}
}

// TestInterruptedSeries holds that packets which waited for their instants are not counted, and that none of them leaves.
func TestInterruptedSeries(t *testing.T) {
	var seen *atomic.Int32
	var report Report
	s := patiently(t, func(time.Duration) Server {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		here := new(atomic.Int32)
		at := fakeUDP(t, func(_ *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte {
			if here.Add(1) == 4 { // One of the step, and three of the series.
				cancel()
			}
			return bindingSuccess(ask, from)
		})
		o := hasty()
		o.Count, o.Timeout, o.Interval = 1000, patience, 20*time.Millisecond
		seen, report = here, Run(ctx, []Target{target(STUN, at, UDP)}, o)
		return report.Servers[0]
	}, func(s Server) bool { return len(s.Series) == 1 && s.Series[0].LossPercent == 0 }) // What stood still for long is lost.
	unfinished(t, s, stepBinding)
	if len(s.Series) != 1 || len(report.NAT) != 0 {
		t.Fatalf("%+v", report)
	}
	got := s.Series[0]
	if got.LossPercent != 0 || got.Sent < 3 || got.Sent >= 1000 || got.Sent != got.Received+got.Open {
		t.Errorf("%+v", got)
	}
	eventually(t, "the server has what was sent", func() bool { return int(seen.Load()) >= got.Sent+1 })
	if n := int(seen.Load()); n != got.Sent+1 {
		t.Errorf("%d were sent by the report, the server has %d", got.Sent, n-1)
	}
}

// allocatedVisit is one of our server that has come up to its allocation, closed when the test ends.
func allocatedVisit(t *testing.T, ctx context.Context, o Options, at netip.AddrPort) (*visit, *client) {
	t.Helper()
	r := &runner{o: o.withDefaults()}
	r.wire = timing.NewWire(r.o.Clock, timing.WireConfig{})
	v := &visit{runner: r, target: target(TURN, at, UDP), report: &Server{State: StateGood}, login: r.newLogin()}
	if !v.connect(ctx) {
		t.Fatal(problems(*v.report))
	}
	t.Cleanup(func() {
		v.link.close()
		if err := r.wire.Close(); err != nil {
			t.Error(err)
		}
	})
	c := v.client(v.link, v.login)
	if !v.allocated(ctx, c) {
		t.Fatal(problems(*v.report))
	}
	return v, c
}

// TestInterruptedEcho holds that an allocation is given back all the same.
func TestInterruptedEcho(t *testing.T) {
	at, o := serve(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Count, o.Interval = 1, MinInterval
	v, c := allocatedVisit(t, ctx, o, at[turn.UDP])
	cancel()
	v.echo(ctx, c)
	unfinished(t, *v.report, stepEcho)
	if _, problem := c.release(ctx); problem != nil {
		t.Errorf("%+v", problem)
	}
}

// limits is a clock that counts the timers which bound something, and the most that were armed at once.
type limits struct {
	timing.Clock
	mu          sync.Mutex
	armed, most int
}

// limit is a timer of limits.
type limit struct {
	timing.Timer
	of *limits
}

func (l *limits) AfterFunc(d time.Duration, f func()) timing.Timer {
	l.count(1)
	return limit{l.Clock.AfterFunc(d, f), l}
}

func (l *limits) count(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed += n
	l.most = max(l.most, l.armed)
}

func (l limit) Stop() bool {
	l.of.count(-1)
	return l.Timer.Stop()
}

// TestEchoBoundsOneThingAtATime holds that what bounds a step of the echo ends with it.
func TestEchoBoundsOneThingAtATime(t *testing.T) {
	at, o := serve(t, nil)
	clock := &limits{Clock: timing.Runtime{}}
	o.Count, o.Interval, o.Clock = 1, MinInterval, clock
	v, c := allocatedVisit(t, t.Context(), o, at[turn.UDP])
	clock.mu.Lock()
	clock.most = clock.armed
	clock.mu.Unlock()
	if _, _, problem := v.echoOffAllocation(t.Context(), c); problem != nil {
		t.Errorf("%+v", problem)
	}
	if clock.most != 1 || clock.armed != 0 {
		t.Errorf("%d timers were armed at once, and %d are left", clock.most, clock.armed)
	}
	if _, problem := c.release(t.Context()); problem != nil {
		t.Errorf("%+v", problem)
	}
}

// TestAllocateWithoutAnswer ends an Allocate request without an answer, by interruption or by silence: what a signed one may
// have brought about is given back, once. An unsigned one of a server that wants credentials brings nothing about.
func TestAllocateWithoutAnswer(t *testing.T) {
	for _, c := range []struct {
		signed, interrupted bool
		want                int
	}{{false, true, 0}, {true, true, 1}, {true, false, 1}, {false, false, 0}} {
		ctx, cancel := context.WithCancel(t.Context())
		at, released := takingBack(t, func(ask *stun.Message) (answer bool) {
			if ask.Contains(stun.AttrMessageIntegrity) != c.signed {
				return true
			}
			if c.interrupted {
				cancel()
			}
			return false
		})
		o := hasty()
		o.Count = 0
		s := Run(ctx, []Target{target(TURN, at, UDP)}, o).Servers[0]
		if c.interrupted {
			unfinished(t, s, stepAllocate)
		} else if found := problems(s); len(found) != 1 || found[0].Code != CodeNoAnswer || found[0].Step != stepAllocate {
			t.Errorf("%+v: %+v", c, found)
		}
		if n := released(); n != c.want {
			t.Errorf("%+v: given back %d times", c, n)
		}
		cancel()
	}
}

// takingBack is a server that challenges an Allocate if answer says so, and that counts what is given back to it.
func takingBack(t *testing.T, answer func(*stun.Message) bool) (at netip.AddrPort, released func() int) {
	var given sync.Map // Transactions, by id: a request may be repeated.
	at = fakeUDP(t, func(_ *net.UDPConn, from netip.AddrPort, ask *stun.Message) []byte {
		switch {
		case ask.Type.Method == stun.MethodBinding:
			return bindingSuccess(ask, from)
		case ask.Type.Method == stun.MethodRefresh:
			if ask.Contains(stun.AttrLifetime) && lifetime(ask) == 0 && ask.Contains(stun.AttrMessageIntegrity) {
				given.Store(ask.TransactionID, true)
			}
			return stun.MustBuild(ask, stun.NewType(stun.MethodRefresh, stun.ClassSuccessResponse), stun.Fingerprint).Raw
		case !answer(ask):
			return nil
		}
		return stun.MustBuild(ask, stun.NewType(stun.MethodAllocate, stun.ClassErrorResponse), stun.CodeUnauthorized,
			stun.NewRealm("r"), stun.NewNonce("n"), stun.Fingerprint).Raw
	})
	return at, func() (n int) {
		given.Range(func(any, any) bool { n++; return true })
		return n
	}
}

// TestTallyLeft holds which packets an interruption leaves open: those that may yet come back.
func TestTallyLeft(t *testing.T) {
	at := func(d time.Duration) timing.Instant { return timing.Instant(0).Add(d) }
	second := time.Second
	for name, c := range map[string]struct {
		sent, left int
		back       map[int]time.Duration // Round trips, by packet; one leaves each second.
		now        time.Duration
		open       int
		loss       float64
	}{
		"nothing sent":             {8, 0, nil, 0, 0, 0},
		"none back yet":            {3, 3, nil, 3 * second, 3, 0},
		"none back for long":       {3, 3, nil, 60 * second, 0, 100},
		"quick path":               {4, 4, map[int]time.Duration{0: 1e6, 1: 1e6}, 3*second + 100e6, 1, 100. / 3},
		"slow path":                {4, 4, map[int]time.Duration{0: second, 1: second}, 4*second + 100e6, 2, 0},
		"what has not left is not": {10, 2, map[int]time.Duration{0: 1e6, 1: 1e6}, 1100e6, 0, 0},
	} {
		var q tally
		for i := range c.sent {
			q.sent(at(time.Duration(i) * second))
		}
		for i, rtt := range c.back {
			q.received(i, at(time.Duration(i)*second+rtt))
		}
		q.withdraw(c.left)
		q.leave(at(c.now), 5*second)
		if s := q.series("binding", "clock"); s.Sent != c.left || s.Open != c.open || s.LossPercent != c.loss {
			t.Errorf("%s: %+v", name, *s)
		}
	}
}
