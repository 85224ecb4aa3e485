package timing

import (
	"sync/atomic"
	"time"
)

// post is the watcher's: one goroutine holds it at a time.
type post struct {
	// since is when the holder began to run what is due; free while it waits. Whoever swaps it back to free while
	// the holder runs a callback has taken the post away.
	since atomic.Int64
	// ended closes when the last holder has left.
	ended chan struct{}
}

const free = 0

// watcher holds the post of an engine, or has lost it.
type watcher struct {
	*Engine
	firing firing
	// began is what it set post.since to last.
	began Instant
}

// watch runs what is due at each wake of the kernel's waker, until the engine is closed or a callback stays so long that
// somebody takes the post away.
func (e *Engine) watch() {
	w := watcher{Engine: e}
	gone := true
	defer func() {
		if gone { // A callback ended the goroutine (runtime.Goexit).
			w.resign()
		}
	}()
	for w.fireDue() {
		if w.waker.wait(w.kernel.passed) {
			w.woken(w.kernel.hold())
		}
	}
	gone = false
}

// woken records how late the kernel's waker came. What a timer is later than that, callbacks before it have taken; what it
// is earlier, a quicker waker has given it.
func (e *Engine) woken(told Instant) {
	if record := e.wakes.Load(); record != nil {
		now := monotonicNow()
		(*record)(now.Sub(told), now)
	}
}

// resign gives the post to a new watcher, if the caller still holds it.
func (w *watcher) resign() {
	if w.leave() {
		go w.Engine.watch()
	}
}

// fireDue runs what is due, and reports whether the watcher is to go on.
//
// While it finds a processor at once the callbacks run one after another. When it comes late the program is busy, and
// what is due besides goes to the chain.
func (w *watcher) fireDue() (goOn bool) {
	for {
		w.began = monotonicNow()
		w.post.since.Store(int64(w.began))
		if w.closed.Load() { // Asked after setting since: close either is seen or sees it.
			if w.leave() {
				close(w.post.ended)
			}
			return false
		}
		d := w.claimDue()
		w.firing.ended(d.now)
		if d.timer == nil {
			w.rest(d)
			return w.leave()
		}
		if d.late > promptly {
			d.timer.settleBackstop()
			w.follow(d.now)
			d.timer.f()
		} else {
			w.firing.run(d.timer, d.now)
		}
		if !w.leave() {
			return false
		}
	}
}

// rest arms the kernel's waker before the watcher waits. Where another is at the queues it arms it for a little later: that
// one looks again, and arms it earlier where need be.
func (w *watcher) rest(d due) {
	wanted := w.upcoming
	if d.busy {
		wanted = func() Instant { return max(w.upcoming(), d.now.Add(InlineBudget)) }
	}
	w.kernel.resume(wanted)
}

// leave ends what began last; false when the post was taken away meanwhile.
func (w *watcher) leave() bool {
	return w.post.since.CompareAndSwap(int64(w.began), free)
}

// relieve takes the post away from a watcher whose callback exceeds the budget of inline ones, and gives it to a new
// one. It is asked by those who fire a timer that the watcher should have fired.
func (e *Engine) relieve(now Instant) {
	since := e.post.since.Load()
	if since == free || now.Sub(Instant(since)) <= InlineBudget || e.closed.Load() {
		return
	}
	if e.post.since.CompareAndSwap(since, free) {
		go e.watch()
	}
}

// awaitWatcher waits for the end of the watcher, unless it is in a callback: that one is not waited for.
func (e *Engine) awaitWatcher() {
	if since := e.post.since.Load(); since != free && e.post.since.CompareAndSwap(since, free) {
		return
	}
	<-e.post.ended
}

// firing remembers the callback that a goroutine runs, to learn which ones take long.
type firing struct {
	timer *engineTimer
	began Instant
}

const (
	// promptly is how soon after a deadline a processor was free for the watcher: the program is idle.
	promptly = 200 * time.Microsecond
	// length is what a callback may take before it gets a goroutine of its own, so that others need not wait.
	length = 100 * time.Microsecond
	// lengthyFor is for how many firings; then it is tried again, since it may have been the machine that was slow.
	lengthyFor = 100
)

// run runs the callback of a timer that was claimed.
func (f *firing) run(t *engineTimer, now Instant) {
	if !t.inline && t.lengthy.Load() > 0 {
		t.lengthy.Add(-1)
		t.settleBackstop()
		go t.f()
		return
	}
	f.timer, f.began = t, now
	t.f()
	t.settleBackstop()
}

// ended notes that the callback has returned.
func (f *firing) ended(now Instant) {
	if f.timer != nil && now.Sub(f.began) > length {
		f.timer.lengthy.Store(lengthyFor)
	}
	f.timer = nil
}
