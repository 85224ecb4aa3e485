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
//   - The kernel's waker (waker_linux.go): a timerfd armed at the queue's earliest deadline. It is the precise one while
//     a processor is idle.
//   - The timer's own backstop: a package-time timer at the same deadline, for exact deadlines nearby. Package time looks at its
//     timers at every switch between goroutines, so it is the quick one while all processors are busy. It shares no lock
//     with any other timer: under no load is a timer later than package time's by more than its claim.
//   - The shared backstop: one package-time timer at the queue's earliest deadline, while the timer of that deadline has
//     none of its own.
//   - The chain: a package-time timer armed at once when a goroutine that fires one timer sees another due. Package time
//     itself starts all due timers' goroutines in one go, and all but the last wait behind the program's; the chain
//     brings each to the front of the queue.
//
// Producers never wait for the queue: they put the timer into a lock-free inbox and sweep it if nobody else is at it.
type Engine struct {
	waker  waker
	report EngineReport
	// nearby is how close a deadline must be for its timer to get a backstop of its own at once.
	nearby time.Duration
	// shared and chain are package-time timers that run fireDue on a goroutine of their own.
	shared, chain *time.Timer
	closed        atomic.Bool

	// inbox holds timers whose place in the queue is to be looked at again.
	inbox atomic.Pointer[engineTimer]
	// mu guards the queue. It is only ever tried: who does not get it leaves the work to its holder, who looks again
	// after letting go. Nothing blocks, calls back or enters the kernel under it.
	mu    sync.Mutex
	queue queue
	// next is the queue's smallest key, lonely whether the timer there has no backstop of its own.
	next   atomic.Int64
	lonely atomic.Bool
	// kernel and sharedAlarm remember what the waker and the shared backstop were told.
	kernel, sharedAlarm *alarm
}

// waker is the kernel's side of the engine.
type waker interface {
	// arm sets the instant of the next wake; Never disarms. It does not block and may be called from any thread.
	arm(at Instant)
	// start begins to call wake at each armed instant, on a goroutine that wake may keep after calling handOver: the
	// waker then goes on with another one.
	start(wake func(handOver func())) EngineReport
	// close ends the waker and waits for what it started.
	close()
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
	e := &Engine{waker: w, nearby: nearby}
	e.next.Store(int64(Never))
	e.kernel = newAlarm(w.arm)
	e.shared = time.AfterFunc(time.Duration(Never), e.sharedFired)
	e.sharedAlarm = newAlarm(func(at Instant) { e.shared.Reset(untilInstant(at)) })
	e.chain = time.AfterFunc(time.Duration(Never), e.fireDue)
	e.report = w.start(e.fireFromKernel)
	return e
}

// Report says how the engine runs. It does not change after NewEngine.
func (e *Engine) Report() EngineReport { return e.report }

// Close ends the engine's wakers. Timers that are still armed never fire; Stop on one still reports true. Arming after
// Close is allowed and fires nothing. Callbacks that have begun are not waited for.
func (e *Engine) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	e.shared.Stop()
	e.chain.Stop()
	e.waker.close()
	return nil
}

// Now returns the present instant.
func (e *Engine) Now() Instant { return monotonicNow() }

// AfterFunc arms a timer whose callback gets a goroutine of its own.
func (e *Engine) AfterFunc(d time.Duration, f func()) Timer { return e.At(e.Now().Add(d), f) }

// At arms a timer at an absolute instant whose callback gets a goroutine of its own.
func (e *Engine) At(at Instant, f func()) Timer { return engineView{Engine: e}.At(at, f) }

// Inline returns the view of the engine whose callbacks run on the goroutine of a waker.
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

func (v engineView) AfterFunc(d time.Duration, f func()) Timer { return v.At(v.Now().Add(d), f) }

func (v engineView) At(at Instant, f func()) Timer {
	t := &engineTimer{engine: v.Engine, f: f, inline: v.inline, slack: Instant(v.slack), index: notQueued}
	t.due.Store(int64(disarmed))
	t.key.Store(int64(Never))
	t.ResetAt(at)
	return t
}

// reconsider has the timer's place in the queue looked at again, by this goroutine or by the one that is at it.
func (e *Engine) reconsider(t *engineTimer) {
	if t.listed.Swap(true) {
		return // Still listed: whoever takes it out will see its present deadline.
	}
	for {
		top := e.inbox.Load()
		t.below = top
		if e.inbox.CompareAndSwap(top, t) {
			break
		}
	}
	e.sweep()
	e.armWakers()
}

// sweep brings the queue up to date, if nobody else is at it.
func (e *Engine) sweep() {
	for e.inbox.Load() != nil && e.mu.TryLock() {
		e.emptyInboxLocked()
		e.publishLocked()
		e.mu.Unlock() // What was listed meanwhile is this goroutine's to see: hence the loop.
	}
}

