//go:build linux

package bench

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args          string
		wrong, remedy string
	}{
		{"--arm sundial", `no arm "sundial"`, "runtime, netpoll, hrtimer"},
		{"--arm runtime,", `no arm ""`, "runtime"},
		{"--load storm", `no load "storm"`, "server-50"},
		{"--timers 0", "--timers 0", "from 1"},
		{"--timers 100001", "--timers 100001", "to 100000"},
		{"--timers many", "many", "help"},
		{"--interval 99us", "--interval 99µs", "100µs"},
		{"--duration 10ms", "--duration 10ms", "one interval, 20ms"},
		{"--duration 61m", "--duration 1h1m0s", "1h0m0s"},
		{"--timers 100000 --interval 1ms --duration 1m", "100000 timers each 1ms", "50000000"},
		{"--runs 0", "--runs 0", "at least 1"},
		{"--runs -2", "--runs -2", "at least 1"},
		{"--rt maybe", "on or off", "help"},
		{"--table tides", `no table "tides"`, "afterfunc, requests"},
		{"--suite --table quota", "--suite with --table", "one of the two"},
		{"--suite --load idle", "--suite with --load", "leave it out"},
		{"--suite --timers 5", "--suite with --timers", "leave it out"},
		{"--table create --plot x.html", "--plot with --table", "leave one out"},
		{"--colour red", "colour", "help"},
		{"now", `"now"`, "--"},
	} {
		_, err := parseOptions(strings.Fields(c.args))
		var usage *UsageError
		if !errors.As(err, &usage) {
			t.Errorf("%s: %v, want a UsageError", c.args, err)
			continue
		}
		if !strings.Contains(usage.Wrong, c.wrong) || !strings.Contains(usage.Remedy, c.remedy) {
			t.Errorf("%s: %q, want %q and the remedy %q", c.args, err, c.wrong, c.remedy)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.arms, []string{armRuntime, armHRTimer}) || !slices.Equal(o.loads, []string{loadIdle}) || o.runs != 1 || !o.realTime {
		t.Errorf("defaults %+v", o)
	}
	o, err = parseOptions(strings.Fields("--arm wire,runtime-send,wire --load server,idle,quota,server-2 --rt off --interval 1ms --duration 1s --runs 3 --json"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{armWire, armRuntimeSend}; !slices.Equal(o.arms, want) {
		t.Errorf("arms %v, want %v", o.arms, want)
	}
	if want := []string{loadServer2, loadServer50, loadIdle, "quota-20m", "quota-100m", "quota-500m"}; !slices.Equal(o.loads, want) {
		t.Errorf("loads %v, want %v", o.loads, want)
	}
	if o.realTime || o.interval != time.Millisecond || o.duration != time.Second || o.runs != 3 || !o.asJSON {
		t.Errorf("options %+v", o)
	}
	if o, err = parseOptions([]string{"--suite"}); err != nil || o.runs != suiteRuns {
		t.Errorf("--suite: %d runs, %v, want %d", o.runs, err, suiteRuns)
	}
}
