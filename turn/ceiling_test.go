package turn

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tourbillon/timing"
)

func TestTakeAt(t *testing.T) {
	for name, row := range map[string]struct {
		full, now, cost, burst, next int64
		ok                           bool
	}{
		"full bucket":             {full: 0, now: 100, cost: 10, burst: 50, next: 110, ok: true},
		"within the burst":        {full: 140, now: 100, cost: 10, burst: 50, next: 150, ok: true},
		"over the burst":          {full: 141, now: 100, cost: 10, burst: 50, next: 141},
		"more than a bucket":      {full: 100, now: 100, cost: 90, burst: 50, next: 190, ok: true},
		"more than what is there": {full: 101, now: 100, cost: 90, burst: 50, next: 101},
		"an earlier instant":      {full: 500, now: 100, cost: 10, burst: 50, next: 500},
	} {
		if next, ok := takeAt(row.full, row.now, row.cost, row.burst); next != row.next || ok != row.ok {
			t.Errorf("%s: %d %v, want %d %v", name, next, ok, row.next, row.ok)
		}
	}
}

// FuzzTakeAt holds the bucket against its invariants: what is refused changes nothing, what is admitted costs exactly.
func FuzzTakeAt(f *testing.F) {
	f.Add(int64(0), int64(1), int64(2), int64(3))
	f.Fuzz(func(t *testing.T, full, now, cost, burst int64) {
		const within = int64(1)<<60 - 1 // Centuries of nanoseconds, and never negative.
		full, now, cost, burst = full&within, now&within, cost&within, burst&within
		next, ok := takeAt(full, now, cost, burst)
		if !ok && next != full || ok && next != max(full, now)+cost {
			t.Fatalf("takeAt(%d, %d, %d, %d) = %d, %v", full, now, cost, burst, next, ok)
		}
		if full <= now && !ok {
			t.Fatal("a full bucket refuses")
		}
	})
}

func TestCeilingHoldsItsRate(t *testing.T) {
	c := newCeiling(1000)
	passed, now := 0, timing.Instant(time.Hour)
	for range 10_000 { // Ten seconds of ten times the rate.
		if now = now.Add(time.Millisecond); c.admit(now, 10) {
			passed += 10
		}
	}
	if passed < 10_000 || passed > 10_250 {
		t.Errorf("%d units in ten seconds at 1000 a second and a quarter as burst", passed)
	}
	none := newCeiling(Unlimited)
	if !none.admit(0, 1<<40) {
		t.Error("no limit refuses")
	}
}

// TestFlowSharesOneServerCeiling drives two flows from several goroutines at one instant: together they get no more than
// the burst of the whole.
func TestFlowSharesOneServerCeiling(t *testing.T) {
	whole := newCeiling(4 << 20) // The burst is 1 MiB.
	flows := []*flow{newFlow(LimitsOff(), &whole), newFlow(LimitsOff(), &whole)}
	var passed atomic.Int64
	var running sync.WaitGroup
	for i := range 4 {
		running.Go(func() {
			for range 4096 {
				switch reason := flows[i%2].admit(timing.Instant(time.Hour), 1024); reason {
				case "":
					passed.Add(1024)
				case reasonServer:
				default:
					t.Errorf("refused for %q", reason)
				}
			}
		})
	}
	running.Wait()
	if n := passed.Load(); n > 1<<20 || n < 1<<20-4*shareBytes {
		t.Errorf("%d bytes passed a burst of %d", n, 1<<20)
	}
}

func TestFlowNamesItsCeiling(t *testing.T) {
	now := timing.Instant(time.Hour)
	limits := LimitsOff()
	limits.PacketsPerSecond = 40 // A burst of ten.
	f := newFlow(limits, nil)
	for i := range 11 {
		if reason := f.admit(now, 1); (reason == reasonPacketRate) != (i == 10) {
			t.Fatalf("packet %d: %q", i, reason)
		}
	}
	limits = LimitsOff()
	limits.PacketsPerSecond, limits.BytesPerSecond = 8, 4000
	f = newFlow(limits, nil)
	if reason := f.admit(now, 1000); reason != "" {
		t.Fatalf("the first: %q", reason)
	}
	for range 3 { // A refusal by bytes takes no packet.
		if reason := f.admit(now, 1); reason != reasonBandwidth {
			t.Fatalf("beyond the bytes: %q", reason)
		}
	}
	if n := testing.AllocsPerRun(100, func() { f.admit(now, 1) }); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
}
