package timing

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// raceFor is how long the races without a meeting point are run.
const raceFor = 300 * time.Millisecond

// race runs trial again and again until it fails, while other runs beside it, and returns which one failed, or 0.
func race(trial func(i int) bool, other func()) (failed int) {
	var over atomic.Bool
	var beside sync.WaitGroup
	beside.Go(func() {
		for !over.Load() {
			other()
		}
	})
	defer beside.Wait()
	defer over.Store(true)
	for end := monotonicNow().Add(raceFor); monotonicNow() < end; {
		failed++
		if !trial(failed) {
			return failed
		}
	}
	return 0
}

// stagger takes a little time, another each trial, so that the racers meet in different places.
func stagger(i int) {
	for range i % 256 {
	}
}

// queued reports whether the timer is looked at in time for its deadline.
func (e *Engine) queued(timer *engineTimer) bool {
	inTime := func() bool { return timer.key.Load() <= timer.due.Load() || timer.listed.Load() }
	if inTime() {
		return true
	}
	e.mu.Lock() // Whoever is at the queues is to finish.
	defer e.tidy()
	defer e.mu.Unlock()
	return inTime()
}

// meet does something under the queues' lock, where the next removal takes long, and something else meanwhile.
func (e *Engine) meet(i int, locked, meanwhile func()) {
	var inside atomic.Bool
	left := make(chan struct{})
	go func() {
		defer close(left)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.far.timers = append(make([]*engineTimer, 0, 1<<15), e.far.timers...) // So many places to give back.
		inside.Store(true)
		locked()
	}()
	for !inside.Load() {
		runtime.Gosched()
	}
	stagger(i)
	meanwhile()
	<-left
}

const meetings = 100

// TestEarlierDeadlineIsSeen sets an earlier deadline while the timer is moved from its old place to a late one.
func TestEarlierDeadlineIsSeen(t *testing.T) {
	e, _ := startSilent(t, time.Minute)
	now := e.Now()
	for i := range meetings {
		timer := e.own(now.Add(10*time.Minute), func() {})
		timer.ResetAt(now.Add(time.Hour))                                           // The place stays.
		timer.backstop.timer.Store(time.AfterFunc(time.Duration(Never), func() {})) // It is to change the queue.
		e.meet(i, func() { e.placeLocked(timer) }, func() { timer.ResetAt(now.Add(30 * time.Minute)) })
		if !e.queued(timer) {
			t.Fatalf("trial %d lost an earlier deadline", i)
		}
		timer.Stop()
	}
}

// TestTimerArmedAgainStaysQueued arms a timer while it is taken out because it was stopped.
func TestTimerArmedAgainStaysQueued(t *testing.T) {
	e, _ := startSilent(t, time.Minute)
	now := e.Now()
	e.At(now.Add(2*time.Minute), func() {})
	for i := range meetings {
		timer := e.own(now.Add(time.Hour), func() {})
		timer.Stop()
		e.meet(i, func() { e.lookAroundLocked(&e.far) }, func() { timer.ResetAt(now.Add(time.Hour)) })
		if !e.queued(timer) {
			t.Fatalf("trial %d lost a timer", i)
		}
		timer.Stop()
	}
}

// TestSettlingLeavesAnArmedBackstop arms a timer while its backstop is settled.
func TestSettlingLeavesAnArmedBackstop(t *testing.T) {
	e, _ := startSilent(t, 2*time.Hour)
	timer := e.own(e.Now().Add(time.Hour), func() {})
	var settled atomic.Int64
	failed := race(func(i int) bool {
		timer.Stop()
		stagger(i)
		timer.Reset(time.Hour)
		if Instant(timer.backstop.at.Load()) != Never {
			return true
		}
		for until := settled.Load() + 2; settled.Load() < until; { // Being settled, perhaps.
			runtime.Gosched()
		}
		return Instant(timer.backstop.at.Load()) != Never
	}, func() {
		timer.settleBackstop()
		settled.Add(1)
	})
	if failed > 0 {
		t.Errorf("trial %d left an armed timer without its backstop", failed)
	}
}

// TestStopAfterClose stops a timer of a closed engine while a waker looks at it.
func TestStopAfterClose(t *testing.T) {
	e, _ := startSilent(t, noBackstops)
	timer := e.deaf(e.Now(), func() { t.Error("a timer fired after Close") })
	_ = e.Close()
	failed := race(func(i int) bool {
		timer.ResetAt(0)
		stagger(i)
		return timer.Stop()
	}, func() { timer.claim(Never) })
	if failed > 0 {
		t.Errorf("Stop of timer %d, which did not fire: false, want true", failed)
	}
}

// TestCloseIsBeforeOrAfterAClaim closes an engine while a waker claims a timer: what is armed after Close stays armed.
func TestCloseIsBeforeOrAfterAClaim(t *testing.T) {
	e := &Engine{}
	timer := engineView{Engine: e}.timer(func() {})
	var claimed, looks atomic.Int64
	failed := race(func(i int) bool {
		timer.due.Store(int64(disarmed))
		claimed.Store(0)
		e.closed.Store(false)
		timer.due.Store(1)
		stagger(i)
		e.closed.Store(true)
		armed := timer.armed()
		for until := looks.Load() + 2; looks.Load() < until; {
			runtime.Gosched()
		}
		fires := claimed.Load() == 1
		return fires != timer.armed() && !(armed && fires)
	}, func() {
		if _, ok := timer.claim(Never); ok {
			claimed.Add(1)
		}
		looks.Add(1)
	})
	if failed > 0 {
		t.Errorf("trial %d: a timer was lost, or fires after Close", failed)
	}
}

// TestHolderLooksAgain arms a timer while each of those who work at the queues is at it: none may leave it in the inbox.
func TestHolderLooksAgain(t *testing.T) {
	for who, work := range map[string]func(*Engine){
		"a producer":   func(e *Engine) { e.sweep() },
		"the watcher":  func(e *Engine) { e.claimDue() },
		"the chain":    func(e *Engine) { e.tidy() },
		"the promoter": func(e *Engine) { e.promote() },
	} {
		e, _ := startSilent(t, time.Minute)
		at := e.Now().Add(time.Hour)
		timers := make([]*engineTimer, 300) // So many that the holder stays for a while.
		for i := range timers {
			timers[i] = e.own(at, func() {})
		}
		last := e.own(at, func() {})
		for range 100 {
			at = at.Add(-time.Millisecond)
			e.mu.Lock()
			for _, timer := range timers {
				timer.ResetAt(at)
			}
			e.mu.Unlock()
			left := make(chan struct{})
			go func() {
				work(e)
				close(left)
			}()
			for e.inbox.Load() != nil {
				runtime.Gosched()
			}
			last.ResetAt(at)
			<-left
			if e.inbox.Load() != nil {
				t.Fatalf("%s left a timer in the inbox", who)
			}
		}
	}
}
