package timingtest

import (
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
// clock, and, where the named module was re-timed into this binary, once more with a manual clock while package time
// stands still, so that a timer which is not on the injected clock never fires. Elsewhere it says that package time is
// all there is.
//
// A goroutine that is left when run returns fails the test.
func InVirtualTime(t *testing.T, module string, run func(t *testing.T, v *VirtualTime)) {
	t.Run("package time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			t.Cleanup(stdtime.SwapForTest(timing.Runtime{}, nil))
			run(t, &VirtualTime{Clock: timing.Runtime{}})
		})
	})
	if !carried(module) {
		t.Logf("%s is on package time in this build, so there is no second run on the injected clock", module)
		return
	}
	t.Run("injected clock", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			clock, began := NewManual(), time.Now()
			t.Cleanup(stdtime.SwapForTest(clock, nil))
			run(t, &VirtualTime{Clock: clock, manual: clock})
			if moved := time.Since(began); moved != 0 {
				t.Errorf("package time moved by %v: something waited on it", moved)
			}
		})
	})
}

// carried reports whether a module was re-timed into this binary.
func carried(module string) bool {
	for _, m := range stdtime.Modules() {
		if m.Path == module {
			return true
		}
	}
	return false
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
