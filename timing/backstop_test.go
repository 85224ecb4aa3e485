package timing

import (
	"testing"
	"time"
)

// TestBackstopComesAgain moves a deadline later, which leaves the backstop where it is.
func TestBackstopComesAgain(t *testing.T) {
	e, _ := startSilent(t, time.Hour)
	fired := make(chan struct{}, 2) // Twice, where the machine takes 30 ms between the lines.
	timer := e.AfterFunc(30*time.Millisecond, func() { fired <- struct{}{} })
	timer.Reset(60 * time.Millisecond)
	awaitFiring(t, "a timer whose deadline was moved later", fired)
}

// TestSpentBackstopBacksNobody has a producer arm the timer that read the clock before the backstop fired.
func TestSpentBackstopBacksNobody(t *testing.T) {
	e, _ := startSilent(t, time.Hour)
	fired := make(chan struct{}, 1)
	before := e.Now()
	timer := e.own(before.Add(5*time.Millisecond), func() { fired <- struct{}{} })
	awaitFiring(t, "a timer", fired)
	timer.arm(before.Add(10*time.Millisecond), before)
	awaitFiring(t, "a timer that was armed again", fired)
}

// TestLateSetterLeavesThePresentDeadline has a producer set the backstop after another moved the deadline.
func TestLateSetterLeavesThePresentDeadline(t *testing.T) {
	e, _ := startSilent(t, 2*time.Hour)
	now := e.Now()
	timer := e.own(now.Add(time.Minute), func() {})
	timer.ownBackstop(now.Add(time.Hour), now)
	if at := Instant(timer.backstop.at.Load()); at != now.Add(time.Minute) {
		t.Errorf("the backstop comes in %v, want at the deadline in a minute", at.Sub(now))
	}
}

// TestFiringSettlesTheBackstop fires a timer by each of the ways that are not its backstop.
func TestFiringSettlesTheBackstop(t *testing.T) {
	e, w := startSilent(t, time.Hour)
	run := func(lengthy int32) func(*engineTimer) {
		return func(timer *engineTimer) {
			timer.lengthy.Store(lengthy)
			timer.claim(e.Now())
			new(firing).run(timer, e.Now())
		}
	}
	for way, fire := range map[string]func(*engineTimer){
		"the watcher in time":           run(0),
		"a goroutine of its own":        run(1),
		"the watcher, which comes late": func(*engineTimer) { w.wake(t) },
		"the chain":                     func(*engineTimer) { e.fireNext() },
	} {
		fired := make(chan struct{})
		timer := e.deaf(e.Now().Add(-time.Second), func() { close(fired) })
		fire(timer)
		awaitFiring(t, "the timer by "+way, fired)
		await(t, "the backstop to be settled after a firing by "+way, func() bool {
			return Instant(timer.backstop.at.Load()) == Never
		})
	}
}

// TestStoppedTimerHidesNoOther has the backstop of a timer that does not fire bring the post to a new watcher, which
// alone knows of the timer behind.
func TestStoppedTimerHidesNoOther(t *testing.T) {
	for what, change := range map[string]func(Timer){
		"stopped":     func(head Timer) { head.Stop() },
		"moved later": func(head Timer) { head.Reset(time.Hour) },
	} {
		e := startWatched(t, 2*time.Hour)
		fired := make(chan struct{})
		e.deaf(e.Now().Add(time.Millisecond), func() {
			head := e.AfterFunc(10*InlineBudget, func() {})
			e.deaf(e.Now().Add(20*InlineBudget), func() { close(fired) })
			change(head)
			<-fired
		})
		awaitFiring(t, "a timer behind one that was "+what, fired)
	}
}
