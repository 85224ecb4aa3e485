package bench

import (
	"context"
	"flag"
	"sync"
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/rounds"
	"tourbillon/timing/stdtime"
)

// clockFlag chooses the process clock of the benchmarks.
var clockFlag = flag.String("clock", "hrtimer", "process clock of the benchmarks: hrtimer or runtime")

// BenchmarkConnect is one connection from making to closing; with -cpuprofile it shows where a difference comes from:
//
//	go test ./signaling/agent/bench -run - -bench Connect -cpuprofile FILE -args -clock runtime
func BenchmarkConnect(b *testing.B) {
	clock := openProcessClock(b)
	before := rounds.CPUTime()
	for b.Loop() {
		if _, err := connectOnce(b.Context(), clock); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rounds.CPUTime()-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkThroughput is a million bytes over an open data channel.
func BenchmarkThroughput(b *testing.B) {
	clock := openProcessClock(b)
	p, err := newPair()
	if err != nil {
		b.Fatal(err)
	}
	defer p.close()
	if _, err := p.connect(b.Context(), clock); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	sent := make(chan error, 1)
	go func() { sent <- p.send(ctx) }()
	b.SetBytes(1e6)
	before := rounds.CPUTime()
	for wanted := int64(0); b.Loop(); wanted += 1e6 {
		for p.received.Load() < wanted {
			_ = p.wait(ctx, clock, 20*time.Millisecond) // Seldom enough to leave no mark.
		}
	}
	b.ReportMetric(float64(rounds.CPUTime()-before)/float64(b.N), "cpu-ns/op")
	stop()
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
}

// processClock is opened once in the process: a closed connection leaves timers armed for a while, so that the clock must
// not be closed or swapped.
var processClock = sync.OnceValues(func() (timing.Clock, error) {
	var clock timing.Clock = timing.Runtime{}
	if *clockFlag == "hrtimer" {
		engine, err := timing.NewEngine()
		if err != nil {
			return nil, err
		}
		clock = engine
	}
	return clock, stdtime.Use(clock, timing.NewMeter(clock, nil))
})

func openProcessClock(b *testing.B) timing.Clock {
	b.Helper()
	clock, err := processClock()
	if err != nil {
		b.Fatal(err)
	}
	return clock
}
