package timing_test

import (
	"math"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// rfc8489 is RFC 8489 section 6.2.1's own example, in milliseconds.
var rfc8489 = []int64{0, 500, 1500, 3500, 7500, 15500, 31500}

const rfc8489Failure = 39500 * time.Millisecond

// transaction drives a schedule on a clock as its users do.
type transaction struct {
	clock timing.Clock
	send  func()

	mu       sync.Mutex
	schedule *timing.Retransmission
	timer    timing.Timer
	// seen is when it sent, and last when it failed.
	seen []timing.Instant
}

func startTransaction(clock timing.Clock, send func()) *transaction {
	tr := &transaction{clock: clock, send: send, schedule: timing.NewRetransmission(clock.Now(), 0, 0, 0)}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.timer = clock.At(tr.schedule.Due(), tr.step)
	return tr
}

func (tr *transaction) step() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	now := tr.clock.Now()
	what := tr.schedule.Step(now)
	if what != timing.RetransmitWait {
		tr.seen = append(tr.seen, now)
	}
	if what == timing.RetransmitSend {
		tr.send()
	}
	if what != timing.RetransmitFail {
		tr.timer.ResetAt(tr.schedule.Due())
	}
}

func (tr *transaction) steps() []timing.Instant {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.seen)
}

// TestSTUNTransactionSchedule drives a transaction against a silent server on a network in memory.
func TestSTUNTransactionSchedule(t *testing.T) {
	schedule := timingtest.NewSchedule("our STUN transaction", "RFC 8489 section 6.2.1", "request", rfc8489, rfc8489)
	run := func(t *testing.T, s timingtest.Subject) {
		network := timingtest.NewNetwork(s.Clock, timingtest.Deliver)
		defer network.Close()
		client, err := network.Listen(netip.MustParseAddrPort("192.0.2.1:0"))
		if err != nil {
			t.Fatal(err)
		}
		start := s.Clock.Now()
		tr := startTransaction(s.Clock, func() {
			if _, err := client.WriteToAddrPort([]byte("request"), netip.MustParseAddrPort("192.0.2.2:3478")); err != nil {
				t.Error(err)
			}
		})
		s.Pass(2 * rfc8489Failure)
		schedule.Then("failure", rfc8489Failure, rfc8489Failure).Check(t, start, tr.steps())
		schedule.Check(t, start, timingtest.Instants(network.Sent()))
	}
	t.Run("manual", func(t *testing.T) { run(t, timingtest.Virtual(timingtest.NewManual())) })
	t.Run("bubble", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { run(t, timingtest.Real(timing.Runtime{})) })
	})
}

func TestRetransmissionSteps(t *testing.T) {
	r := timing.NewRetransmission(1000, 0, 0, 0)
	if got := r.Step(999); got != timing.RetransmitWait || r.Sent() != 0 || r.Due() != 1000 {
		t.Errorf("before the start: %v, %d sent, due at %d", got, r.Sent(), r.Due())
	}
	if got := r.Step(1000); got != timing.RetransmitSend {
		t.Errorf("at the start: %v", got)
	}
	if rtt, ok := r.RoundTrip(1300); rtt != 300 || !ok {
		t.Errorf("a response to the first request: %v, %v", rtt, ok)
	}
	r.Step(r.Due())
	if _, ok := r.RoundTrip(r.Due()); ok {
		t.Error("a response after a retransmission counts as a measurement")
	}
}

// TestRetransmissionAfterStalls holds that little lateness does not add up, that much moves the rest and that nothing
// is made up for.
func TestRetransmissionAfterStalls(t *testing.T) {
	const ms = timing.Instant(time.Millisecond)
	r := timing.NewRetransmission(0, 0, 0, 0)
	for _, c := range []struct {
		now, due timing.Instant
	}{
		{0, 500 * ms},
		{550 * ms, 1500 * ms},
		{1501 * ms, 3500 * ms},
		{30_000 * ms, 34_000 * ms},
		{34_000 * ms, 42_000 * ms},
	} {
		if got := r.Step(c.now); got != timing.RetransmitSend || r.Due() != c.due {
			t.Errorf("at %v: %v, then due at %v, want %v", time.Duration(c.now), got, time.Duration(r.Due()), time.Duration(c.due))
		}
		if got := r.Step(c.now); got != timing.RetransmitWait {
			t.Errorf("again at %v: %v, want wait", time.Duration(c.now), got)
		}
	}
}

func TestRetransmissionSaturates(t *testing.T) {
	r := timing.NewRetransmission(0, math.MaxInt64/3, 70, math.MaxInt)
	for range 70 {
		before := r.Due()
		if got := r.Step(before); got != timing.RetransmitSend || r.Due() < before {
			t.Fatalf("at %d: %v, then due at %d", before, got, r.Due())
		}
	}
	if r.Due() != timing.Never {
		t.Errorf("due at %d, want never", r.Due())
	}
}

// FuzzRetransmission walks a schedule by arbitrary jumps of the clock.
func FuzzRetransmission(f *testing.F) {
	f.Add(int64(500), 7, 16, []byte{0, 1, 2, 3, 255, 255, 255})
	f.Add(int64(1), 1, 1, []byte{9})
	f.Fuzz(func(t *testing.T, rtoMS int64, rc, rm int, jumps []byte) {
		rto := time.Duration(rtoMS%1_000_000) * time.Millisecond
		rc, rm = rc%100, rm%100
		r := timing.NewRetransmission(0, rto, rc, rm)
		if rto <= 0 {
			rto = timing.DefaultRTO
		}
		if rc <= 0 {
			rc = timing.DefaultRc
		}
		if rm <= 0 {
			rm = timing.DefaultRm
		}
		var now, last timing.Instant
		least := rto - rto/10
		for i := 0; r.Step(now) != timing.RetransmitFail; i++ {
			if r.Sent() == 0 || r.Due() <= now {
				t.Fatalf("at %v: %d sent, next step at %v", now, r.Sent(), r.Due())
			}
			if r.Sent() > rc {
				t.Fatalf("%d requests, want at most %d", r.Sent(), rc)
			}
			jump := time.Duration(0)
			if i < len(jumps) {
				jump = time.Duration(jumps[i]) * rto / 64
			}
			last, now = now, max(now, r.Due()).Add(jump)
			if now == timing.Never {
				return
			}
			if r.Sent() < rc && now.Sub(last) < least {
				t.Fatalf("requests %v apart, want at least %v", now.Sub(last), least)
			}
			least = max(least, least*2)
		}
		if r.Sent() != rc || now.Sub(last) < time.Duration(rm)*rto-rto/10 {
			t.Fatalf("failed %v after request %d of %d", now.Sub(last), r.Sent(), rc)
		}
	})
}
