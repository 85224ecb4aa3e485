package timing_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tourbillon/timing"
)

// withQuota is a host with one limit of half a processor and the given counters.
func withQuota(group string, throttled int64, stopped time.Duration) timing.Host {
	return timing.Host{CPU: timing.CPULimits{Version: 2, Quotas: []timing.CPUQuota{{
		Group: group, Quota: 50 * time.Millisecond, Period: 100 * time.Millisecond,
		Throttling: timing.Throttling{Counted: true, Periods: 300, Throttled: throttled, ThrottledTime: stopped},
	}}}}
}

func TestCauseNamesTheQuota(t *testing.T) {
	const group = "/sys/fs/cgroup/tourbillon.service"
	uncounted := withQuota(group, 0, 0)
	uncounted.CPU.Quotas[0].Throttling = timing.Throttling{}
	nested := func(inner, outer int64) timing.Host {
		h := withQuota(group, inner, time.Duration(inner)*10*time.Millisecond)
		slice := withQuota("/sys/fs/cgroup", outer, time.Duration(outer)*10*time.Millisecond).CPU.Quotas[0]
		slice.Quota = 200 * time.Millisecond
		h.CPU.Quotas = append(h.CPU.Quotas, slice)
		return h
	}
	cases := []struct {
		name          string
		before, after timing.Host
		want          string
	}{
		{"no quota", timing.Host{}, timing.Host{}, ""},
		{"a quota that did not bite", withQuota(group, 7, time.Second), withQuota(group, 7, time.Second), ""},
		{"stopped", withQuota(group, 7, time.Second), withQuota(group, 19, 1600*time.Millisecond),
			"the CPU quota of 500 millicores stopped the process 12 times for 0.6 s in all: no user-space timer survives that"},
		{"stopped once", withQuota(group, 0, 0), withQuota(group, 1, 62_512*time.Microsecond),
			"the CPU quota of 500 millicores stopped the process once for 0.063 s in all: no user-space timer survives that"},
		{"the slice around it bites", nested(5, 5), nested(5, 105),
			"the CPU quota of 2000 millicores stopped the process 100 times for 1 s in all: no user-space timer survives that"},
		{"counters that began anew", withQuota(group, 19, time.Second), withQuota(group, 3, time.Millisecond), ""},
		{"moved to another group", withQuota("/other", 0, 0), withQuota(group, 19, time.Second), ""},
		{"not counted before", uncounted, withQuota(group, 19, time.Second), ""},
		{"not counted any more", withQuota(group, 19, time.Second), uncounted, ""},
	}
	for _, c := range cases {
		if got := timing.Cause(c.before, c.after); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestHostLines(t *testing.T) {
	h := withQuota("/sys/fs/cgroup", 12, 600*time.Millisecond)
	h.Kernel, h.ClockSource, h.MaxProcs = "Linux 6.18.44", "tsc", 4
	h.OnlineCPUs, h.Affinity = []int{0, 1, 2, 3, 8}, []int{2}
	h.TimerSlack = 50 * time.Microsecond
	h.RealTime = timing.RealTime{MaxPriority: 10, Why: "RLIMIT_RTPRIO"}
	h.IOUring = timing.IOUring{Usable: true}
	h.Pauses = timing.GCPauses{Cycles: 300, Recent: 256, P50: 20 * time.Microsecond, P99: 90 * time.Microsecond, Max: time.Millisecond}
	want := [][2]string{
		{"Kernel", "Linux 6.18.44"},
		{"Processors", "online 0-3,8, allowed 2, GOMAXPROCS 4"},
		{"Clock source", "tsc"},
		{"Timer slack", "50µs"},
		{"SCHED_FIFO", "granted up to priority 10: RLIMIT_RTPRIO"},
		{"io_uring", "usable"},
		{"CPU quota", "500 millicores (50ms in each 100ms), stopped in 12 of 300 periods for 0.6 s"},
		{"GC pauses", "p50 20µs, p99 90µs, max 1ms over the last 256 of 300"},
	}
	checkLines(t, h.Lines(), want)
}

func TestHostLinesSayWhatIsUnknown(t *testing.T) {
	h := timing.Host{
		MaxProcs: 2, TimerSlack: timing.UnknownSlack,
		RealTime: timing.RealTime{Why: "not tried"}, IOUring: timing.IOUring{Why: "EPERM"},
		CPU: timing.CPULimits{Unknown: "no /proc"},
	}
	want := [][2]string{
		{"Kernel", "unknown"},
		{"Processors", "online unknown, allowed unknown, GOMAXPROCS 2"},
		{"Clock source", "unknown"},
		{"Timer slack", "unknown"},
		{"SCHED_FIFO", "not granted: not tried"},
		{"io_uring", "not usable: EPERM"},
		{"CPU quota", "unknown: no /proc"},
		{"GC pauses", "no collection yet"},
	}
	checkLines(t, h.Lines(), want)
	quota := withQuota("/sys/fs/cgroup", 0, 0)
	quota.CPU.Quotas[0].Throttling = timing.Throttling{}
	quota.CPU.Unknown = "cpu.stat is malformed"
	if got, want := quota.Lines()[6][1], "500 millicores (50ms in each 100ms); unknown: cpu.stat is malformed"; got != want {
		t.Errorf("a quota without counters: %q, want %q", got, want)
	}
	if got := (timing.Host{}).Lines()[6][1]; got != "none" {
		t.Errorf("no quota: %q, want none", got)
	}
}

func checkLines(t *testing.T, got, want [][2]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %q, want %q", got[i], want[i])
		}
	}
}

func TestReadHostHere(t *testing.T) {
	runtime.GC()
	h := timing.ReadHost()
	if h.MaxProcs != runtime.GOMAXPROCS(0) || h.Kernel == "" {
		t.Errorf("GOMAXPROCS %d and kernel %q, want this process's", h.MaxProcs, h.Kernel)
	}
	if h.Pauses.Cycles < 1 || h.Pauses.Recent < 1 || h.Pauses.P50 > h.Pauses.P99 || h.Pauses.P99 > h.Pauses.Max || h.Pauses.Max == 0 {
		t.Errorf("collector pauses %+v after a collection, want p50 ≤ p99 ≤ max", h.Pauses)
	}
	runtime.GC()
	again := h.Refreshed()
	if again.Pauses.Cycles <= h.Pauses.Cycles || again.Kernel != h.Kernel {
		t.Errorf("refreshed: %+v, want a further cycle on the same kernel", again.Pauses)
	}
	if again.IOUring != h.IOUring || h.IOUring.Usable == (h.IOUring.Why != "") {
		t.Errorf("io_uring %+v then %+v, want it unchanged and a reason exactly where it is not usable", h.IOUring, again.IOUring)
	}
}

// TestReadHostOfAnEmptyRoot is a process that may read no file at all: system calls still tell the rest.
func TestReadHostOfAnEmptyRoot(t *testing.T) {
	h := timing.ReadHostFrom(fstest.MapFS{})
	if h.ClockSource != "" || h.OnlineCPUs != nil || h.CPU.Version != 0 || h.CPU.Unknown == "" {
		t.Errorf("%+v, want what is in files unknown", h)
	}
	if h.MaxProcs < 1 {
		t.Errorf("GOMAXPROCS %d, want what the runtime says", h.MaxProcs)
	}
}

func TestHostAsJSON(t *testing.T) {
	text, err := json.Marshal(withQuota("/sys/fs/cgroup", 12, 600*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"quota_ns":50000000`, `"nr_throttled":12`, `"throttled_ns":600000000`, `"timer_slack_ns":`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}
