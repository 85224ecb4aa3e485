package stdtime

import (
	"sync"

	"tourbillon/timing"
)

// Timer is [time.Timer] on the process clock.
type Timer struct {
	C <-chan Time

	// clock tells the time of the deadline; inner is the armed timer. A timer of AfterFunc has nothing below inner.
	clock timing.Clock
	inner timing.Timer

	// mu guards the rest. It is held while inner is armed or stopped, which does not block.
	mu       sync.Mutex
	c        chan Time
	deadline timing.Instant
	armed    bool
}

// NewTimer is [time.NewTimer].
func NewTimer(d Duration) *Timer { return newTimer(siteOf(1), d) }

// After is [time.After].
func After(d Duration) <-chan Time { return newTimer(siteOf(1), d).C }

// Sleep is [time.Sleep].
func Sleep(d Duration) {
	if d > 0 {
		<-newTimer(siteOf(1), d).C
	}
}

// AfterFunc is [time.AfterFunc].
func AfterFunc(d Duration, f func()) *Timer { return newFuncTimer(siteOf(1), d, f) }

// AfterFuncSkip is AfterFunc on behalf of the function skip calls above the caller, whose label it takes.
func AfterFuncSkip(skip int, d Duration, f func()) *Timer { return newFuncTimer(siteOf(skip+1), d, f) }

func newFuncTimer(s *site, d Duration, f func()) *Timer {
	armed.Add(1)
	return &Timer{clock: s.spawned, inner: s.spawned.AfterFunc(d, func() {
		armed.Add(-1)
		f()
	})}
}

func newTimer(s *site, d Duration) *Timer {
	c := make(chan Time, 1)
	t := &Timer{C: c, c: c, clock: s.inline, armed: true}
	t.mu.Lock() // A prompt firing waits until inner is set.
	defer t.mu.Unlock()
	armed.Add(1)
	t.deadline = s.inline.Now().Add(d)
	t.inner = s.inline.At(t.deadline, t.send)
	return t
}

// send delivers one firing. After a Stop nothing is delivered; a firing that a Reset overtook either stands for the
// new deadline, which has then passed as well, or leaves it to the new firing.
func (t *Timer) send() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.armed || t.clock.Now() < t.deadline {
		return
	}
	t.disarmLocked()
	t.c <- Now() // Empty by construction: Stop and Reset drain, and each arming sends once.
}

// Stop is [Timer.Stop] of package time.
func (t *Timer) Stop() bool {
	if t.inner == nil {
		panic("time: Stop called on uninitialized Timer")
	}
	if t.c == nil {
		return t.stopFunc()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stopLocked()
}

// Reset is [Timer.Reset] of package time.
func (t *Timer) Reset(d Duration) bool {
	if t.inner == nil {
		panic("time: Reset called on uninitialized Timer")
	}
	if t.c == nil {
		return t.resetFunc(d)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	wasPending := t.stopLocked()
	t.armed = true
	armed.Add(1)
	t.deadline = t.clock.Now().Add(d)
	t.inner.ResetAt(t.deadline)
	return wasPending
}

// stopLocked disarms and drains; an unread fire counts as pending, as since Go 1.23.
func (t *Timer) stopLocked() bool {
	wasArmed := t.armed
	if wasArmed {
		t.disarmLocked()
		t.inner.Stop()
	}
	select {
	case <-t.c:
		return true
	default:
		return wasArmed
	}
}

func (t *Timer) disarmLocked() {
	t.armed = false
	armed.Add(-1)
}

func (t *Timer) stopFunc() bool {
	wasArmed := t.inner.Stop()
	if wasArmed {
		armed.Add(-1)
	}
	return wasArmed
}

func (t *Timer) resetFunc(d Duration) bool {
	armed.Add(1)
	wasArmed := t.inner.Reset(d)
	if wasArmed {
		armed.Add(-1)
	}
	return wasArmed
}
