package timing

import (
	"runtime"
	"testing"
	"time"
)

func TestACallbackThatStaysLosesThePost(t *testing.T) {
	e := openWatched(t)
	release, began := make(chan struct{}), make(chan Instant, 1)
	// A machine that is late fires by a backstop instead, which has no post to lose: then it is tried again.
	for caught := false; !caught; {
		e.AfterFunc(2*time.Millisecond, func() {
			began <- Instant(e.post.since.Load())
			<-release
		})
		caught = <-began != free
	}
	defer close(release)
	held := e.post.since.Load()
	for e.post.since.Load() == held {
		e.fires(t, "a timer beside the callback", 2*InlineBudget)
	}
	e.fires(t, "a timer of the new watcher", time.Millisecond)
}

// TestKernelsWakerAloneFires has no other waker beside the kernel's.
func TestKernelsWakerAloneFires(t *testing.T) {
	e := startWatched(t, noBackstops)
	for range 20 {
		e.fires(t, "a timer by the kernel's waker", time.Millisecond)
	}
}

func TestWakesAreMetered(t *testing.T) {
	e := startWatched(t, noBackstops)
	told := make(chan time.Duration, 100)
	e.MeterWakes(func(late time.Duration, now Instant) {
		if now > e.Now() {
			t.Errorf("a wake at %v, which is yet to come", now)
		}
		told <- late
	})
	// A watcher that is still at its queues when the next timer is due fires that one without a wake.
	for n := 0; len(told) < 3; n++ {
		if n == cap(told) {
			t.Fatalf("%d wakes told after %d timers", len(told), n)
		}
		e.fires(t, "a timer by the kernel's waker", time.Millisecond)
	}
	for range len(told) {
		if late := <-told; late < 0 || late > testPatience {
			t.Errorf("a wake late by %v", late)
		}
	}
}

// TestTimersBesideABlockedCallback fires timers, near and far ones, with nothing else armed that could bring the post back.
func TestTimersBesideABlockedCallback(t *testing.T) {
	for which, nearby := range map[string]time.Duration{"a near timer": time.Hour, "a far timer": 2 * time.Millisecond} {
		e, w := startSilent(t, nearby)
		since, release := w.occupy(t, e)
		defer release()
		for range 3 {
			e.fires(t, which, 4*InlineBudget)
		}
		if e.post.since.Load() == since {
			t.Errorf("a blocked callback keeps the post while %s fires", which)
		}
		w.rests(t)
	}
}

func TestPromotionRelievesABlockedCallback(t *testing.T) {
	e, w := startSilent(t, time.Minute)
	since, release := w.occupy(t, e)
	defer release()
	await(t, "the callback to exceed its budget", func() bool { return e.Now().Sub(Instant(since)) > InlineBudget })
	e.promote()
	if e.post.since.Load() == since {
		t.Error("a blocked callback keeps the post")
	}
}

// TestCallbackArmsNoWaker arms timers, each earlier than the last, in a callback on the watcher.
func TestCallbackArmsNoWaker(t *testing.T) {
	e, w := startSilent(t, noBackstops)
	at := e.Now().Add(time.Hour)
	during := make(chan int64, 1)
	e.At(e.Now(), func() {
		before := w.arms.Load()
		for range 50 {
			at = at.Add(-time.Second)
			e.At(at, func() {})
		}
		during <- w.arms.Load() - before
	})
	w.wake(t)
	if arms := <-during; arms != 0 {
		t.Errorf("the waker was armed %d times during a callback", arms)
	}
	await(t, "the waker to be armed after the callback", func() bool { return Instant(w.told.Load()) == at })
	if arms := w.arms.Load(); arms != 2 {
		t.Errorf("the waker was armed %d times, want once before and once after the callback", arms)
	}
}

