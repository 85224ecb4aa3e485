package timing

import "time"

const (
	// batch bounds how many stale places are looked at under one hold of the queues.
	batch = 64
	// looks is how many timers are looked at, in turn, for each that is put into a queue: those that were stopped are taken
	// out, and so never outnumber the others for long.
	looks = 2
)

func (e *Engine) upcoming() Instant { return Instant(e.next.Load()) }

// promotionDue is when the first of the far timers comes near.
func (e *Engine) promotionDue() Instant {
	next := Instant(e.nextFar.Load())
	if next == Never {
		return Never
	}
	return next.Add(-e.nearby)
}

// reconsider has the timer's place in the queues looked at again, by this goroutine or by the one that is at it.
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

// sweep brings the queues up to date, if nobody else is at it.
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

// publishLocked tells those who do not hold mu what the queues' heads are, after moving stale timers away from there.
func (e *Engine) publishLocked() {
	e.freshenLocked(&e.near)
	e.freshenLocked(&e.far)
	e.nextFar.Store(int64(e.far.next()))
	e.next.Store(int64(min(e.near.next(), e.far.next())))
}

func (e *Engine) freshenLocked(q *queue) {
	for range batch {
		head := q.first()
		if head == nil || Instant(head.due.Load()) == head.keyLocked() {
			return
		}
		e.placeLocked(head)
	}
}

// placeLocked puts the timer where its deadline belongs.
func (e *Engine) placeLocked(t *engineTimer) {
	for {
		if due := Instant(t.due.Load()); due == disarmed {
			e.queueOf(t).remove(t)
		} else {
			e.putLocked(t, due)
		}
		// A producer that set its deadline before it could see the new key believes that the timer comes in time for it.
		if due := Instant(t.due.Load()); due == disarmed || due >= t.keyLocked() {
			return
		}
	}
}

func (e *Engine) queueOf(t *engineTimer) *queue {
	if t.far {
		return &e.far
	}
	return &e.near
}

func (e *Engine) putLocked(t *engineTimer, due Instant) {
	if far := t.backstop.timer.Load() == nil; far != t.far {
		e.queueOf(t).remove(t)
		t.far = far
	}
	q := e.queueOf(t)
	if t.index == notQueued {
		e.lookAroundLocked(q)
	}
	q.put(t, due)
}

func (e *Engine) lookAroundLocked(q *queue) {
	for range looks {
		other := q.another()
		if other == nil || other.armed() {
			continue
		}
		q.remove(other)
		// Armed by a producer that saw the key before it became Never. One load decides, or a timer that was stopped between
		// two would be put in at an instant before all others.
		if due := Instant(other.due.Load()); due != disarmed {
			q.put(other, due)
		}
	}
}

// due is what claimDue found.
type due struct {
	// timer is claimed; nil when none is due, or when busy: somebody else is at the queues.
	timer *engineTimer
	busy  bool
	// now is when it was looked for, late how long it was due by then.
	now  Instant
	late time.Duration
}

// claimDue claims the earliest timer that is due.
func (e *Engine) claimDue() (d due) {
	for {
		if !e.mu.TryLock() {
			return due{busy: true, now: monotonicNow()}
		}
		e.emptyInboxLocked()
		d.now = monotonicNow()
		for range batch {
			t := e.firstLocked()
			if d.timer != nil || t == nil || t.keyLocked() > d.now {
				break
			}
			if due, ok := t.claim(d.now); ok {
				d.timer, d.late = t, d.now.Sub(due)
			}
			e.placeLocked(t) // Fired, stopped, or moved on to a later deadline.
		}
		e.publishLocked()
		e.mu.Unlock()
		e.sweep()
		e.promotion.ensure(e.promotionDue) // Also for those who armed a timer meanwhile and found the queues taken.
		if d.timer != nil || e.upcoming() > d.now || e.closed.Load() {
			return d
		}
	}
}

func (e *Engine) firstLocked() *engineTimer {
	near, far := e.near.first(), e.far.first()
	if near == nil || far != nil && far.keyLocked() < near.keyLocked() {
		return far
	}
	return near
}

// promote gives the far timers that have come near a backstop of their own. It runs on a goroutine of package time, so far
// ahead of their deadlines that it may well be late.
func (e *Engine) promote() {
	e.promotion.fired()
	now := monotonicNow()
	e.relieve(now)
	var near [batch]*engineTimer
	reach := now.Add(e.nearby + e.nearby/8) // A little further, so that several share a wake.
	if !e.mu.TryLock() {
		e.promotion.ensure(func() Instant { return max(now.Add(InlineBudget), e.promotionDue()) })
		return
	}
	e.emptyInboxLocked()
	n := 0
	for ; n < batch && e.far.next() <= reach; n++ {
		near[n] = e.far.first()
		e.far.remove(near[n])
	}
	e.publishLocked()
	e.mu.Unlock()
	for _, t := range near[:n] {
		if at := Instant(t.due.Load()); at != disarmed {
			t.ownBackstop(at, now)
			e.reconsider(t)
		}
	}
	e.sweep()
	e.armWakers()
}

// fireNext is the chain: it runs the callback of the earliest timer that is due, on a goroutine of package time, and leaves
// the rest to the next one; inline ones it runs all.
func (e *Engine) fireNext() {
	e.chained.Store(false) // Before it looks: who finds it armed leaves what is due to it.
	for {
		d := e.claimDue()
		if d.timer == nil {
			e.armWakers()
			return
		}
		d.timer.settleBackstop()
		if !d.timer.inline {
			e.follow(d.now)
			d.timer.f()
			return
		}
		d.timer.f()
	}
}

// follow leaves what is due besides the timer that the caller is about to run to the chain, or arms the wakers.
func (e *Engine) follow(now Instant) {
	e.tidy()
	if e.upcoming() <= now && !e.closed.Load() {
		if !e.chained.Swap(true) {
			e.chain.Reset(0)
		}
		return
	}
	e.armWakers()
}

// tidy takes timers off the heads of the queues whose place has been overtaken by their deadline.
func (e *Engine) tidy() {
	if e.mu.TryLock() {
		e.emptyInboxLocked()
		e.publishLocked()
		e.mu.Unlock()
		e.sweep()
	}
}

// armWakers has the kernel's waker and the promoter come in time.
func (e *Engine) armWakers() {
	if e.closed.Load() {
		return
	}
	e.kernel.ensure(e.upcoming)
	e.promotion.ensure(e.promotionDue)
}
