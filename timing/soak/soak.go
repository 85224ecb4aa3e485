// Package soak arms, stops and re-arms timers of a clock at random and counts those that are lost. `tourbillon bench
// timers --soak` runs it for minutes, the tests of package timing for seconds.
package soak

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tourbillon/timing"
)

const (
	workers, timersEach = 4, 50
	// span is how far ahead most deadlines are, far how much further one in ten: beyond the engine's own backstops.
	span, far = 3 * time.Millisecond, 2 * time.Second
	// busy is how long a worker keeps its processor now and then.
	busy = 3 * time.Millisecond
	// patience is how long callbacks that were claimed may take to run at the end.
	patience = 10 * time.Second
)

// Tally is what became of the armings. Each has to end in exactly one way: Fired, or Stopped (also by being armed anew
// before it fired).
type Tally struct {
	Armed, Fired, Stopped int64
}

// Lost is the number of armings that ended in no way; below zero, that ended in two.
func (t Tally) Lost() int64 { return t.Armed - t.Fired - t.Stopped }

func (t Tally) String() string {
	return fmt.Sprintf("%d armed, %d fired, %d stopped or re-armed, %d lost", t.Armed, t.Fired, t.Stopped, t.Lost())
}

type soak struct {
	clock                 timing.Clock
	armed, fired, stopped atomic.Int64
}

// Run soaks a clock for a duration and blocks for that long, and up to ten seconds more for callbacks on their way. It
// keeps all processors busy.
func Run(clock timing.Clock, duration time.Duration) Tally {
	s := &soak{clock: clock}
	var working sync.WaitGroup
	end := clock.Now().Add(duration)
	for w := range workers {
		working.Go(func() { s.work(uint64(w), end) })
	}
	working.Wait()
	s.settle()
	return s.tally()
}

func (s *soak) tally() Tally {
	return Tally{Armed: s.armed.Load(), Fired: s.fired.Load(), Stopped: s.stopped.Load()}
}

// settle waits for the callbacks that have been claimed.
func (s *soak) settle() {
	done := make(chan struct{})
	end := s.clock.Now().Add(patience)
	var check timing.Timer
	var checking sync.Mutex
	checking.Lock()
	check = timing.Runtime{}.AfterFunc(0, func() {
		checking.Lock()
		defer checking.Unlock()
		if s.tally().Lost() <= 0 || s.clock.Now() > end {
			close(done)
			return
		}
		check.Reset(time.Millisecond)
	})
	checking.Unlock()
	<-done
}

func (s *soak) work(seed uint64, end timing.Instant) {
	random := rand.New(rand.NewPCG(1, seed))
	timers := make([]timing.Timer, timersEach)
	for i := range timers {
		timers[i] = s.timer(seed%2 == 1)
	}
	for s.clock.Now() < end {
		s.step(timers[random.IntN(timersEach)], random)
		if random.IntN(1000) == 0 {
			spin(s.clock, busy)
		}
	}
	for _, t := range timers {
		s.ended(t.Stop())
	}
}

func spin(clock timing.Clock, d time.Duration) {
	for end := clock.Now().Add(d); clock.Now() < end; {
	}
}

// timer makes a timer that is not armed. Only its worker arms it.
func (s *soak) timer(inline bool) timing.Timer {
	clock := s.clock
	if inline {
		clock = timing.Inline(clock)
	}
	t := clock.At(timing.Never, func() { s.fired.Add(1) })
	t.Stop()
	return t
}

func (s *soak) step(t timing.Timer, random *rand.Rand) {
	if random.IntN(3) == 0 {
		s.ended(t.Stop())
		return
	}
	d := time.Duration(random.Int64N(int64(span)))
	if random.IntN(10) == 0 {
		d += far
	}
	s.armed.Add(1)
	s.ended(t.Reset(d))
}

func (s *soak) ended(wasArmed bool) {
	if wasArmed {
		s.stopped.Add(1)
	}
}
