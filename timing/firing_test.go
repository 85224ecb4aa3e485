package timing

import (
	"testing"
	"time"
)

// TestOverdueTimersAllBegin has one waker begin several timers, each of which blocks.
func TestOverdueTimersAllBegin(t *testing.T) {
	for waker, fire := range map[string]func(*Engine, *silentWaker){
		"a backstop":     func(e *Engine, _ *silentWaker) { e.AfterFunc(0, func() {}) },
		"a late watcher": func(_ *Engine, w *silentWaker) { w.wake(t) },
	} {
		e, w := startSilent(t, time.Hour)
		begun, release := make(chan struct{}), make(chan struct{})
		defer close(release)
		const overdue = 5
		for range overdue {
			e.deaf(e.Now().Add(-time.Second), func() {
				begun <- struct{}{}
				<-release
			})
		}
		fire(e, w)
		for range overdue {
			awaitFiring(t, "each overdue timer by "+waker, begun)
		}
	}
}

func TestPromotionsFollowEachOther(t *testing.T) {
	e, _ := startSilent(t, time.Millisecond)
	for range 3 {
		e.fires(t, "a far timer after another", 5*time.Millisecond)
	}
}

// TestPromotionGoesOnBehindAStoppedTimer has the promoter come for a timer that was stopped.
func TestPromotionGoesOnBehindAStoppedTimer(t *testing.T) {
	e, _ := startSilent(t, time.Millisecond)
	stopped := e.AfterFunc(10*time.Millisecond, func() {})
	fired := make(chan struct{})
	e.AfterFunc(20*time.Millisecond, func() { close(fired) })
	stopped.Stop()
	awaitFiring(t, "a far timer behind one that was stopped", fired)
}

func TestPromotionComesAgainWhereTheQueuesAreTaken(t *testing.T) {
	e, _ := startSilent(t, time.Millisecond)
	fired := make(chan struct{})
	e.AfterFunc(20*time.Millisecond, func() { close(fired) })
	e.mu.Lock()
	e.promoter.Stop() // As if this were its firing.
	e.promote()
	e.mu.Unlock()
	awaitFiring(t, "a far timer", fired)
}

func TestPromotedTimerStaysQueued(t *testing.T) {
	e, _ := startSilent(t, time.Minute)
	at := e.Now().Add(time.Minute + 2*time.Second)
	timer := e.own(at, func() {})
	if timer.backstop.timer.Load() != nil {
		t.Fatal("a far timer has a backstop")
	}
	e.promote()
	if !timer.backstop.backs(at, e.Now()) {
		t.Error("no backstop comes in time for a timer that came near")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.near.first() != timer || e.upcoming() != at {
		t.Error("a timer that came near is in no queue")
	}
}

// TestHolderPromotesForOthers arms a far timer while the queues are taken.
func TestHolderPromotesForOthers(t *testing.T) {
	for holder, work := range map[string]func(*Engine){
		"the watcher": func(e *Engine) { e.claimDue() },
		"the chain":   func(e *Engine) { e.follow(e.Now()) },
	} {
		e, _ := startSilent(t, time.Minute)
		at := e.Now().Add(time.Hour)
		e.mu.Lock()
		e.At(at, func() {})
		e.mu.Unlock()
		work(e)
		if told := Instant(e.promotion.at.Load()); told != at.Add(-time.Minute) {
			t.Errorf("%s has the promoter come at %d, want a minute before %d", holder, told, at)
		}
	}
}

// TestStaleHeadsAreMoved holds that a deadline which was called off is not kept for the earliest.
func TestStaleHeadsAreMoved(t *testing.T) {
	for which, nearby := range map[string]time.Duration{"near": 4 * time.Hour, "far": time.Minute} {
		for what, change := range map[string]func(Timer){
			"stopped":     func(head Timer) { head.Stop() },
			"moved later": func(head Timer) { head.Reset(3 * time.Hour) },
		} {
			e, _ := startSilent(t, nearby)
			head := e.AfterFunc(time.Hour, func() {})
			next := e.Now().Add(2 * time.Hour)
			e.At(next, func() {})
			change(head)
			e.tidy()
			if e.upcoming() != next {
				t.Errorf("the earliest of the %s timers is %v too early after it was %s", which, next.Sub(e.upcoming()), what)
			}
		}
	}
}
