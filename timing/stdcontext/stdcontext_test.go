package stdcontext_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tourbillon/timing/stdcontext"
	"tourbillon/timing/stdtime"
	"tourbillon/timing/timingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func manualClock(t *testing.T) *timingtest.Manual {
	t.Helper()
	clock := timingtest.NewManual()
	t.Cleanup(stdtime.SwapForTest(clock, nil))
	return clock
}

func TestTimeoutEndsChildrenWithDeadlineExceeded(t *testing.T) {
	clock := manualClock(t)
	ctx, cancel := stdcontext.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	child, cancelChild := context.WithCancel(ctx)
	defer cancelChild()
	clock.Advance(10*time.Second - 1)
	if err := ctx.Err(); err != nil {
		t.Fatalf("ended %v before the deadline", err)
	}
	clock.Advance(1)
	<-ctx.Done()
	<-child.Done()
	for name, c := range map[string]context.Context{"context": ctx, "child": child} {
		if !errors.Is(c.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(c), context.DeadlineExceeded) {
			t.Errorf("%s: error %v, cause %v, want deadline exceeded", name, c.Err(), context.Cause(c))
		}
	}
}

func TestCancelStopsTheTimer(t *testing.T) {
	clock := manualClock(t)
	ctx, cancel := stdcontext.WithTimeout(context.Background(), time.Second)
	cancel()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("error %v, want canceled", ctx.Err())
	}
	if clock.Pending() != 0 {
		t.Errorf("%d timers pending after cancel, want 0", clock.Pending())
	}
}

func TestParentEndsContext(t *testing.T) {
	clock := manualClock(t)
	reason := errors.New("hung up")
	parent, cancelParent := context.WithCancelCause(context.WithValue(context.Background(), t, "value"))
	ctx, cancel := stdcontext.WithDeadline(parent, clock.Time().Add(time.Minute))
	defer cancel()
	if ctx.Value(t) != "value" {
		t.Error("the parent's value is lost")
	}
	cancelParent(reason)
	if ctx.Err() == nil {
		t.Error("the parent has ended and the context has not")
	}
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.Canceled) || !errors.Is(context.Cause(ctx), reason) {
		t.Errorf("error %v, cause %v, want canceled and the parent's cause", ctx.Err(), context.Cause(ctx))
	}
}

func TestDeadlineInThePastIsOverAtOnce(t *testing.T) {
	clock := manualClock(t)
	ctx, cancel := stdcontext.WithDeadline(context.Background(), clock.Time())
	defer cancel()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("error %v, want deadline exceeded", ctx.Err())
	}
}

func TestEndedParentIsSeenAtOnce(t *testing.T) {
	clock := manualClock(t)
	parent, cancelParent := context.WithCancel(context.Background())
	cancelParent()
	ctx, cancel := stdcontext.WithTimeout(parent, time.Minute)
	defer cancel()
	if !errors.Is(ctx.Err(), context.Canceled) || clock.Pending() != 0 {
		t.Errorf("error %v and %d timers, want canceled and none", ctx.Err(), clock.Pending())
	}
}

func TestEarlierParentDeadlineWins(t *testing.T) {
	clock := manualClock(t)
	parent, cancelParent := stdcontext.WithTimeout(context.Background(), time.Second)
	defer cancelParent()
	ctx, cancel := stdcontext.WithTimeoutCause(parent, time.Minute, errors.New("too slow"))
	defer cancel()
	clock.Advance(time.Second)
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("error %v, want the parent's deadline exceeded", ctx.Err())
	}
}
