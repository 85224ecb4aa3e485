package timing

import (
	"sync/atomic"
	"testing"
	"time"
)

// testPatience bounds waiting for what must happen; reaching it is a failure.
const testPatience = time.Minute

// silentWaker wakes only when the test says so: what fires beside it fires by package time. It notes what it was told.
type silentWaker struct {
	told, arms atomic.Int64
	onArm      func(at Instant)
	// wakes has a waiting watcher look whether its time has passed; asks only finds out that it waits.
	wakes, asks, closed chan struct{}
}

func newSilentWaker() *silentWaker {
	return &silentWaker{wakes: make(chan struct{}), asks: make(chan struct{}), closed: make(chan struct{})}
}

func (w *silentWaker) arm(at Instant) {
	w.told.Store(int64(at))
	w.arms.Add(1)
	if w.onArm != nil {
		w.onArm(at)
	}
}

func (w *silentWaker) wait(passed func() bool) bool {
	for {
		select {
		case <-w.wakes:
			if passed() {
				return true
			}
		case <-w.asks:
		case <-w.closed:
			return false
		}
	}
}

func (w *silentWaker) close()         { close(w.closed) }
func (w *silentWaker) policy() string { return "silent" }

// wake wakes the watcher, once it waits.
func (w *silentWaker) wake(t *testing.T) {
	t.Helper()
	meetWatcher(t, w.wakes)
}

// rests returns once the watcher waits.
func (w *silentWaker) rests(t *testing.T) {
	t.Helper()
	meetWatcher(t, w.asks)
}

func meetWatcher(t *testing.T, at chan<- struct{}) {
	t.Helper()
	limit := time.NewTimer(testPatience)
	defer limit.Stop()
	select {
	case at <- struct{}{}:
	case <-limit.C:
		t.Fatal("no watcher waits for the waker")
	}
}

// noBackstops is a value for nearby with which no timer gets a backstop.
const noBackstops = -time.Hour

// startSilent returns an engine whose watcher waits.
func startSilent(t *testing.T, nearby time.Duration) (*Engine, *silentWaker) {
	t.Helper()
	w := newSilentWaker()
	e := startEngine(w, nearby)
	t.Cleanup(func() { _ = e.Close() })
	w.rests(t)
	return e, w
}

func startWatched(t *testing.T, nearby time.Duration) *Engine {
	t.Helper()
	w, err := newWaker()
	if err != nil {
		t.Fatal(err)
	}
	e := startEngine(w, nearby)
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func openWatched(t *testing.T) *Engine { return startWatched(t, nearby) }

// own arms a timer at an instant.
func (e *Engine) own(at Instant, f func()) *engineTimer { return e.At(at, f).(*engineTimer) }

// deaf arms a timer whose backstop does nothing: only the watcher and the chain fire it.
func (e *Engine) deaf(at Instant, f func()) *engineTimer {
	t := engineView{Engine: e}.timer(f)
	t.backstop.timer.Store(time.AfterFunc(time.Duration(Never), func() {}))
	t.ResetAt(at)
	return t
}

// occupy has the watcher run a callback that blocks until release, and returns since when.
func (w *silentWaker) occupy(t *testing.T, e *Engine) (since int64, release func()) {
	t.Helper()
	began, released := make(chan struct{}), make(chan struct{})
	e.deaf(e.Now(), func() {
		close(began)
		<-released
	})
	w.wake(t)
	awaitFiring(t, "the callback that blocks", began)
	return e.post.since.Load(), func() { close(released) }
}

// fires arms a timer and waits for it.
func (e *Engine) fires(t *testing.T, what string, d time.Duration) {
	t.Helper()
	fired := make(chan struct{})
	e.AfterFunc(d, func() { close(fired) })
	awaitFiring(t, what, fired)
}

func awaitFiring(t *testing.T, what string, fired <-chan struct{}) {
	t.Helper()
	limit := time.NewTimer(testPatience)
	defer limit.Stop()
	select {
	case <-fired:
	case <-limit.C:
		t.Fatalf("%s did not fire", what)
	}
}

// await looks at a condition until it holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := monotonicNow().Add(testPatience); !holds(); <-look.C {
		if monotonicNow() > end {
			t.Fatalf("in vain: %s", what)
		}
	}
}
