package timingtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
	"tourbillon/timing/timingtest"
)

// witness takes down what a check says instead of failing.
type witness struct {
	testing.TB
	errors []string
	log    string
}

func (*witness) Helper()                           {}
func (w *witness) Log(args ...any)                 { w.log += fmt.Sprint(args...) }
func (w *witness) Logf(format string, args ...any) { w.log += fmt.Sprintf(format, args...) }
func (w *witness) Errorf(format string, args ...any) {
	w.errors = append(w.errors, fmt.Sprintf(format, args...))
}

func TestScheduleCanFail(t *testing.T) {
	s := timingtest.NewSchedule("p", "RFC 1", "send", []int64{0, 500, 1500}, []int64{0, 500}).
		Then("failure", 2*time.Second, time.Second)
	const start, ms = timing.Instant(-7), timing.Instant(time.Millisecond)
	for _, c := range []struct {
		seen []timing.Instant
		want string
	}{
		{[]timing.Instant{start, start + 500*ms, start + 1000*ms}, ""},
		{[]timing.Instant{start, start + 500*ms + 1, start + 1000*ms}, "p: send 2 at 500.000001ms, want 500ms"},
		{[]timing.Instant{start, start + 500*ms}, "p: failure at -, want 1s"},
		{[]timing.Instant{start, start + 500*ms, start + 1000*ms, start + 1500*ms}, "p: one step more at 1.5s"},
	} {
		w := &witness{}
		s.Check(w, start, c.seen)
		if got := strings.Join(w.errors, "; "); got != c.want {
			t.Errorf("%v: %q, want %q", c.seen, got, c.want)
		}
		for _, row := range []string{"p, beside RFC 1", "send 3", "(not as the standard)"} {
			if !strings.Contains(w.log, row) {
				t.Errorf("no %q in the table\n%s", row, w.log)
			}
		}
	}
}

// TestPassStepsThroughDeadlines holds that what a goroutine arms in answer to a firing counts from that firing, however
// far time passes at once.
func TestPassStepsThroughDeadlines(t *testing.T) {
	onEachClock(t, func(t *testing.T, s timingtest.Subject) {
		v := timingtest.VirtualTimeOf(s.Clock)
		start, fired := s.Clock.Now(), []timing.Instant{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 3 {
				tick := make(chan struct{})
				s.Clock.AfterFunc(time.Second, func() { close(tick) })
				<-tick
				fired = append(fired, s.Clock.Now())
			}
		}()
		v.Pass(time.Minute)
		<-done
		timingtest.NewSchedule("ticks", "their own definition", "tick", []int64{1000, 2000, 3000}, []int64{1000, 2000, 3000}).Check(t, start, fired)
		if now := s.Clock.Now().Sub(start); now != time.Minute {
			t.Errorf("a minute took %v", now)
		}
	})
}

// TestUnderLoadMeters arms timers through package stdtime, whose callers here are no re-timed module.
func TestUnderLoadMeters(t *testing.T) {
	if !timingtest.Alone(t) {
		return
	}
	labels := timingtest.UnderLoad(t, func(clock timing.Clock) {
		for range 3 {
			<-stdtime.After(time.Millisecond)
		}
	})
	if len(labels) != 1 || labels[0].Name != "other" || labels[0].Total != 3 || labels[0].Early != 0 {
		t.Errorf("labels %+v, want three firings of \"other\"", labels)
	}
}
