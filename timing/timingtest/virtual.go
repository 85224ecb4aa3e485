package timingtest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
)

// VirtualTime is a bubble of virtual time around code whose timers are package time's, or package stdtime's where its
// module was re-timed.
type VirtualTime struct {
	// Clock is what the code's timers run on.
	Clock timing.Clock
	// manual is nil where package time itself is the clock.
	manual *Manual
}

// InVirtualTime runs a test in bubbles of virtual time (package testing/synctest): once with package time as the process
// clock, and, in a re-timed build, once more with a manual clock while package time stands still, so that a timer which
// is not on the injected clock never fires. In a build with pion as published it says that package time is all there is;
// a build that carries other modules but not the named one fails.
//
// The runs have a process of their own ([Alone]). A goroutine that is left when run returns fails the test.
func InVirtualTime(t *testing.T, module string, run func(t *testing.T, v *VirtualTime)) {
	t.Helper()
	if !Alone(t) {
		return
	}
	t.Run("package time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			t.Cleanup(stdtime.SwapForTest(timing.Runtime{}, nil))
			run(t, VirtualTimeOf(timing.Runtime{}))
		})
	})
	switch carried := stdtime.Modules(); {
	case len(carried) == 0:
		t.Logf("%s is on package time in this build, so there is no second run on the injected clock", module)
		return
	case !slices.ContainsFunc(carried, func(m stdtime.Module) bool { return m.Path == module }):
		t.Errorf("%s is on package time in a build that carries %d other modules: run make retime", module, len(carried))
		return
	}
	t.Run("injected clock", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			clock, began := NewManual(), time.Now()
			t.Cleanup(stdtime.SwapForTest(clock, nil))
			run(t, VirtualTimeOf(clock))
			if moved := time.Since(began); moved != 0 {
				t.Errorf("package time moved by %v: something waited on it", moved)
			}
		})
	})
}

// VirtualTimeOf is for a bubble of the caller's own: the clock is a [Manual] or one that follows package time.
func VirtualTimeOf(clock timing.Clock) *VirtualTime {
	manual, _ := clock.(*Manual)
	return &VirtualTime{Clock: clock, manual: manual}
}

// Pass lets time pass by d. At each instant at which a timer fires it waits until all goroutines have done what they
// can, so that what they arm then counts from that instant.
func (v *VirtualTime) Pass(d time.Duration) {
	synctest.Wait()
	if v.manual == nil {
		Real(v.Clock).Pass(d)
		synctest.Wait()
		return
	}
	end := v.manual.Now().Add(d)
	for {
		next, armed := v.manual.Next()
		if !armed || next > end {
			break
		}
		v.manual.AdvanceTo(next)
		synctest.Wait()
	}
	v.manual.AdvanceTo(end)
	synctest.Wait()
}

// Settle waits until all goroutines have done what they can at this instant.
func (v *VirtualTime) Settle() { synctest.Wait() }
