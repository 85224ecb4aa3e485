//go:build linux

package bench

import (
	"context"
	"strings"
	"testing"
)

func TestArmsServeTheirGrid(t *testing.T) {
	for _, name := range armNames {
		t.Run(name, func(t *testing.T) {
			trial := short(name, loadIdle)
			o := *ask(t, order{Trial: &trial}, true).Trial
			// Each of the 5 timers has 30 deadlines in 300 ms.
			if o.Fires != 150 || o.Early != 0 {
				t.Errorf("%d fires, %d early, want 150 and none", o.Fires, o.Early)
			}
			if o.P50NS <= 0 || o.P50NS > o.P90NS || o.P90NS > o.P99NS || o.P99NS > o.P999NS || o.P999NS > o.MaxNS {
				t.Errorf("percentiles do not grow: %+v", o.Row)
			}
			if o.CPUNS <= 0 || o.GOMAXPROCS < 1 || o.Policy == "" {
				t.Errorf("cpu_ns %d, gomaxprocs %d, policy %q: each has to be known", o.CPUNS, o.GOMAXPROCS, o.Policy)
			}
			if o.Arm != name || o.Load != loadIdle || o.Timers != 5 || o.IntervalNS != int64(trial.Interval) {
				t.Errorf("the row tells of another trial: %+v", o.Row)
			}
		})
	}
}

func TestLoadsLeaveTheGridServed(t *testing.T) {
	for _, load := range []string{loadServer2, loadServer50, loadBusy, loadGC} {
		t.Run(load, func(t *testing.T) {
			trial := short(armRuntime, load)
			o := *ask(t, order{Trial: &trial}, true).Trial
			if o.Fires != 150 || o.Early != 0 {
				t.Errorf("%d fires, %d early, want 150 and none", o.Fires, o.Early)
			}
			// Five timers alone spend some thousandths of the window; the load spends what others leave of the CPUs.
			if o.CPUNS < int64(trial.Window)/30 {
				t.Errorf("%d ns of CPU spent in %v: was there a load?", o.CPUNS, trial.Window)
			}
		})
	}
}

func TestWithoutRealTime(t *testing.T) {
	trial := short(armHRTimer, loadIdle)
	o := *ask(t, order{Trial: &trial}, false).Trial
	if strings.Contains(o.Policy, "FIFO") {
		t.Errorf("policy %q although real-time scheduling was given up", o.Policy)
	}
	if o.Fires != 150 {
		t.Errorf("%d fires, want 150", o.Fires)
	}
}

func TestChildErrors(t *testing.T) {
	for _, c := range []struct{ name, input, want string }{
		{"nothing", "", "read the order"},
		{"no JSON", "timers", "read the order"},
		{"an empty order", "{}", "asks for nothing"},
		{"an unknown arm", `{"trial":{"arm":"sundial"}}`, `no arm "sundial"`},
	} {
		err := Child(nil, strings.NewReader(c.input), &strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := Child([]string{argPrepare}, strings.NewReader(""), nil); err == nil {
		t.Error("a child whose parent has gone executes itself again")
	}
}

func TestLaunchTellsTheChildsError(t *testing.T) {
	launch, err := newLauncher(true)
	if err != nil {
		t.Fatal(err)
	}
	_, err = launch.run(t.Context(), order{Trial: &trial{Arm: "sundial"}}, nil)
	if err == nil || !strings.Contains(err.Error(), `no arm "sundial"`) {
		t.Errorf("%v, want the child's own words", err)
	}
}

func TestLaunchEndsWithItsContext(t *testing.T) {
	launch, err := newLauncher(true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	trial := short(armRuntime, loadIdle)
	if _, err := launch.run(ctx, order{Trial: &trial}, nil); err == nil {
		t.Error("a cancelled run gives an answer")
	}
}
