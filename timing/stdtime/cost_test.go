package stdtime_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
	"tourbillon/timing/timingtest"
)

// near and far are a retransmission's and a lifetime's length: the engine serves them differently.
const (
	near = 500 * time.Millisecond
	far  = 10 * time.Minute
)

// operation is one way to use a timer, in package time and here.
type operation struct {
	name         string
	theirs, ours func(d time.Duration)
}

func nothing() {}

func operations() []operation {
	theirTimer, ourTimer := time.NewTimer(far), stdtime.NewTimer(far)
	theirFunc, ourFunc := time.AfterFunc(far, nothing), stdtime.AfterFunc(far, nothing)
	theirTicker, ourTicker := time.NewTicker(far), stdtime.NewTicker(far)
	return []operation{
		{"NewTimer", func(d time.Duration) { time.NewTimer(d).Stop() }, func(d time.Duration) { stdtime.NewTimer(d).Stop() }},
		{"AfterFunc", func(d time.Duration) { time.AfterFunc(d, nothing).Stop() }, func(d time.Duration) { stdtime.AfterFunc(d, nothing).Stop() }},
		{"NewTicker", func(d time.Duration) { time.NewTicker(d).Stop() }, func(d time.Duration) { stdtime.NewTicker(d).Stop() }},
		{"After", func(time.Duration) { <-time.After(0) }, func(time.Duration) { <-stdtime.After(0) }},
		{"TimerReset", func(d time.Duration) { theirTimer.Reset(d) }, func(d time.Duration) { ourTimer.Reset(d) }},
		{"TimerStopReset", func(d time.Duration) { theirTimer.Stop(); theirTimer.Reset(d) }, func(d time.Duration) { ourTimer.Stop(); ourTimer.Reset(d) }},
		{"FuncReset", func(d time.Duration) { theirFunc.Reset(d) }, func(d time.Duration) { ourFunc.Reset(d) }},
		{"TickerReset", func(d time.Duration) { theirTicker.Reset(d) }, func(d time.Duration) { ourTicker.Reset(d) }},
	}
}

// meteredEngine makes the engine the process clock as the appliance does.
func meteredEngine(t testing.TB) *timing.Engine {
	engine := openEngine(t)
	t.Cleanup(stdtime.SwapForTest(engine, timing.NewMeter(engine, nil)))
	return engine
}

// allocation is what one call allocates on average.
type allocation struct{ objects, bytes float64 }

// measured counts what n calls of f allocate, after the collector has emptied all pools.
func measured(n int, f func()) allocation {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.GC()
	runtime.GC()
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		f()
	}
	runtime.ReadMemStats(&after)
	return allocation{float64(after.Mallocs-before.Mallocs) / float64(n), float64(after.TotalAlloc-before.TotalAlloc) / float64(n)}
}

// TestCost holds a timer that is armed and stopped, or fires, to twice package time's allocation, and re-arming to none.
func TestCost(t *testing.T) {
	meteredEngine(t)
	for _, o := range operations() {
		for length, d := range map[string]time.Duration{"near": near, "far": far} {
			theirs, ours := measured(2000, func() { o.theirs(d) }), measured(2000, func() { o.ours(d) })
			if ours.objects > budget*theirs.objects+stray || ours.bytes > budget*theirs.bytes+stray*100 {
				t.Errorf("%s %s: %.2f allocations of %.0f bytes, package time %.2f of %.0f: want %g times that at most",
					o.name, length, ours.objects, ours.bytes, theirs.objects, theirs.bytes, budget)
			}
		}
	}
}

// TestCostWhileArmed weighs many timers that are armed at one time, when there is nothing to hand on. What is above
// twice package time's is the engine's: the backstop of a timer nearby, and the callbacks that each layer makes.
func TestCostWhileArmed(t *testing.T) {
	meteredEngine(t)
	const n = 2000
	theirs, ours := make([]*time.Timer, 0, 2*n), make([]*stdtime.Timer, 0, 2*n)
	cases := []struct {
		name           string
		d              time.Duration
		theirs         func(time.Duration) *time.Timer
		ours           func(time.Duration) *stdtime.Timer
		objects, bytes float64
	}{
		{"NewTimer far", far, time.NewTimer, stdtime.NewTimer, 2, 2},
		{"NewTimer near", near, time.NewTimer, stdtime.NewTimer, 3, 2},
		{"AfterFunc far", far, theirFunc, ourFunc, 4, 2},
		{"AfterFunc near", near, theirFunc, ourFunc, 6, 3.5},
	}
	const rounds = 5
	for round := range rounds {
		for _, c := range cases {
			a := measured(n, func() { theirs = append(theirs, c.theirs(c.d)) })
			b := measured(n, func() { ours = append(ours, c.ours(c.d)) })
			for _, timer := range theirs {
				timer.Stop()
			}
			for _, timer := range ours {
				timer.Stop()
			}
			theirs, ours = theirs[:0], ours[:0]
			if round < rounds-1 {
				continue // Earlier ones make room in the queues of both clocks.
			}
			if scale := budget / 2; b.objects > scale*c.objects*a.objects+0.1 || b.bytes > scale*c.bytes*a.bytes+10 {
				t.Errorf("%s: %.2f allocations of %.0f bytes, package time %.2f of %.0f: want %g and %g times that at most",
					c.name, b.objects, b.bytes, a.objects, a.bytes, scale*c.objects, scale*c.bytes)
			}
		}
	}
}