func (e *Engine) emptyInboxLocked() {
	t := e.inbox.Swap(nil)
	for t != nil {
		below := t.below
		t.below = nil
		t.listed.Store(false) // From here on a new deadline lists it again; one set before is seen below.
		e.placeLocked(t)
		t = below
	}
}

// publishLocked tells those who do not hold mu what the queue's head is.
func (e *Engine) publishLocked() {
	head := e.queue.first()
	e.lonely.Store(head != nil && !head.backed())
	e.next.Store(int64(e.queue.next()))
}

// placeLocked puts the timer where its deadline belongs.
func (e *Engine) placeLocked(t *engineTimer) {
	if due := Instant(t.due.Load()); due != disarmed {
		e.queue.put(t, due)
	} else {
		e.queue.remove(t)
		e.placeIfArmed(t)
	}
}

// placeIfArmed looks at the deadline once more after the key became Never: a producer that set the deadline before
// seeing that would otherwise believe the timer queued.
func (e *Engine) placeIfArmed(t *engineTimer) {
	if due := Instant(t.due.Load()); due != disarmed {
		e.queue.put(t, due)
	}
}

// claimDue claims the earliest timer that is due, and tells how late it is; nil when none is or somebody else is at the
// queue.
func (e *Engine) claimDue() (claimed *engineTimer, late time.Duration) {
	if !e.mu.TryLock() {
		return nil, 0
	}
	e.emptyInboxLocked()
	now := e.Now()
	for claimed == nil && e.queue.next() <= now {
		t := e.queue.first()
		if t.claim(now) {
			claimed, late = t, now.Sub(t.keyLocked())
			t.stopBackstop() // Or it would start a goroutine only to find the timer claimed.
		}
		e.placeLocked(t) // Fired, stopped, or moved on to a later deadline.
	}
	e.publishLocked()
	e.mu.Unlock()
	e.sweep()
	return claimed, late
}

// fireDue runs the callbacks of all due timers on the caller's goroutine: inline ones in turn, and when it comes to one
// that may block it leaves the rest to the chain first.
func (e *Engine) fireDue() {
	for !e.closed.Load() {
		t, _ := e.claimDue()
		if t == nil {
			e.armWakers()
			return
		}
		if !t.inline {
			e.follow(e.Now())
			t.f()
			return
		}
		t.f()
	}
}

// sharedFired runs on a goroutine of package time.
func (e *Engine) sharedFired() {
	e.sharedAlarm.fired()
	e.fireDue()
}

// promptly is how soon after a deadline the kernel's waker is still taken to have found a processor idle.
const promptly = 200 * time.Microsecond

// fireFromKernel is what the kernel's waker calls. While it finds a processor at once, callbacks that may block are
// started as goroutines, all that are due. When it comes late the program is busy: what is started side by side then
// waits behind the program's goroutines, so handOver lets this one go on as fireDue does.
func (e *Engine) fireFromKernel(handOver func()) {
	e.kernel.fired()
	for !e.closed.Load() {
		t, late := e.claimDue()
		switch {
		case t == nil:
			e.armWakers()
			return
		case t.inline:
			t.f()
		case late < promptly:
			go t.f()
		default:
			handOver()
			e.follow(e.Now())
			t.f()
			return
		}
	}
}

// follow leaves what is due besides the timer that the caller is about to run to the chain, or arms the wakers.
func (e *Engine) follow(now Instant) {
	if e.inbox.Load() == nil && Instant(e.next.Load()) > now {
		e.armWakers()
		return
	}
	e.tidy(now)
	if Instant(e.next.Load()) <= now {
		e.chain.Reset(0)
		return
	}
	e.armWakers()
}

// tidy takes timers off the head of the queue whose place has been overtaken by their deadline.
func (e *Engine) tidy(now Instant) {
	if !e.mu.TryLock() {
		return
	}
	e.emptyInboxLocked()
	for t := e.queue.first(); t != nil && t.keyLocked() <= now; t = e.queue.first() {
		if due := Instant(t.due.Load()); due != disarmed && due <= now {
			break
		}
		e.placeLocked(t)
	}
	e.publishLocked()
	e.mu.Unlock()
	e.sweep()
}

// armWakers has the kernel's waker and the shared backstop come in time for the queue's earliest deadline.
func (e *Engine) armWakers() {
	if e.closed.Load() {
		return
	}
	e.kernel.ensure(func() Instant { return Instant(e.next.Load()) })
	if e.lonely.Load() {
		e.sharedAlarm.ensure(func() Instant { return Instant(e.next.Load()) })
	}
}
