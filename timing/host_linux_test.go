package timing_test

import (
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

func TestReadHostFiles(t *testing.T) {
	cases := []struct {
		name           string
		online, source string
		wantCPUs       []int
		wantSource     string
	}{
		{"two processors", "0-1\n", "tsc\n", []int{0, 1}, "tsc"},
		{"with gaps", "0,2-3,7\n", "kvm-clock\n", []int{0, 2, 3, 7}, "kvm-clock"},
		{"malformed list", "0-x\n", "hpet\n", nil, "hpet"},
		{"empty", "\n", "\n", nil, ""},
	}
	for _, c := range cases {
		h := timing.ReadHostFrom(fstest.MapFS{
			"sys/devices/system/cpu/online":                                   hostFile(c.online),
			"sys/devices/system/clocksource/clocksource0/current_clocksource": hostFile(c.source),
		})
		if !slices.Equal(h.OnlineCPUs, c.wantCPUs) || h.ClockSource != c.wantSource {
			t.Errorf("%s: processors %v, clock source %q, want %v and %q", c.name, h.OnlineCPUs, h.ClockSource, c.wantCPUs, c.wantSource)
		}
	}
}

func hostFile(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestReadHostByCalls(t *testing.T) {
	before := openDescriptors(t)
	for range 3 {
		h := timing.ReadHostFrom(fstest.MapFS{})
		if len(h.Affinity) == 0 || h.TimerSlack < 0 || !strings.HasPrefix(h.Kernel, "Linux ") {
			t.Errorf("affinity %v, slack %v, kernel %q without files, want them from system calls", h.Affinity, h.TimerSlack, h.Kernel)
		}
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors open after three readings, want the %d of before", after, before)
	}
}

func TestRealTimeGrants(t *testing.T) {
	const initial, other = "user:[4026531837]", "user:[4026532213]"
	cases := []struct {
		name      string
		capable   bool
		namespace string
		limit     uint64
		want      int
		why       string
	}{
		{"capability", true, initial, 0, 99, "CAP_SYS_NICE"},
		{"limit of the unit", false, initial, 10, 10, "RLIMIT_RTPRIO"},
		{"no bound", false, initial, math.MaxUint64, 99, "RLIMIT_RTPRIO"},
		{"capability of a namespace", true, other, 0, 0, "does not count"},
		{"capability of a namespace, and a limit", true, other, 5, 5, "RLIMIT_RTPRIO"},
		{"namespace hidden", true, "", 0, 0, "unknown"},
		{"neither", false, initial, 0, 0, "LimitRTPRIO="},
	}
	for _, c := range cases {
		got := timing.GrantRealTime(c.capable, c.namespace, c.limit)
		if got.MaxPriority != c.want || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: %+v, want priority %d and %q", c.name, got, c.want, c.why)
		}
	}
}

func TestNoRealTimeBandwidth(t *testing.T) {
	root := v1Host("/docker/abc", "/docker/abc", "sys/fs/cgroup/cpu", "-1", "100000", "")
	root["sys/fs/cgroup/cpu/cpu.rt_runtime_us"] = hostFile("0\n")
	got := timing.ReadHostFrom(root).RealTime
	if got.MaxPriority != 0 || !strings.Contains(got.Why, "/sys/fs/cgroup/cpu has no real-time bandwidth") {
		t.Errorf("%+v, want the group named as the reason", got)
	}
}

func TestIOUringRefusals(t *testing.T) {
	sysctl := func(setting string) fs.FS {
		return fstest.MapFS{"proc/sys/kernel/io_uring_disabled": hostFile(setting + "\n")}
	}
	cases := []struct {
		name string
		err  error
		root fs.FS
		want string
	}{
		{"old kernel", unix.ENOSYS, sysctl("0"), "no io_uring"},
		{"sysctl", unix.EPERM, sysctl("2"), "kernel.io_uring_disabled is 2"},
		{"sysctl for a group", unix.EPERM, sysctl("1"), "kernel.io_uring_group"},
		{"filter", unix.EPERM, sysctl("0"), "a system-call filter forbids it"},
		{"sysctl hidden by the unit", unix.EPERM, fstest.MapFS{}, "cannot be read here"},
		{"locked memory", unix.ENOMEM, sysctl("0"), "io_uring_setup: cannot allocate memory"},
	}
	for _, c := range cases {
		if got := timing.RefusedIOUring(c.err, c.root); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", c.name, got, c.want)
		}
	}
}
