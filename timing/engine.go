package timing

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Engine is the precise tier: a [Clock] whose timers are woken by a kernel hrtimer on a thread of their own, with a
// package-time backstop for the moments when that thread cannot get a Go processor. Make one with [NewEngine].
type Engine struct {
	waker    waker
	backstop *time.Timer
	report   EngineReport

	// mu guards queue, closed and each timer's fields. Nothing blocks, calls back or enters the kernel under it.
	mu     sync.Mutex
	queue  queue
	closed bool

	// wanted is the deadline that the wakers should be armed at: the queue's earliest, written under mu.
	wanted atomic.Int64

	thread sync.WaitGroup
}

// waker is the kernel's side of the engine: it runs expire on its own thread at the armed instant.
type waker interface {
	// arm sets the instant of the next wake; Never disarms. It does not block and may be called from any thread.
	arm(at Instant)
	// loop calls expire after each wake until close. It reports what the kernel granted before its first sleep.
	loop(expire func(), started func(EngineReport))
	close()
}

// EngineReport says how the engine runs on this machine.
type EngineReport struct {
	// Policy is the scheduling policy of the engine's thread: "SCHED_FIFO 10" or "SCHED_OTHER".
	Policy string
	// Notes are what was asked for and not granted, in words.
	Notes []string
}

// EngineError says why this machine has no hrtimer engine; [Runtime] stands in.
type EngineError struct {
	// Attempt is what failed ("create timerfd"), Err the system's answer, nil where there is none to ask.
	Attempt string
	Err     error
}

func (e *EngineError) Error() string {
	if e.Err == nil {
		return "hrtimer engine: " + e.Attempt
	}
	return fmt.Sprintf("hrtimer engine: %s: %v", e.Attempt, e.Err)
}

func (e *EngineError) Unwrap() error { return e.Err }

// NewEngine starts an engine. It fails with an [EngineError] where the kernel gives no timerfd or epoll instance (not
// Linux, descriptors used up, a system-call filter). Close it after use.
func NewEngine() (*Engine, error) {
	w, err := newWaker()
	if err != nil {
		return nil, err
	}
	e := &Engine{waker: w}
	e.wanted.Store(int64(Never))
	e.backstop = time.AfterFunc(time.Duration(Never), e.expire)
	started := make(chan EngineReport, 1)
	e.thread.Go(func() { w.loop(e.expire, func(r EngineReport) { started <- r }) })
	e.report = <-started
	return e, nil
}

// Report says how the engine runs. It does not change after NewEngine.
func (e *Engine) Report() EngineReport { return e.report }

// Close ends the engine's thread and waits for it. Timers that are still armed never fire; Stop on one still reports
// true. Arming after Close is allowed and fires nothing. Close must not be called from an inline callback.
func (e *Engine) Close() error {
	e.mu.Lock()
	already := e.closed
	e.closed = true
	e.wanted.Store(int64(Never))
	e.mu.Unlock()
	if already {
		return nil
	}
	e.armWakers()
	e.backstop.Stop()
	e.waker.close()
	e.thread.Wait()
	return nil
}

// Now returns the present instant.
func (e *Engine) Now() Instant { return monotonicNow() }

// AfterFunc arms a timer whose callback gets a goroutine of its own.
func (e *Engine) AfterFunc(d time.Duration, f func()) Timer { return e.At(e.Now().Add(d), f) }

// At arms a timer at an absolute instant whose callback gets a goroutine of its own.
func (e *Engine) At(at Instant, f func()) Timer { return e.start(at, f, false) }

// Inline returns the view of the engine whose callbacks run on the waker's thread.
func (e *Engine) Inline() Clock { return inlineEngine{e} }

type inlineEngine struct{ *Engine }

func (v inlineEngine) AfterFunc(d time.Duration, f func()) Timer { return v.At(v.Now().Add(d), f) }
func (v inlineEngine) At(at Instant, f func()) Timer             { return v.start(at, f, true) }

// Pending counts the armed timers.
func (e *Engine) Pending() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.queue.len()
}

func (e *Engine) start(at Instant, f func(), inline bool) *engineTimer {
	t := &engineTimer{engine: e, f: f, inline: inline, index: notQueued}
	t.ResetAt(at)
	return t
}

// notQueued is the index of a timer that is not armed.
const notQueued = -1

// engineTimer is one timer of an Engine; all its changing fields are guarded by engine.mu.
type engineTimer struct {
	engine *Engine
	f      func()
	inline bool

	at    Instant
	order uint64
	index int
}

func (t *engineTimer) before(other *engineTimer) bool {
	if t.at != other.at {
		return t.at < other.at
	}
	return t.order < other.order
}

func (t *engineTimer) Stop() bool {
	e := t.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	// The wakers stay armed at the old deadline: one spurious wake costs less than a system call for each cancel.
	return e.dequeueLocked(t)
}

func (t *engineTimer) Reset(d time.Duration) bool { return t.ResetAt(t.engine.Now().Add(d)) }

func (t *engineTimer) ResetAt(at Instant) bool {
	e := t.engine
	e.mu.Lock()
	wasArmed := e.dequeueLocked(t)
	t.at = at
	e.queue.push(t)
	earlier := e.queue.next() < Instant(e.wanted.Load()) && !e.closed
	if earlier {
		e.wanted.Store(int64(e.queue.next()))
	}
	e.mu.Unlock()
	if earlier {
		e.armWakers()
	}
	return wasArmed
}

func (e *Engine) dequeueLocked(t *engineTimer) bool {
	if t.index == notQueued {
		return false
	}
	e.queue.remove(t)
	return true
}

// expireBatch bounds how many timers are popped under the lock at once.
const expireBatch = 64

// expire runs every timer that is due and arms the wakers for the next one. Any thread may call it at any time: each
// timer is claimed under mu by exactly one caller.
func (e *Engine) expire() {
	var batch [expireBatch]*engineTimer
	for {
		due := e.claim(batch[:])
		for i, t := range due {
			batch[i] = nil
			if t.inline {
				t.f()
			} else {
				go t.f()
			}
		}
		if len(due) < expireBatch {
			break
		}
	}
	e.armWakers()
}

func (e *Engine) claim(batch []*engineTimer) []*engineTimer {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	n := 0
	now := e.Now()
	for n < len(batch) && e.queue.next() <= now {
		batch[n] = e.queue.pop()
		n++
	}
	e.wanted.Store(int64(e.queue.next()))
	return batch[:n]
}

// armWakers sets both wakers to the wanted deadline. Callers race without a lock, so a late one may set an old
// deadline over a newer: each looks again after setting, and the last to look leaves the wanted one.
func (e *Engine) armWakers() {
	for {
		at := e.wanted.Load()
		e.waker.arm(Instant(at))
		e.backstop.Reset(untilInstant(Instant(at)))
		if e.wanted.Load() == at {
			return
		}
	}
}