// TestWatcherLetsTheHolderWork keeps the queues' lock while a timer is due.
func TestWatcherLetsTheHolderWork(t *testing.T) {
	e, w := startSilent(t, noBackstops)
	at := e.Now()
	e.At(at, func() {})
	e.mu.Lock()
	defer e.mu.Unlock()
	w.wake(t)
	await(t, "the watcher to rest", func() bool { return w.arms.Load() > 1 })
	if told := Instant(w.told.Load()); told < at.Add(InlineBudget) {
		t.Errorf("the watcher looks again %v after the deadline, want a little later", told.Sub(at))
	}
}

func TestCallbackThatEndsItsGoroutineLeavesThePost(t *testing.T) {
	e, w := startSilent(t, noBackstops)
	e.At(e.Now(), runtime.Goexit)
	w.wake(t)
	w.rests(t)
	if e.post.since.Load() != free {
		t.Error("a callback that ended keeps the post")
	}
}

func TestCloseWaitsForTheWatcher(t *testing.T) {
	for range 20 {
		e, _ := startSilent(t, noBackstops)
		_ = e.Close()
		select {
		case <-e.post.ended:
		default:
			t.Fatal("the watcher outlives Close")
		}
	}
}

// TestNoTimerFiresAfterClose has each waker look at an overdue timer after Close, as one does that lost its processor.
func TestNoTimerFiresAfterClose(t *testing.T) {
	e, _ := startSilent(t, time.Hour)
	timer := e.deaf(e.Now(), func() { t.Error("a timer fired after Close") })
	_ = e.Close()
	timer.backstopFired()
	e.fireNext()
	if d := e.claimDue(); d.timer != nil {
		t.Error("a timer was claimed after Close")
	}
	if !timer.Stop() {
		t.Error("Stop of a timer that did not fire: false, want true")
	}
}

func TestACallbackMayEndItsGoroutine(t *testing.T) {
	e := openWatched(t)
	for range 20 {
		ended := make(chan struct{})
		e.AfterFunc(time.Millisecond, func() {
			defer close(ended)
			runtime.Goexit()
		})
		awaitFiring(t, "the callback that ends its goroutine", ended)
	}
	e.fires(t, "a timer after it", time.Millisecond)
	closed := make(chan struct{})
	go func() {
		_ = e.Close() // Waits for the present watcher.
		close(closed)
	}()
	awaitFiring(t, "Close", closed)
}

func TestCloseFromACallback(t *testing.T) {
	for _, view := range []func(*Engine) Clock{
		func(e *Engine) Clock { return e },
		func(e *Engine) Clock { return e.Inline() },
	} {
		e := openWatched(t)
		closed := make(chan struct{})
		view(e).AfterFunc(time.Millisecond, func() {
			_ = e.Close()
			close(closed)
		})
		awaitFiring(t, "Close from a callback", closed)
	}
}

func TestLongCallbacksGetGoroutines(t *testing.T) {
	timer := &engineTimer{}
	f := firing{timer: timer, began: 1}
	f.ended(f.began.Add(length))
	if timer.lengthy.Load() != 0 {
		t.Error("a callback within its length counts as long")
	}
	f = firing{timer: timer, began: 1}
	f.ended(f.began.Add(length + 1))
	if timer.lengthy.Load() != lengthyFor {
		t.Errorf("a long callback: %d goroutines to come, want %d", timer.lengthy.Load(), lengthyFor)
	}
	f.ended(Never)
	if timer.lengthy.Load() != lengthyFor || f.timer != nil {
		t.Error("a callback was judged twice")
	}
}

// TestStoppedTimersLeaveTheQueue holds that timers which are stopped long before their deadline do not pile up behind
// others.
func TestStoppedTimersLeaveTheQueue(t *testing.T) {
	for which, nearby := range map[string]time.Duration{"near": 2 * time.Hour, "far": time.Second} {
		e, _ := startSilent(t, nearby)
		const live, stopped = 100, 5_000
		for range live {
			e.AfterFunc(time.Minute, func() {})
		}
		for range stopped {
			e.AfterFunc(time.Hour, func() {}).Stop()
		}
		if places := e.near.len() + e.far.len(); places > 4*live {
			t.Errorf("%d places for %d timers, after %d %s ones were stopped", places, live, stopped, which)
		}
	}
}
