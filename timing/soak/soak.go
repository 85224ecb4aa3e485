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
	// patience is how late a timer may be before it counts as lost.
	patience = 10 * time.Second
	// look is how often the end is looked for.
	look = 10 * time.Millisecond
)

// Tally is what became of the armings. Each has to end in exactly one way: Fired, or Stopped (also by being armed anew
// before it fired).
type Tally struct {
	Armed, Fired, Stopped int64
	// Overdue counts those that Stop or a new arming still found armed ten seconds after their deadline.
	Overdue int64
}

// Lost is the number of armings that did not end, or far too late; below zero, that ended in two ways.
func (t Tally) Lost() int64 { return t.Armed - t.Fired - t.Stopped + t.Overdue }

func (t Tally) String() string {
	return fmt.Sprintf("%d armed, %d fired, %d stopped or re-armed, %d lost", t.Armed, t.Fired, t.Stopped, t.Lost())
}

type soak struct {
	clock                          timing.Clock
	patience                       time.Duration
	armed, fired, stopped, overdue atomic.Int64
}

// Run soaks a clock for a duration and blocks for that long, and then until every deadline has passed and its callback
// has run, twelve seconds at the most. It keeps all processors busy.
func Run(clock timing.Clock, duration time.Duration) Tally { return run(clock, duration, patience) }

func run(clock timing.Clock, duration, patience time.Duration) Tally {
	s := &soak{clock: clock, patience: patience}
	var working sync.WaitGroup
	end := clock.Now().Add(duration)
	for w := range workers {
		working.Go(func() { s.work(uint64(w), end) })
	}
	working.Wait()
	s.settle(end.Add(span + far + patience))
	return s.tally()
}

func (s *soak) tally() Tally {
	return Tally{Armed: s.armed.Load(), Fired: s.fired.Load(), Stopped: s.stopped.Load(), Overdue: s.overdue.Load()}
}

// settle waits until all armings have ended, or until the last moment. It trusts no timer of the clock.
func (s *soak) settle(until timing.Instant) {
	settled := make(chan struct{})
	var once sync.Once
	clock := timing.Runtime{}
	looking := timing.Every(clock, clock.Now(), look, func(timing.Tick) {
		if s.tally().Lost() <= 0 || s.clock.Now() >= until {
			once.Do(func() { close(settled) })
		}
	})
	<-settled
	looking.StopAndWait()
}

func (s *soak) work(seed uint64, end timing.Instant) {
	random := rand.New(rand.NewPCG(1, seed))
	timers := make([]*soaked, timersEach)
	for i := range timers {
		timers[i] = s.timer(seed%2 == 1)
	}
	for s.clock.Now() < end {
		s.step(timers[random.IntN(timersEach)], random)
		if random.IntN(1000) == 0 {
			spin(s.clock, busy)
		}
	}
}

func spin(clock timing.Clock, d time.Duration) {
	for end := clock.Now().Add(d); clock.Now() < end; {
	}
}

// soaked is one timer with its last deadline. Only its worker arms it.
type soaked struct {
	timing.Timer
	due timing.Instant
}

// timer makes a timer that is not armed.
func (s *soak) timer(inline bool) *soaked {
	clock := s.clock
	if inline {
		clock = timing.Inline(clock)
	}
	t := &soaked{Timer: clock.At(timing.Never, func() { s.fired.Add(1) })}
	t.Stop()
	return t
}

func (s *soak) step(t *soaked, random *rand.Rand) {
	now := s.clock.Now()
	if random.IntN(3) == 0 {
		s.ended(t, now, t.Stop())
		return
	}
	d := time.Duration(random.Int64N(int64(span)))
	if random.IntN(10) == 0 {
		d += far
	}
	s.armed.Add(1)
	s.ended(t, now, t.ResetAt(now.Add(d)))
	t.due = now.Add(d)
}

func (s *soak) ended(t *soaked, now timing.Instant, wasArmed bool) {
	if !wasArmed {
		return
	}
	s.stopped.Add(1)
	if now.Sub(t.due) > s.patience {
		s.overdue.Add(1)
	}
}
