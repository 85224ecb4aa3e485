package timing

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Engine is the precise tier: a [Clock] whose timers are woken by kernel hrtimers. Make one with [NewEngine].
//
// # Design
//
// A timer fires by whichever of several wakers sees its deadline pass first, and claims it by one compare-and-swap on
// the timer itself, so that a waker which loses its processor in the middle delays nobody else:
//
//   - The watcher (watcher.go): a goroutine that waits for a timerfd armed at the queue's earliest deadline. It is the
//     precise one while a processor is idle, and runs the callbacks itself: to start a goroutine for each would wake
//     another processor each time, which costs several times the callback. A callback that stays too long loses it the post.
//   - The timer's own backstop (backstop.go): a package-time timer, which a timer gets when its deadline is nearby (a second).
//     Package time looks at its timers at every switch between goroutines, so it is the quick one while all processors
//     are busy. It shares no lock with any other timer: under no load is a timer later than package time's by more than its
//     claim. Timers further off have none yet; the promoter, one package-time timer for all, comes when they have come near.
//   - The chain: a package-time timer armed at once when a goroutine that fires one timer sees another due while the
//     program is busy. Package time itself starts all due timers' goroutines in one go, and all but the last wait behind
//     the program's; the chain brings each to the front of the queue.
//
// Producers never wait for the queue: they put the timer into a lock-free inbox and sweep it if nobody else is at it.
// To stop a timer, or to move its deadline later, does not touch the queue at all: the timer is looked at again when its old
// place comes up, as package time does it.
type Engine struct {
	waker waker
	// nearby is how close a deadline must be for its timer to get a backstop of its own at once.
	nearby time.Duration
	// promoter and chain are package-time timers; they run promote and fireNext on a goroutine of their own.
	promoter, chain *time.Timer
	closed          atomic.Bool
	post            post

	// inbox holds timers whose place in the queue is to be looked at again.
	inbox atomic.Pointer[engineTimer]
	// mu guards the queues. It is only ever tried: who does not get it leaves the work to its holder, who looks again
	// after letting go. Nothing blocks, calls back or enters the kernel under it, and what is done there is bounded: by batch,
	// and by how many timers were armed while another held it.
	mu sync.Mutex
	// near holds the timers that have a backstop of their own, far those that do not yet.
	near, far queue
	// next is the smallest key of both, nextFar that of far.
	next, nextFar atomic.Int64
	// kernel and promotion remember what the waker and the promoter were told.
	kernel, promotion *alarm
	// wakes is told of each wake by the kernel's waker, if anything.
	wakes atomic.Pointer[func(late time.Duration, now Instant)]
}

// waker is the kernel's side of the engine.
type waker interface {
	// arm sets the instant of the next wake; Never disarms. It does not block and may be called from any thread.
	arm(at Instant)
	// wait blocks until passed reports true, asking it at first and at each wake. It returns false once the waker is
	// closed.
	wait(passed func() bool) bool
	close()
	// policy says in words how the waker is scheduled.
	policy() string
}

// EngineReport says how the engine runs on this machine.
type EngineReport struct {
	// Policy is how the kernel schedules the waker, in words.
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

// NewEngine starts an engine. It fails with an [EngineError] where the kernel gives no timerfd (not Linux, descriptors
// used up, a system-call filter). Close it after use.
func NewEngine() (*Engine, error) {
	w, err := newWaker()
	if err != nil {
		return nil, err
	}
	return startEngine(w, nearby), nil
}

func startEngine(w waker, nearby time.Duration) *Engine {
	e := &Engine{waker: w, nearby: nearby, post: post{ended: make(chan struct{})}}
	e.next.Store(int64(Never))
	e.nextFar.Store(int64(Never))
	e.kernel = newAlarm(w.arm)
	e.promoter = time.AfterFunc(time.Duration(Never), e.promote)
	e.promotion = newAlarm(func(at Instant) { e.promoter.Reset(untilInstant(at)) })
	e.chain = time.AfterFunc(time.Duration(Never), e.fireNext)
	go e.watch()
	return e
}

// Report says how the engine runs. It does not change after NewEngine.
func (e *Engine) Report() EngineReport { return EngineReport{Policy: e.waker.policy()} }

// MeterWakes has record told how late each wake by the kernel is, from the deadline to the first instruction of the engine:
// the part of a timer's lateness that is the machine's. It is called on the goroutine that is about to run what is due, so
// it must not block. [Label.Record] fits.
func (e *Engine) MeterWakes(record func(late time.Duration, now Instant)) { e.wakes.Store(&record) }

// Close ends the engine's wakers. Timers that are still armed never fire; Stop on one still reports true. Arming after
// Close is allowed and fires nothing. Callbacks that have begun are not waited for.
func (e *Engine) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	e.promoter.Stop()
	e.chain.Stop()
	e.waker.close()
	e.awaitWatcher()
	return nil
}

// Now returns the present instant.
func (e *Engine) Now() Instant { return monotonicNow() }

// AfterFunc arms a timer whose callback may block.
func (e *Engine) AfterFunc(d time.Duration, f func()) Timer {
	return engineView{Engine: e}.AfterFunc(d, f)
}

// At arms a timer at an absolute instant whose callback may block.
func (e *Engine) At(at Instant, f func()) Timer { return engineView{Engine: e}.At(at, f) }

// Inline returns the view of the engine whose callbacks never get a goroutine of their own.
func (e *Engine) Inline() Clock { return engineView{Engine: e, inline: true} }

// WithSlack returns the view of the engine whose deadlines are rounded up to multiples of slack.
func (e *Engine) WithSlack(slack time.Duration) Clock { return engineView{Engine: e, slack: slack} }

// engineView is the engine with a class of timers.
type engineView struct {
	*Engine
	inline bool
	slack  time.Duration
}

func (v engineView) Inline() Clock { v.inline = true; return v }

func (v engineView) WithSlack(slack time.Duration) Clock { v.slack = slack; return v }

func (v engineView) AfterFunc(d time.Duration, f func()) Timer {
	now := v.Now()
	t := v.timer(f)
	t.arm(now.Add(d), now)
	return t
}

func (v engineView) At(at Instant, f func()) Timer {
	t := v.timer(f)
	t.ResetAt(at)
	return t
}

// timer makes a timer that is not armed.
func (v engineView) timer(f func()) *engineTimer {
	t := &engineTimer{engine: v.Engine, f: f, inline: v.inline, slack: Instant(v.slack), index: notQueued}
	t.due.Store(int64(disarmed))
	t.key.Store(int64(Never))
	t.backstop.at.Store(int64(Never))
	return t
}
