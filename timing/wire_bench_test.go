//go:build linux

package timing_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// BenchmarkWire sends 25 streams of a datagram each 20 ms from a wire and 25 from time.AfterFunc callbacks, at the same
// time and under the same load, and compares how late the receiver's kernel saw them. Run it with -benchtime 1x.
//
// These figures chose the default. 2-vCPU virtual machine, Linux 6.18 (HZ=250), Go 1.26.8, other work on the machine; µs
// late as p50 / p99, each the range of four runs, the clock's of one. The ratio is AfterFunc's p99 by the owner thread's.
//
//	load        owner thread         sqpoll                        clock (package time)  ratio
//	idle        19–38 / 44–1322      13–28 / 39–310                554 / 2553            1.2–3.9
//	4 spinning  12–24 / 23–90        306–3595 / 10649–54792        25203 / 57496         1340–3664
//	collector   10–19 / 25–4345      10–983 / 3396–131677          2197 / 12345          7–810
//	50 pairs    10–16 / 19–6836      135–6452 / 11983–1012325      21908 / 2369855       56–10054
//	CPU, idle   11–17 % both arms    104–111 %                     12 %
//
// The polling thread is an ordinary one for the scheduler and spins 4 to 8 ms after each send, so at 25 streams it takes
// a whole CPU and is late whenever others want one.
//
// What did not help, in a sketch with 50 such streams queued 100 ms ahead (4 spinning; 50 pairs): an owner goroutine that
// comes back to Go for each refill (13 / 76659; 415309 / 1369450, starved of a processor), and submission by the thread
// that calls SendAt (12 / 3854; 102945 / 2579643: it is woken as an ordinary thread). An owner that stays in the kernel
// had 11 / 23 and 21 / 709918, the latter for want of refills: 50 pairs let the refilling goroutine run too seldom,
// which only queueing further ahead mends. IORING_SETUP_DEFER_TASKRUN and SINGLE_ISSUER are out: the one lets a timeout
// act only inside io_uring_enter, the other lets only the owner cancel. COOP_TASKRUN spares an interrupt of user code,
// of which the owner runs none.
func BenchmarkWire(b *testing.B) {
	for _, load := range wireLoads {
		for _, mode := range wireModes {
			b.Run(fmt.Sprintf("%s/%s", load.name, mode), func(b *testing.B) {
				for b.Loop() {
					compareWire(b, mode, load.start)
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

const (
	benchStreams = 25
	benchPeriod  = 20 * time.Millisecond
	benchTime    = 4 * time.Second
	// benchAhead is how far ahead the wire is filled.
	benchAhead = 2 * time.Second
)

type wireLoad struct {
	name  string
	start func(busy *sync.WaitGroup, stop *atomic.Bool)
}

var wireLoads = []wireLoad{
	{"idle", func(*sync.WaitGroup, *atomic.Bool) {}},
	{"4 spinning", func(busy *sync.WaitGroup, stop *atomic.Bool) {
		for range 4 {
			busy.Go(func() {
				for !stop.Load() {
				}
			})
		}
	}},
	{"collector", func(busy *sync.WaitGroup, stop *atomic.Bool) {
		for range 2 {
			busy.Go(func() {
				var kept [8]*benchTree
				for i := 0; !stop.Load(); i++ {
					kept[i%len(kept)] = growTree(14)
				}
			})
		}
	}},
	{"50 pairs", func(busy *sync.WaitGroup, stop *atomic.Bool) {
		for range 50 {
			jobs := make(chan struct{})
			busy.Go(func() {
				defer close(jobs)
				for !stop.Load() {
					jobs <- struct{}{}
				}
			})
			busy.Go(func() {
				for range jobs {
					for begun := time.Now(); time.Since(begun) < 100*time.Microsecond; {
					}
				}
			})
		}
	}},
}

type benchTree struct{ left, right *benchTree }

func growTree(depth int) *benchTree {
	if depth == 0 {
		return &benchTree{}
	}
	return &benchTree{growTree(depth - 1), growTree(depth - 1)}
}

func compareWire(b *testing.B, mode timing.WireMode, start func(*sync.WaitGroup, *atomic.Bool)) {
	w := timing.NewWire(timing.Runtime{}, timing.WireConfig{Mode: mode, Capacity: 4096})
	receiver := listenStamped(b)
	// What package time serves at the end of the run may come much later, and is what it is for.
	var busy, arms sync.WaitGroup
	var stop atomic.Bool
	start(&busy, &stop)
	begin := timing.Runtime{}.Now().Add(20 * time.Millisecond)
	usage, wall := processorTime(b), time.Now()
	arms.Go(func() { feedWire(b, openSocket(b, w), receiver, begin) })
	for i := range benchStreams {
		arms.Add(1)
		feedAfterFunc(b, receiver, benchDue(begin, i, 0), begin.Add(benchTime), arms.Done)
	}
	arms.Wait()
	cpu := float64(processorTime(b)-usage) / float64(time.Since(wall))
	stop.Store(true)
	busy.Wait()
	lateness := receiveLateness(b, receiver)
	if err := w.Close(); err != nil {
		b.Error(err)
	}
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"max", 1}} {
		wire, control := quantile(lateness["w"], q.at), quantile(lateness["a"], q.at)
		b.ReportMetric(float64(wire.Microseconds()), "µs-"+q.name)
		b.ReportMetric(float64(control)/float64(max(wire, 1)), "ratio-"+q.name)
	}
	b.ReportMetric(100*cpu, "%CPU")
	b.ReportMetric(float64(len(lateness["w"])), "wire")
	b.ReportMetric(float64(len(lateness["a"])), "control")
}

func benchDue(begin timing.Instant, stream, n int) timing.Instant {
	return begin.Add(time.Duration(stream)*benchPeriod/benchStreams + time.Duration(n)*benchPeriod)
}

// feedWire keeps the wire filled benchAhead.
func feedWire(b *testing.B, s *timing.WireSocket, receiver stampedReceiver, begin timing.Instant) {
	clock := timing.Runtime{}
	for n := 0; n < int(benchTime/benchPeriod); n++ {
		for i := range benchStreams {
			due := benchDue(begin, i, n)
			if _, err := s.SendAt(due, []byte(fmt.Sprintf("w%d", due)), receiver.to, nil); err != nil {
				b.Error(err)
			}
		}
		if ahead := benchDue(begin, 0, n).Sub(clock.Now()); ahead > benchAhead {
			timingtest.Real(clock).Pass(ahead - benchAhead)
		}
	}
	timingtest.Real(clock).Pass(benchDue(begin, 0, int(benchTime/benchPeriod)).Sub(clock.Now()))
}

// feedAfterFunc sends from callbacks of package time on the same grid, skipping what it misses.
func feedAfterFunc(b *testing.B, receiver stampedReceiver, due, end timing.Instant, ended func()) {
	clock := timing.Runtime{}
	clock.At(due, func() {
		if _, err := receiver.WriteToUDPAddrPort([]byte(fmt.Sprintf("a%d", due)), receiver.to); err != nil {
			b.Error(err)
		}
		next, _ := timing.NextOnGrid(due, benchPeriod, clock.Now())
		if next >= end {
			ended()
			return
		}
		feedAfterFunc(b, receiver, next, end, ended)
	})
}

// receiveLateness reads all that has arrived, by arm, in ascending order.
func receiveLateness(b *testing.B, receiver stampedReceiver) map[string][]time.Duration {
	if err := receiver.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		b.Fatal(err)
	}
	lateness := make(map[string][]time.Duration)
	for {
		data, at, err := receiver.receive()
		if err != nil {
			break
		}
		var due timing.Instant
		if _, err := fmt.Sscan(data[1:], &due); err != nil {
			b.Fatal(err)
		}
		lateness[data[:1]] = append(lateness[data[:1]], at.Sub(due))
	}
	for _, arm := range lateness {
		slices.Sort(arm)
	}
	return lateness
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}

// processorTime is the CPU time that the process has used, its kernel threads included.
func processorTime(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
