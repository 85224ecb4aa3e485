package timing_test

import (
	"flag"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// soak is how long TestSoak runs: `go test -run Soak ./timing -soak 10m`.
var soak = flag.Duration("soak", 2*time.Second, "how long TestSoak runs")

// TestSoak arms, stops and re-arms timers at random from several goroutines, near and far, while others keep the
// processors busy now and then. Each arming has to end in exactly one way: fired, stopped, or re-armed before it fired.
func TestSoak(t *testing.T) {
	engine := openEngine(t)
	const workers, timersEach = 4, 50
	var armed, ended atomic.Int64
	end := engine.Now().Add(*soak)
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			timers := make([]*soaked, timersEach)
			for i := range timers {
				timers[i] = newSoaked(engine, w%2 == 1, &ended)
			}
			for engine.Now() < end {
				timers[random.IntN(timersEach)].step(random, &armed, &ended)
				if random.IntN(1000) == 0 {
					busyUntil := engine.Now().Add(3 * time.Millisecond)
					for engine.Now() < busyUntil {
					}
				}
			}
			for _, s := range timers {
				if s.timer.Stop() {
					ended.Add(1)
				}
			}
		})
	}
	working.Wait()
	subject := timingtest.Real(timing.Runtime{})
	for range 500 { // Callbacks that have been claimed are on their way.
		if ended.Load() == armed.Load() {
			break
		}
		subject.Pass(10 * time.Millisecond)
	}
	if ended.Load() != armed.Load() {
		t.Errorf("%d armings, %d ended", armed.Load(), ended.Load())
	}
	t.Logf("%d armings in %v", armed.Load(), *soak)
}

// soaked is one timer of the soak. Only its worker arms it.
type soaked struct {
	timer timing.Timer
}

func newSoaked(engine *timing.Engine, inline bool, ended *atomic.Int64) *soaked {
	s := &soaked{}
	var clock timing.Clock = engine
	if inline {
		clock = timing.Inline(engine)
	}
	s.timer = clock.At(timing.Never, func() {
		ended.Add(1)
	})
	s.timer.Stop()
	return s
}

func (s *soaked) step(random *rand.Rand, armed, ended *atomic.Int64) {
	if random.IntN(3) == 0 {
		if s.timer.Stop() {
			ended.Add(1)
		}
		return
	}
	d := time.Duration(random.IntN(3000)) * time.Microsecond
	if random.IntN(10) == 0 {
		d += 2 * time.Second // Far: beyond the backstops of their own.
	}
	armed.Add(1)
	if s.timer.Reset(d) {
		ended.Add(1)
	}
}
