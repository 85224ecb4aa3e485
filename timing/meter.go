package timing

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Meter records how late timers fire, per label. Labels are few and fixed ("pion.ice", "signaling.heartbeat"); they
// are never made from what a client sends. It is safe for concurrent use.
type Meter struct {
	clock Clock
	// overrun is told the first time that an inline callback of a label takes longer than InlineBudget.
	overrun func(label string, took time.Duration)

	mu     sync.Mutex
	labels map[string]*Label
}

// labelWindow is how long a label's recent figures reach back at the least, while it fires.
const labelWindow = 30 * time.Second

// InlineBudget is how long an inline callback may take. One that takes longer is counted, and reported once per label.
const InlineBudget = time.Millisecond

// NewMeter returns an empty meter that reads the given clock. overrun, unless nil, is called once for each label whose
// inline callbacks exceed InlineBudget, on the goroutine that ran the callback.
func NewMeter(clock Clock, overrun func(label string, took time.Duration)) *Meter {
	return &Meter{clock: clock, overrun: overrun, labels: make(map[string]*Label)}
}

// Label returns the label's record, making it at the first call.
func (m *Meter) Label(name string) *Label {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.labels[name]
	if !ok {
		l = &Label{name: name, since: m.clock.Now(), current: NewLateness(), previous: NewLateness()}
		m.labels[name] = l
	}
	return l
}

// Clock returns a clock that arms its timers on c and records the lateness of each under the label: the time from
// deadline to the first instruction of the callback.
func (m *Meter) Clock(label string, c Clock) Clock {
	return &meteredClock{Clock: c, meter: m, label: m.Label(label)}
}

// Labels returns the figures of every label, by name, also of those that have not fired yet.
func (m *Meter) Labels() []LabelSummary {
	m.mu.Lock()
	labels := make([]*Label, 0, len(m.labels))
	for _, l := range m.labels {
		labels = append(labels, l)
	}
	m.mu.Unlock()
	now := m.clock.Now()
	summaries := make([]LabelSummary, 0, len(labels))
	for _, l := range labels {
		summaries = append(summaries, l.summary(now))
	}
	slices.SortFunc(summaries, func(a, b LabelSummary) int { return cmp.Compare(a.Name, b.Name) })
	return summaries
}

// LabelSummary is one label's figures: Recent over the last 30 to 60 seconds, the rest since the start. Overruns counts
// the inline callbacks that took longer than InlineBudget.
type LabelSummary struct {
	Name                   string
	Recent                 Summary
	Total, Early, Overruns int64
}

// Label is the record of one kind of timer.
type Label struct {
	name         string
	total, early atomic.Int64
	overruns     atomic.Int64

	// mu guards the two halves of the recent window and when the current one began.
	mu                sync.Mutex
	since             Instant
	current, previous *Lateness
}

// Record adds one firing, late after its deadline, seen at now.
func (l *Label) Record(late time.Duration, now Instant) {
	l.total.Add(1)
	if late < 0 {
		l.early.Add(1)
	}
	l.at(now).Record(late)
}

// at returns the half of the window that now belongs to.
func (l *Label) at(now Instant) *Lateness {
	l.mu.Lock()
	defer l.mu.Unlock()
	if elapsed := now.Sub(l.since); elapsed >= labelWindow {
		l.current, l.previous = l.previous, l.current
		l.current.Take()
		if elapsed >= 2*labelWindow {
			l.previous.Take()
		}
		l.since = now
	}
	return l.current
}

func (l *Label) summary(now Instant) LabelSummary {
	l.at(now)
	l.mu.Lock()
	current, previous := l.current, l.previous
	l.mu.Unlock()
	both := NewLateness()
	both.early = current.mergeInto(both.histogram) + previous.mergeInto(both.histogram)
	return LabelSummary{
		Name: l.name, Recent: both.Summary(),
		Total: l.total.Load(), Early: l.early.Load(), Overruns: l.overruns.Load(),
	}
}

type meteredClock struct {
	Clock
	meter  *Meter
	label  *Label
	inline bool
}

func (c *meteredClock) Inline() Clock {
	return &meteredClock{Clock: Inline(c.Clock), meter: c.meter, label: c.label, inline: true}
}

// WithSlack records under a label of its own, since those timers are late on purpose.
func (c *meteredClock) WithSlack(slack time.Duration) Clock {
	return c.meter.Clock(c.label.name+".slack", WithSlack(c.Clock, slack))
}

func (c *meteredClock) AfterFunc(d time.Duration, f func()) Timer {
	return c.At(c.Now().Add(d), f)
}

func (c *meteredClock) At(at Instant, f func()) Timer {
	t := &meteredTimer{clock: c, f: f}
	t.pending = append(t.room[:0], at)
	t.mu.Lock() // A prompt firing waits until timer is set.
	defer t.mu.Unlock()
	t.timer = c.Clock.At(at, t.fire)
	return t
}

// meteredTimer keeps the deadline beside the timer that it wraps, so that its callback can tell how late it is.
//
// Several armings can be under way at once: Reset re-arms while the callback of the arming before has been started
// but has not read its deadline. Armings fire in their order and each fires or is stopped exactly once, so a queue of
// their deadlines gives every firing one that has passed.
type meteredTimer struct {
	clock *meteredClock
	f     func()

	// mu guards the rest and is held while the wrapped timer is armed, which neither blocks nor calls back.
	mu      sync.Mutex
	timer   Timer
	pending []Instant
	room    [2]Instant
}

func (t *meteredTimer) fire() {
	due := t.firedDeadline() // Before the clock is read: of two firings under way each then gets one that has passed.
	now := t.clock.Now()
	t.clock.label.Record(now.Sub(due), now)
	t.f()
	if t.clock.inline {
		t.clock.judge(t.clock.Now().Sub(now))
	}
}

// judge holds an inline callback to its budget.
func (c *meteredClock) judge(took time.Duration) {
	if took > InlineBudget && c.label.overruns.Add(1) == 1 && c.meter.overrun != nil {
		c.meter.overrun(c.label.name, took)
	}
}

func (t *meteredTimer) firedDeadline() Instant {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.pending[0]
	t.pending = append(t.room[:0], t.pending[1:]...)
	return at
}

func (t *meteredTimer) Stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	wasArmed := t.timer.Stop()
	t.forgetLocked(wasArmed)
	return wasArmed
}

func (t *meteredTimer) Reset(d time.Duration) bool { return t.ResetAt(t.clock.Now().Add(d)) }

func (t *meteredTimer) ResetAt(at Instant) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	wasArmed := t.timer.ResetAt(at)
	t.forgetLocked(wasArmed)
	t.pending = append(t.pending, at)
	return wasArmed
}

func (t *meteredTimer) forgetLocked(stopped bool) {
	if stopped {
		t.pending = t.pending[:len(t.pending)-1]
	}
}
