package stdcontext_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tourbillon/timing/stdcontext"
	"tourbillon/timing/stdtime"
	"tourbillon/timing/timingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// contexts is package context, or what stands in for it, with the way in which its time passes.
type contexts struct {
	withTimeout       func(context.Context, time.Duration) (context.Context, context.CancelFunc)
	withTimeoutCause  func(context.Context, time.Duration, error) (context.Context, context.CancelFunc)
	withDeadline      func(context.Context, time.Time) (context.Context, context.CancelFunc)
	withDeadlineCause func(context.Context, time.Time, error) (context.Context, context.CancelFunc)

	now  func() time.Time
	pass func(time.Duration)
}

// TestConformance holds package context, as the reference, and this package to the same contract.
func TestConformance(t *testing.T) {
	cases := []struct {
		name string
		run  func(t *testing.T, c contexts)
	}{
		{"ends at the deadline", endsAtDeadline},
		{"cancel", cancelled},
		{"the parent ends", parentEnds},
		{"a parent that has ended", endedParent},
		{"a deadline in the past", pastDeadline},
		{"an earlier deadline of the parent", earlierParent},
		{"a later deadline of the parent", laterParent},
		{"the first end counts", firstEnd},
		{"causes", causes},
		{"functions after the end", afterFuncs},
		{"parents of other kinds", foreignParent},
	}
	for _, c := range cases {
		t.Run(c.name+"/context", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.run(t, contexts{context.WithTimeout, context.WithTimeoutCause, context.WithDeadline, context.WithDeadlineCause,
					time.Now, settled(time.Sleep)})
			})
		})
		t.Run(c.name+"/stdcontext", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := manualClock(t)
				c.run(t, contexts{stdcontext.WithTimeout, stdcontext.WithTimeoutCause, stdcontext.WithDeadline, stdcontext.WithDeadlineCause,
					stdtime.Now, settled(clock.Advance)})
				if clock.Pending() != 0 {
					t.Errorf("%d timers are armed after all contexts have ended", clock.Pending())
				}
			})
		})
	}
}

func settled(pass func(time.Duration)) func(time.Duration) {
	return func(d time.Duration) {
		pass(d)
		synctest.Wait()
	}
}

func manualClock(t *testing.T) *timingtest.Manual {
	t.Helper()
	clock := timingtest.NewManual()
	t.Cleanup(stdtime.SwapForTest(clock, nil))
	return clock
}

// ended fails the test unless the context has ended in this way, or has not where err is nil.
func ended(t *testing.T, ctx context.Context, err, cause error) {
	t.Helper()
	if got, gotCause := ctx.Err(), context.Cause(ctx); !errors.Is(got, err) || !errors.Is(gotCause, cause) {
		t.Errorf("error %v, cause %v, want %v and %v", got, gotCause, err, cause)
	}
	select {
	case <-ctx.Done():
		if err == nil {
			t.Error("done, though it has not ended")
		}
	default:
		if err != nil {
			t.Error("not done, though it has ended")
		}
	}
}

func endsAtDeadline(t *testing.T, c contexts) {
	due := c.now().Add(10 * time.Second)
	ctx, cancel := c.withTimeout(context.Background(), 10*time.Second)
	defer cancel()
	child, cancelChild := context.WithCancel(ctx)
	defer cancelChild()
	if deadline, ok := ctx.Deadline(); !ok || !deadline.Equal(due) {
		t.Errorf("deadline %v, %v, want %v", deadline, ok, due)
	}
	c.pass(10*time.Second - 1)
	ended(t, ctx, nil, nil)
	c.pass(1)
	ended(t, ctx, context.DeadlineExceeded, context.DeadlineExceeded)
	ended(t, child, context.DeadlineExceeded, context.DeadlineExceeded)
}

func cancelled(t *testing.T, c contexts) {
	ctx, cancel := c.withDeadline(context.Background(), c.now().Add(time.Minute))
	child, cancelChild := c.withTimeout(ctx, time.Second)
	defer cancelChild()
	cancel()
	cancel()
	ended(t, ctx, context.Canceled, context.Canceled)
	synctest.Wait()
	ended(t, child, context.Canceled, context.Canceled)
}

