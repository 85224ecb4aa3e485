//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tourbillon/timing/timingtest"
)

// TestMain makes this test binary the measuring process that Timers starts by executing itself.
func TestMain(m *testing.M) {
	timingtest.Children(func() error { return Child(os.Args[2:], os.Stdin, os.Stdout) })
	goleak.VerifyTestMain(m)
}

// patience bounds every wait in these tests; reaching it is a failure.
const patience = 2 * time.Minute

// short is a trial that a test can wait for.
func short(arm, load string) trial {
	return trial{
		Arm: arm, Load: load, Timers: 5, Interval: 10 * time.Millisecond,
		WarmUp: 100 * time.Millisecond, Window: 300 * time.Millisecond, Work: 10_000,
	}
}

// ask has a measuring process carry out an order.
func ask(t *testing.T, o order, realTime bool) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	launch, err := newLauncher(realTime)
	if err != nil {
		t.Fatal(err)
	}
	a, err := launch.run(ctx, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// timers runs the command.
func timers(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs strings.Builder
	if err := Timers(ctx, args, &out, &errs); err != nil {
		t.Fatalf("bench timers %v: %v\n%s", args, err, errs.String())
	}
	return out.String(), errs.String()
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}
