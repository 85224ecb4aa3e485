package stdtime

import (
	"sync"

	"tourbillon/timing"
)

// Timer is [time.Timer] on the process clock.
type Timer struct {
	C <-chan Time

	// site is nil in a Timer that no function of this package made. f is nil where c is not, and the other way round.
	site *site
	c    chan Time
	f    func()

	// mu guards held, the timer of the process clock; nil while this one needs none.
	mu   sync.Mutex
	held *arming
}

// NewTimer is [time.NewTimer].
func NewTimer(d Duration) *Timer { return newTimer(siteOf(1), d) }

// After is [time.After].
func After(d Duration) <-chan Time { return newTimer(siteOf(1), d).C }

// Sleep is [time.Sleep]. It allocates what After does.
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
	t := &Timer{site: s, f: f}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armLocked(d)
	return t
}

func newTimer(s *site, d Duration) *Timer {
	c := make(chan Time, 1)
	t := &Timer{C: c, c: c, site: s}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armLocked(d)
	return t
}

// lane is where the timer's callback may run: a channel's send needs no goroutine.
func (t *Timer) lane() *lane {
	if t.c != nil {
		return t.site.inline
	}
	return t.site.spawned
}

func (t *Timer) armLocked(d Duration) {
	t.site.process.armed.Add(1)
	l := t.lane()
	l.armLocked(&t.held, t, l.clock.Now().Add(max(d, 0)))
}

// fired delivers one firing, unless Stop or Reset came before it.
func (t *Timer) fired() {
	t.mu.Lock()
	due, counts := t.firedLocked()
	if !counts {
		t.mu.Unlock()
		return
	}
	late := t.site.record(due)
	if t.c != nil {
		t.c <- t.site.process.date().Add(-late) // Empty by construction: Stop and Reset drain, each arming sends once.
	}
	t.mu.Unlock()
	if t.f != nil {
		t.f()
	}
}

func (t *Timer) firedLocked() (due timing.Instant, counts bool) {
	due = t.held.due
	l := t.lane()
	if !l.firedLocked(&t.held) {
		return 0, false
	}
	t.site.process.armed.Add(-1)
	l.settleLocked(&t.held)
	return due, true
}

// Stop is [time.Timer.Stop].
func (t *Timer) Stop() bool {
	if t.site == nil {
		panic("time: Stop called on uninitialized Timer")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	wasArmed := t.lane().stopLocked(&t.held)
	if wasArmed {
		t.site.process.armed.Add(-1)
	}
	return t.drainLocked() || wasArmed
}

// Reset is [time.Timer.Reset].
func (t *Timer) Reset(d Duration) bool {
	if t.site == nil {
		panic("time: Reset called on uninitialized Timer")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	wasArmed := t.held != nil && t.held.armed
	if wasArmed {
		t.site.process.armed.Add(-1)
	}
	t.armLocked(d)
	return t.drainLocked() || wasArmed
}

// drainLocked takes an unread fire out of the channel and reports whether there was one: it counts as pending, as
// since Go 1.23.
func (t *Timer) drainLocked() bool {
	select {
	case <-t.c:
		return true
	default:
		return false
	}
}
