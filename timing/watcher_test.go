package timing

import (
	"runtime"
	"testing"
	"time"
)

func openWatched(t *testing.T) *Engine {
	t.Helper()
	e, err := NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// fires arms a timer and waits for it.
func (e *Engine) fires(t *testing.T, what string, d time.Duration) {
	t.Helper()
	fired := make(chan struct{})
	e.AfterFunc(d, func() { close(fired) })
	awaitFiring(t, what, fired)
}

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

// TestStoppedTimersLeaveTheQueue holds that timers which are stopped long before their deadline do not pile up.
func TestStoppedTimersLeaveTheQueue(t *testing.T) {
	e := openWatched(t)
	const live, stopped = 100, 50_000
	for range live {
		e.AfterFunc(time.Hour, func() {})
	}
	most := 0
	for range stopped {
		e.AfterFunc(time.Minute, func() {}).Stop()
		most = max(most, cap(e.near.timers), cap(e.far.timers))
	}
	if most > 16*live {
		t.Errorf("%d places for %d timers, after %d were stopped", most, live, stopped)
	}
}
