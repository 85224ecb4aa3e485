package timing

import "time"

// batch bounds how many stale places are looked at under one hold of the queue.
const batch = 64

func (e *Engine) upcoming() Instant { return Instant(e.next.Load()) }

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

// publishLocked tells those who do not hold mu what the queue's head is, after moving stale timers away from there.
func (e *Engine) publishLocked() {
	head := e.queue.first()
	for range batch {
		if head == nil || Instant(head.due.Load()) == head.keyLocked() {
			break
		}
		e.placeLocked(head)
		head = e.queue.first()
	}
	e.lonely.Store(head != nil && !head.backstop.backs(head.keyLocked()))
	e.next.Store(int64(e.queue.next()))
}

// placeLocked puts the timer where its deadline belongs.
func (e *Engine) placeLocked(t *engineTimer) {
	if due := Instant(t.due.Load()); due != disarmed {
		e.putLocked(t, due)
		return
	}
	e.queue.remove(t)
	// A producer that set a deadline before seeing that the key became Never would otherwise believe the timer queued.
	if due := Instant(t.due.Load()); due != disarmed {
		e.putLocked(t, due)
	}
}

// putLocked makes room first by dropping the timers that were stopped, so that the queue holds no more of them than
// armed ones for long.
func (e *Engine) putLocked(t *engineTimer, due Instant) {
	if t.index == notQueued && e.queue.full() {
		e.queue.dropStopped()
	}
	e.queue.put(t, due)
}

// claimDue claims the earliest timer that is due; nil when none is or somebody else is at the queue. now is when it
// looked, late how long the timer was due by then.
func (e *Engine) claimDue() (claimed *engineTimer, late time.Duration, now Instant) {
	for {
		if !e.mu.TryLock() {
			return nil, 0, monotonicNow()
		}
		e.emptyInboxLocked()
		now = monotonicNow()
		for range batch {
			if claimed != nil || e.queue.next() > now {
				break
			}
			t := e.queue.first()
			if t.claim(now) {
				claimed, late = t, now.Sub(t.keyLocked())
			}
			e.placeLocked(t) // Fired, stopped, or moved on to a later deadline.
		}
		e.publishLocked()
		e.mu.Unlock()
		e.sweep()
		if claimed != nil || e.upcoming() > now {
			return claimed, late, now
		}
	}
}

// sharedFired runs on a goroutine of package time.
func (e *Engine) sharedFired() {
	e.sharedAlarm.fired()
	e.relieve(monotonicNow())
	e.fireDue(packagePromptly)
}

// chainFired runs on a goroutine of package time.
func (e *Engine) chainFired() { e.fireDue(-1) }

const (
	// promptly is how soon after a deadline a processor was free for the watcher: the program is idle.
	promptly = 200 * time.Microsecond
	// packagePromptly is the same for package time, whose poller sleeps in whole milliseconds.
	packagePromptly = 3 * time.Millisecond
)

// fireDue runs the callbacks of all due timers on the caller's goroutine, one after another. When one comes later than
// prompt, the program is busy: then the caller runs that one and leaves the rest to the chain.
func (e *Engine) fireDue(prompt time.Duration) {
	var firing firing
	for !e.closed.Load() {
		t, late, now := e.claimDue()
		firing.ended(now)
		if t == nil {
			e.armWakers()
			return
		}
		if !t.inline && late > prompt {
			t.settleBackstop()
			e.follow(now)
			t.f()
			return
		}
		e.guard(now)
		firing.run(t, now)
	}
}

// guard sees to it that somebody comes for the other timers, should the callback that is about to run not return: their
// own backstops, or the shared one.
func (e *Engine) guard(now Instant) {
	if e.lonely.Load() || e.inbox.Load() != nil {
		e.sharedAlarm.ensure(func() Instant { return max(e.upcoming(), now.Add(InlineBudget)) })
	}
}

// follow leaves what is due besides the timer that the caller is about to run to the chain, or arms the wakers.
func (e *Engine) follow(now Instant) {
	if e.inbox.Load() != nil || e.upcoming() <= now {
		e.tidy(now)
	}
	if e.upcoming() <= now {
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
	e.publishLocked()
	e.mu.Unlock()
	e.sweep()
}

// armWakers has the kernel's waker and the shared backstop come in time for the queue's earliest deadline.
func (e *Engine) armWakers() {
	if e.closed.Load() {
		return
	}
	e.kernel.ensure(e.upcoming)
	if e.lonely.Load() {
		e.sharedAlarm.ensure(e.upcoming)
	}
}