func theirFunc(d time.Duration) *time.Timer  { return time.AfterFunc(d, nothing) }
func ourFunc(d time.Duration) *stdtime.Timer { return stdtime.AfterFunc(d, nothing) }

// TestNoGoroutines holds that a timer has none of its own; the engine may start a few of its own meanwhile. What package
// time starts for timers of the tests before, which fire late on a machine that stood still, ends by itself: a goroutine
// of a timer would stay for as long as that is armed.
func TestNoGoroutines(t *testing.T) {
	meteredEngine(t)
	before := runtime.NumGoroutine()
	const each = 100
	for range each {
		defer stdtime.NewTimer(far).Stop()
		defer stdtime.AfterFunc(far, nothing).Stop()
		defer stdtime.NewTicker(far).Stop()
	}
	timingtest.Eventually(t, fmt.Sprintf("%d armed timers and %d goroutines need no more than %d of those", 3*each, before, each/2),
		func() bool { return runtime.NumGoroutine() <= before+each/2 })
}

func BenchmarkArm(b *testing.B) {
	meteredEngine(b)
	for _, o := range operations() {
		for _, length := range []struct {
			name string
			d    time.Duration
		}{{"near", near}, {"far", far}} {
			b.Run(o.name+"/"+length.name+"/time", func(b *testing.B) { benchmark(b, o.theirs, length.d) })
			b.Run(o.name+"/"+length.name+"/stdtime", func(b *testing.B) { benchmark(b, o.ours, length.d) })
		}
	}
}

func benchmark(b *testing.B, f func(time.Duration), d time.Duration) {
	b.ReportAllocs()
	for b.Loop() {
		f(d)
	}
}

// BenchmarkRatio reports what a call costs here as a ratio of package time's, the two by turns.
func BenchmarkRatio(b *testing.B) {
	meteredEngine(b)
	b.Run("Now", func(b *testing.B) { compare(b, func() { time.Now() }, func() { stdtime.Now() }) })
	for _, o := range operations() {
		b.Run(o.name+"/near", func(b *testing.B) { compare(b, func() { o.theirs(near) }, func() { o.ours(near) }) })
		b.Run(o.name+"/far", func(b *testing.B) { compare(b, func() { o.theirs(far) }, func() { o.ours(far) }) })
	}
}

// TestNowIsCheap holds Now near package time's, by a margin for the machine and none for the race detector.
func TestNowIsCheap(t *testing.T) {
	meteredEngine(t)
	var ratios []float64
	for range 500 {
		ratio, _ := ratio(func() { time.Now() }, func() { stdtime.Now() })
		ratios = append(ratios, ratio)
	}
	slices.Sort(ratios)
	if median := ratios[len(ratios)/2]; median > 0.75*budget {
		t.Errorf("Now costs %.2f times package time's, want 1.2 and a margin", median)
	}
}

func compare(b *testing.B, theirs, ours func()) {
	var ratios, costs []float64
	for b.Loop() {
		ratio, cost := ratio(theirs, ours)
		ratios, costs = append(ratios, ratio), append(costs, cost)
	}
	slices.Sort(ratios)
	slices.Sort(costs)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(costs[len(costs)/2], "ns/call")
}

// ratio takes a run so short that a busy machine seldom disturbs it, and what a call of ours took in nanoseconds; the
// median of many is steady.
func ratio(theirs, ours func()) (ratio, cost float64) {
	const calls = 50
	start := time.Now()
	for range calls {
		theirs()
	}
	middle := time.Now()
	for range calls {
		ours()
	}
	our := time.Since(middle)
	return float64(our) / float64(middle.Sub(start)), float64(our) / calls
}
