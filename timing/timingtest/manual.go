// Package timingtest holds what tests of timed code need: the manual clock, which moves only when told to, the
// conformance suite that every [timing.Clock] passes, the packet network in memory, and the means to hold protocols to
// their standards' schedules, in virtual time ([InVirtualTime]) and under load ([UnderLoad]); and what tests need to wait
// for other goroutines and processes without a thought of the machine's pace ([Eventually], [Patient], [OwnLoopback]).
package timingtest

import (
	"container/heap"
	"sync"
	"time"

	"tourbillon/timing"
)

// Manual is a [timing.Clock] that stands still until Advance or AdvanceTo moves it. Callbacks run one after another
// on the goroutine that advances, in order of deadline, those of one deadline in the order of their arming. They may
// arm and stop timers. It is safe for concurrent use; two goroutines must not advance it at once.
type Manual struct {
	mu    sync.Mutex
	now   timing.Instant
	queue manualQueue
	armed uint64
}

// NewManual returns a clock that shows an hour, so that code which subtracts from Now stays positive.
func NewManual() *Manual { return &Manual{now: timing.Instant(time.Hour)} }

// Now returns the instant that the clock was last advanced to.
func (m *Manual) Now() timing.Instant {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Time returns Now as a wall-clock date that counts from the Unix epoch. It has no monotonic reading.
func (m *Manual) Time() time.Time { return time.Unix(0, int64(m.Now())).UTC() }

// AfterFunc arms a timer that fires when the clock has been advanced by d.
func (m *Manual) AfterFunc(d time.Duration, f func()) timing.Timer {
	t := &manualTimer{clock: m, f: f, index: -1}
	t.Reset(d)
	return t
}

// At arms a timer that fires when the clock has been advanced to at.
func (m *Manual) At(at timing.Instant, f func()) timing.Timer {
	t := &manualTimer{clock: m, f: f, index: -1}
	t.ResetAt(at)
	return t
}

// Advance moves the clock by d and fires what falls due, each timer at its own instant.
func (m *Manual) Advance(d time.Duration) { m.AdvanceTo(m.Now().Add(d)) }

// AdvanceTo moves the clock to an instant and fires what falls due, each timer at its own instant. An instant in the
// past fires only what is overdue.
func (m *Manual) AdvanceTo(at timing.Instant) {
	for m.fireNext(at) {
	}
	m.mu.Lock()
	m.now = max(m.now, at)
	m.mu.Unlock()
}

// AdvanceNext moves the clock to the earliest armed deadline and fires it, with all others of that instant. It
// reports false when nothing is armed.
func (m *Manual) AdvanceNext() bool {
	at, ok := m.Next()
	if ok {
		m.AdvanceTo(at)
	}
	return ok
}

// Next returns the earliest armed deadline; false when nothing but parked timers (Never) is armed.
func (m *Manual) Next() (timing.Instant, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 || m.queue[0].at == timing.Never {
		return 0, false
	}
	return m.queue[0].at, true
}

// Pending counts the armed timers.
func (m *Manual) Pending() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue)
}

func (m *Manual) fireNext(limit timing.Instant) bool {
	m.mu.Lock()
	if len(m.queue) == 0 || m.queue[0].at > max(limit, m.now) {
		m.mu.Unlock()
		return false
	}
	t := heap.Pop(&m.queue).(*manualTimer)
	m.now = max(m.now, t.at)
	m.mu.Unlock()
	t.f()
	return true
}

type manualTimer struct {
	clock *Manual
	f     func()

	// Guarded by clock.mu. index is -1 while the timer is not armed.
	at    timing.Instant
	order uint64
	index int
}

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stopLocked()
}

func (t *manualTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.armLocked(t.clock.now.Add(d))
}

func (t *manualTimer) ResetAt(at timing.Instant) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.armLocked(at)
}

func (t *manualTimer) stopLocked() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.queue, t.index)
	return true
}

func (t *manualTimer) armLocked(at timing.Instant) bool {
	wasArmed := t.stopLocked()
	t.clock.armed++
	t.at, t.order = at, t.clock.armed
	heap.Push(&t.clock.queue, t)
	return wasArmed
}

// manualQueue is a heap by deadline, then by order of arming.
type manualQueue []*manualTimer

func (q manualQueue) Len() int { return len(q) }

func (q manualQueue) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].order < q[j].order
}

func (q manualQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *manualQueue) Push(x any) {
	t := x.(*manualTimer)
	t.index = len(*q)
	*q = append(*q, t)
}

func (q *manualQueue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	t.index = -1
	return t
}
