//go:build linux

package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tourbillon/timing"
)

func TestFindCPUCgroup(t *testing.T) {
	const (
		v1    = "31 24 0:27 / /sys/fs/cgroup/cpu rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
		v1Set = "32 24 0:28 / /sys/fs/cgroup/cpuset rw,nosuid - cgroup cgroup rw,cpuset\n"
		v2    = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		disk  = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
	)
	for _, c := range []struct {
		name, cgroup, mounts string
		want                 cgroupPlace
	}{
		{"version 2", "0::/user.slice/a.scope\n", disk + v2, cgroupPlace{2, "/sys/fs/cgroup/user.slice/a.scope"}},
		{"version 1", "4:memory:/m\n3:cpu,cpuacct:/a/b\n0::/\n", v1Set + v1, cgroupPlace{1, "/sys/fs/cgroup/cpu/a/b"}},
		{"both", "3:cpu,cpuacct:/a\n0::/u\n", v2 + v1, cgroupPlace{1, "/sys/fs/cgroup/cpu/a"}},
		{"the mount shows a part", "0::/docker/x/y\n", strings.Replace(v2, " / /sys", " /docker/x /sys", 1), cgroupPlace{2, "/sys/fs/cgroup/y"}},
		{"outside of the mount", "0::/../other\n", v2, cgroupPlace{2, "/sys/fs/cgroup"}},
		{"none", "0::/\n", disk + v1Set, cgroupPlace{}},
	} {
		read := func(name string) ([]byte, error) {
			if name == "/proc/self/cgroup" {
				return []byte(c.cgroup), nil
			}
			return []byte(c.mounts), nil
		}
		got, err := findCPUCgroup(read)
		if got != c.want || (err != nil) != (c.want.dir == "") {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
	if _, err := findCPUCgroup(func(string) ([]byte, error) { return nil, fs.ErrPermission }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a hidden /proc: %v", err)
	}
}

func TestQuotaSettings(t *testing.T) {
	if got, want := quotaSettings(2, 20), []cgroupSetting{{"cpu.max", "2000 100000"}}; !slices.Equal(got, want) {
		t.Errorf("version 2: %v, want %v", got, want)
	}
	if got, want := quotaSettings(1, 500), []cgroupSetting{{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", "50000"}}; !slices.Equal(got, want) {
		t.Errorf("version 1: %v, want %v", got, want)
	}
}

func TestMillicores(t *testing.T) {
	quota := func(ms ...time.Duration) (limits timing.CPULimits) {
		for _, m := range ms {
			limits.Quotas = append(limits.Quotas, timing.CPUQuota{Quota: m * time.Millisecond, Period: 100 * time.Millisecond})
		}
		return limits
	}
	for want, limits := range map[int]timing.CPULimits{0: quota(), 20: quota(2), 1500: quota(150), 100: quota(50, 10, 200)} {
		if got := millicores(limits); got != want {
			t.Errorf("%v: %d, want %d", limits, got, want)
		}
	}
}

// TestQuota runs the tightest load where a cgroup can be made, and holds that it is said where none can.
func TestQuota(t *testing.T) {
	before := cgroupsOfOurs(t)
	out, said := timers(t, "--arm", "runtime", "--load", "quota-20m", "--timers", "1", "--interval", "10ms", "--duration", "500ms", "--json")
	var r Report
	decode(t, out, &r)
	if strings.Contains(said, "left out") {
		if len(r.Rows) != 0 {
			t.Errorf("no cgroup, and %d rows", len(r.Rows))
		}
		return
	}
	if len(r.Rows) != 1 || r.Rows[0].Load != "quota-20m" {
		t.Fatalf("rows %+v, want the one", r.Rows)
	}
	// The load asks for five times the quota: the program stands still for most of each 100 ms.
	if late := r.Rows[0].P90NS; late < 20_000_000 {
		t.Errorf("p90 is %d ns late under a quota of 20 millicores: was it in force?", late)
	}
	if after := cgroupsOfOurs(t); !slices.Equal(before, after) {
		t.Errorf("cgroups left behind: %v", after)
	}
}

func cgroupsOfOurs(t *testing.T) (names []string) {
	t.Helper()
	at, err := findCPUCgroup(os.ReadFile)
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir(at.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), fmt.Sprintf("tourbillon-bench-%d-", os.Getpid())) { // Others may measure at the same time.
			names = append(names, e.Name())
		}
	}
	return names
}
