package bench

import (
	"flag"
	"testing"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
)

// clockFlag chooses the process clock of the benchmarks, once, since a closed connection leaves timers armed for a while.
var clockFlag = flag.String("clock", "hrtimer", "process clock of the benchmarks: hrtimer or runtime")

// BenchmarkConnect is one connection from making to closing; with -cpuprofile it shows where a difference comes from:
//
//	go test ./signaling/agent/bench -run - -bench Connect -cpuprofile FILE -args -clock runtime
func BenchmarkConnect(b *testing.B) {
	var clock timing.Clock = timing.Runtime{}
	if *clockFlag == "hrtimer" {
		engine, err := timing.NewEngine()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = engine.Close() })
		clock = engine
	}
	if err := stdtime.Use(clock, timing.NewMeter(clock, nil)); err != nil {
		b.Fatal(err)
	}
	before := cpuTime()
	for b.Loop() {
		if _, err := connectOnce(b.Context(), clock); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}