func parentEnds(t *testing.T, c contexts) {
	reason := errors.New("hung up")
	type key struct{}
	parent, cancelParent := context.WithCancelCause(context.WithValue(context.Background(), key{}, "value"))
	ctx, cancel := c.withTimeout(parent, time.Minute)
	defer cancel()
	if ctx.Value(key{}) != "value" {
		t.Error("the parent's value is lost")
	}
	ended(t, ctx, nil, nil)
	cancelParent(reason)
	ended(t, ctx, context.Canceled, reason)
}

func endedParent(t *testing.T, c contexts) {
	reason := errors.New("hung up")
	parent, cancelParent := context.WithCancelCause(context.Background())
	cancelParent(reason)
	ctx, cancel := c.withTimeout(parent, time.Minute)
	defer cancel()
	ended(t, ctx, context.Canceled, reason)
}

func pastDeadline(t *testing.T, c contexts) {
	reason := errors.New("too slow")
	for _, d := range []time.Duration{0, -1, -time.Hour} {
		ctx, cancel := c.withDeadlineCause(context.Background(), c.now().Add(d), reason)
		ended(t, ctx, context.DeadlineExceeded, reason)
		cancel()
		ended(t, ctx, context.DeadlineExceeded, reason)
	}
}

func earlierParent(t *testing.T, c contexts) {
	parent, cancelParent := c.withTimeout(context.Background(), time.Second)
	defer cancelParent()
	ctx, cancel := c.withTimeoutCause(parent, time.Minute, errors.New("too slow"))
	defer cancel()
	if deadline, _ := ctx.Deadline(); !deadline.Equal(c.now().Add(time.Second)) {
		t.Errorf("deadline %v, want the parent's", deadline)
	}
	c.pass(time.Second)
	ended(t, ctx, context.DeadlineExceeded, context.DeadlineExceeded)
}

func laterParent(t *testing.T, c contexts) {
	parent, cancelParent := c.withTimeout(context.Background(), time.Minute)
	defer cancelParent()
	ctx, cancel := c.withTimeout(parent, time.Second)
	defer cancel()
	c.pass(time.Second)
	ended(t, ctx, context.DeadlineExceeded, context.DeadlineExceeded)
	ended(t, parent, nil, nil)
}

func firstEnd(t *testing.T, c contexts) {
	slow, hungUp := errors.New("too slow"), errors.New("hung up")
	parent, cancelParent := context.WithCancelCause(context.Background())
	ctx, cancel := c.withTimeoutCause(parent, time.Second, slow)
	c.pass(time.Second)
	cancelParent(hungUp)
	cancel()
	synctest.Wait()
	ended(t, ctx, context.DeadlineExceeded, slow)
}

func causes(t *testing.T, c contexts) {
	slow := errors.New("too slow")
	ctx, cancel := c.withTimeoutCause(context.Background(), time.Second, slow)
	defer cancel()
	child, cancelChild := context.WithCancel(ctx)
	defer cancelChild()
	c.pass(time.Second)
	ended(t, ctx, context.DeadlineExceeded, slow)
	ended(t, child, context.DeadlineExceeded, slow)
	early, cancelEarly := c.withTimeoutCause(context.Background(), time.Second, slow)
	cancelEarly()
	ended(t, early, context.Canceled, context.Canceled)
}

func afterFuncs(t *testing.T, c contexts) {
	ctx, cancel := c.withTimeout(context.Background(), time.Second)
	defer cancel()
	ran := make(chan error, 2)
	context.AfterFunc(ctx, func() { ran <- ctx.Err() })
	stop := context.AfterFunc(ctx, func() { ran <- errors.New("a stopped function ran") })
	if !stop() {
		t.Error("stop of a function that has not run: false, want true")
	}
	c.pass(time.Second)
	if len(ran) != 1 {
		t.Fatalf("%d functions ran, want 1", len(ran))
	}
	if err := <-ran; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the function saw %v, want deadline exceeded", err)
	}
}

// foreign is a context of a type that package context does not know, as pion/ice's task loop is.
type foreign struct {
	context.Context
	done chan struct{}
}

func (f *foreign) Done() <-chan struct{} { return f.done }

func (f *foreign) Err() error {
	select {
	case <-f.done:
		return context.Canceled
	default:
		return nil
	}
}

func foreignParent(t *testing.T, c contexts) {
	parent := &foreign{context.Background(), make(chan struct{})}
	ctx, cancel := c.withTimeout(parent, time.Minute)
	defer cancel()
	close(parent.done)
	synctest.Wait()
	ended(t, ctx, context.Canceled, context.Canceled)
}

// TestEndOfParentIsSeenAtOnce holds what package context does within the call that cancels: no goroutine is between.
func TestEndOfParentIsSeenAtOnce(t *testing.T) {
	manualClock(t)
	parent, cancelParent := context.WithCancel(context.Background())
	ctx, cancel := stdcontext.WithTimeout(parent, time.Minute)
	defer cancel()
	cancelParent()
	if ctx.Err() == nil {
		t.Error("the parent has ended and the context has not")
	}
	<-ctx.Done()
}

// TestLabelIsTheCallers counts this test as a re-timed module.
func TestLabelIsTheCallers(t *testing.T) {
	stdtime.Register(stdtime.Module{Path: "tourbillon/timing/stdcontext_test"})
	clock := timingtest.NewManual()
	meter := newMeter(clock)
	t.Cleanup(stdtime.SwapForTest(clock, meter))
	for _, c := range []func() (context.Context, context.CancelFunc){
		func() (context.Context, context.CancelFunc) { return stdcontext.WithTimeout(t.Context(), 1) },
		func() (context.Context, context.CancelFunc) { return stdcontext.WithTimeoutCause(t.Context(), 1, nil) },
		func() (context.Context, context.CancelFunc) {
			return stdcontext.WithDeadline(t.Context(), clock.Time().Add(1))
		},
		func() (context.Context, context.CancelFunc) {
			return stdcontext.WithDeadlineCause(t.Context(), clock.Time().Add(1), nil)
		},
	} {
		ctx, cancel := c()
		clock.Advance(1)
		<-ctx.Done()
		cancel()
	}
	if labels := meter.Labels(); len(labels) != 1 || labels[0].Name != "timing.stdcontext_test" || labels[0].Total != 4 {
		t.Errorf("labels %+v, want four firings of timing.stdcontext_test", labels)
	}
}

func TestString(t *testing.T) {
	manualClock(t)
	ctx, cancel := stdcontext.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if got, want := fmt.Sprint(ctx), "context.Background.WithDeadline(1970-01-01 01:01:00"; !strings.HasPrefix(got, want) {
		t.Errorf("printed as %q, want %q and so on", got, want)
	}
}

// TestCost holds a context to twice package context's allocation.
func TestCost(t *testing.T) {
	engineClock(t)
	parent, cancelParent := context.WithCancel(context.Background())
	defer cancelParent()
	for name, p := range map[string]context.Context{"of the background": context.Background(), "of a parent": parent} {
		theirs := testing.AllocsPerRun(1000, func() {
			_, cancel := context.WithTimeout(p, time.Hour)
			cancel()
		})
		ours := testing.AllocsPerRun(1000, func() {
			_, cancel := stdcontext.WithTimeout(p, time.Hour)
			cancel()
		})
		if ours > budget*theirs {
			t.Errorf("a context %s: %v allocations, package context %v: want %v times that at most", name, ours, theirs, budget)
		}
	}
	before := runtime.NumGoroutine()
	const contexts = 100
	for range contexts {
		_, cancel := stdcontext.WithTimeout(parent, time.Hour)
		defer cancel()
	}
	if after := runtime.NumGoroutine(); after > before+contexts/2 { // The engine may start a few of its own.
		t.Errorf("%d goroutines with %d contexts, %d before", after, contexts, before)
	}
}
