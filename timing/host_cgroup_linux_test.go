package timing_test

import (
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tourbillon/timing"
)

const (
	statV1 = "nr_periods 300\nnr_throttled 12\nthrottled_time 600000000\nnr_bursts 0\nburst_time 0\n"
	statV2 = "usage_usec 7000000\nuser_usec 5000000\nsystem_usec 2000000\nnr_periods 300\nnr_throttled 12\nthrottled_usec 600000\n"
	// mountsV2 is a machine with version 2 alone, mountsHybrid one with the cpu controller in version 1 beside it.
	mountsV2     = "25 30 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountsHybrid = "24 20 0:23 / /proc rw - proc proc rw\n" +
		"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 master:2 - cgroup cgroup rw,cpu,cpuacct\n" +
		"33 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" +
		"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)

// hostRoot is a root with the two files of /proc/self and more.
func hostRoot(membership, mounts string, more fstest.MapFS) fstest.MapFS {
	root := fstest.MapFS{"proc/self/cgroup": hostFile(membership), "proc/self/mountinfo": hostFile(mounts)}
	maps.Copy(root, more)
	return root
}

// v1Host is a root in which the process is in group, of which the mount shows the part below shown.
func v1Host(group, shown, folder, quota, period, stat string) fstest.MapFS {
	return hostRoot("4:memory:/elsewhere\n1:cpu,cpuacct:"+group+"\n",
		"32 31 0:29 "+shown+" /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n",
		fstest.MapFS{
			folder + "/cpu.cfs_quota_us":  hostFile(quota + "\n"),
			folder + "/cpu.cfs_period_us": hostFile(period + "\n"),
			folder + "/cpu.stat":          hostFile(stat),
		})
}

func v2Host(group string, files fstest.MapFS) fstest.MapFS {
	return hostRoot("0::"+group+"\n", mountsV2, files)
}

// halfProcessor is the limit of half a processor that most fixtures set, in the given group.
func halfProcessor(group string) timing.CPUQuota {
	return timing.CPUQuota{
		Group: group, Quota: 50 * time.Millisecond, Period: 100 * time.Millisecond,
		Throttling: timing.Throttling{Counted: true, Periods: 300, Throttled: 12, ThrottledTime: 600 * time.Millisecond},
	}
}

func TestReadCPULimits(t *testing.T) {
	const service = "/system.slice/tourbillon.service"
	const folder = "sys/fs/cgroup" + service
	double := halfProcessor("/sys/fs/cgroup/system.slice")
	double.Quota = 200 * time.Millisecond
	cases := []struct {
		name    string
		root    fstest.MapFS
		version int
		want    []timing.CPUQuota
	}{
		{"v1", v1Host("/web/a", "/", "sys/fs/cgroup/cpu/web/a", "50000", "100000", statV1), 1,
			[]timing.CPUQuota{halfProcessor("/sys/fs/cgroup/cpu/web/a")}},
		{"v1, no limit", v1Host("/", "/", "sys/fs/cgroup/cpu", "-1", "100000", statV1), 1, nil},
		{"v1 in a container", v1Host("/docker/abc", "/docker/abc", "sys/fs/cgroup/cpu", "50000", "100000", statV1), 1,
			[]timing.CPUQuota{halfProcessor("/sys/fs/cgroup/cpu")}},
		{"v2", v2Host(service, fstest.MapFS{folder + "/cpu.max": hostFile("50000 100000\n"), folder + "/cpu.stat": hostFile(statV2)}), 2,
			[]timing.CPUQuota{halfProcessor("/" + folder)}},
		{"v2, no limit", v2Host(service, fstest.MapFS{folder + "/cpu.max": hostFile("max 100000\n")}), 2, nil},
		{"v2, controller not enabled", v2Host(service, fstest.MapFS{folder + "/cpu.stat": hostFile("usage_usec 1\n")}), 2, nil},
		{"v2 in a container", v2Host("/", fstest.MapFS{
			"sys/fs/cgroup/cpu.max": hostFile("50000 100000\n"), "sys/fs/cgroup/cpu.stat": hostFile(statV2),
		}), 2, []timing.CPUQuota{halfProcessor("/sys/fs/cgroup")}},
		{"v2, nested", v2Host(service, fstest.MapFS{
			folder + "/cpu.max": hostFile("50000 100000\n"), folder + "/cpu.stat": hostFile(statV2),
			"sys/fs/cgroup/system.slice/cpu.max": hostFile("200000 100000\n"), "sys/fs/cgroup/system.slice/cpu.stat": hostFile(statV2),
		}), 2, []timing.CPUQuota{halfProcessor("/" + folder), double}},
		{"hybrid: the cpu controller is in v1", hostRoot("9:name=systemd:/x\n2:cpuset:/y\n1:cpu,cpuacct:/web\n0::/x\n", mountsHybrid,
			fstest.MapFS{
				"sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_quota_us":  hostFile("50000\n"),
				"sys/fs/cgroup/cpu,cpuacct/web/cpu.cfs_period_us": hostFile("100000\n"),
				"sys/fs/cgroup/cpu,cpuacct/web/cpu.stat":          hostFile(statV1),
			}), 1, []timing.CPUQuota{halfProcessor("/sys/fs/cgroup/cpu,cpuacct/web")}},
		{"hybrid: the cpu controller is in v2", hostRoot("9:name=systemd:/x\n2:cpuset:/y\n0::/web\n", mountsHybrid, fstest.MapFS{
			"sys/fs/cgroup/unified/web/cpu.max": hostFile("50000 100000\n"), "sys/fs/cgroup/unified/web/cpu.stat": hostFile(statV2),
		}), 2, []timing.CPUQuota{halfProcessor("/sys/fs/cgroup/unified/web")}},
		{"escaped mount point", hostRoot("0::/a:b\n", "25 30 0:22 / /mnt/c\\040g rw - cgroup2 none rw\n", fstest.MapFS{
			"mnt/c g/a:b/cpu.max": hostFile("50000 100000\n"), "mnt/c g/a:b/cpu.stat": hostFile(statV2),
		}), 2, []timing.CPUQuota{halfProcessor("/mnt/c g/a:b")}},
		{"the second mount shows the group", hostRoot("0::/pod/a\n",
			"24 30 0:22 /pod/b /mnt/other rw - cgroup2 none rw\n25 30 0:22 /pod /mnt/pods rw - cgroup2 none rw\n", fstest.MapFS{
				"mnt/other/cpu.max":  hostFile("1000 100000\n"),
				"mnt/pods/a/cpu.max": hostFile("50000 100000\n"), "mnt/pods/a/cpu.stat": hostFile(statV2),
			}), 2, []timing.CPUQuota{halfProcessor("/mnt/pods/a")}},
	}
	for _, c := range cases {
		got := timing.ReadCPULimits(c.root)
		if got.Version != c.version || got.Unknown != "" {
			t.Errorf("%s: version %d, unknown %q, want version %d and all known", c.name, got.Version, got.Unknown, c.version)
		}
		checkQuotas(t, c.name, got.Quotas, c.want)
	}
}

func checkQuotas(t *testing.T, name string, got, want []timing.CPUQuota) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: quotas %+v, want %+v", name, got, want)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s: quota %+v, want %+v", name, got[i], want[i])
		}
	}
}

// TestCPULimitsSayWhatIsUnknown has files missing, hidden and malformed: what is left is said to be unknown.
func TestCPULimitsSayWhatIsUnknown(t *testing.T) {
	const a = "sys/fs/cgroup/a"
	missing := v2Host("/a", nil)
	delete(missing, "proc/self/mountinfo")
	cpuMax := func(text string) fstest.MapFS {
		return v2Host("/a", fstest.MapFS{a + "/cpu.max": hostFile(text), a + "/cpu.stat": hostFile(statV2)})
	}
	cpuStat := func(text string) fstest.MapFS {
		return v2Host("/a", fstest.MapFS{a + "/cpu.max": hostFile("50000 100000\n"), a + "/cpu.stat": hostFile(text)})
	}
	cases := []struct {
		name   string
		root   fstest.MapFS
		quotas int
		want   string
	}{
		{"no /proc", fstest.MapFS{}, 0, "find own control group"},
		{"no mountinfo", missing, 0, "find control group mounts"},
		{"malformed membership", hostRoot("nonsense\n", mountsV2, nil), 0, "malformed line"},
		{"no cpu controller", hostRoot("4:memory:/a\n", mountsV2, nil), 0, "names no hierarchy with the cpu controller"},
		{"malformed mounts", hostRoot("0::/a\n", "25 30 / - \n\n- cgroup2\n", nil), 0, "no mount of version 2 shows /a"},
		{"group not visible", v2Host("/a", nil), 0, "no mount of version 2 shows /a"},
		{"group outside the namespace", v2Host("/../a", fstest.MapFS{a + "/cpu.max": hostFile("1 1\n")}), 0, "shows /../a"},
		{"group of a like name", hostRoot("1:cpu:/docker/abcd\n", "32 31 0:29 /docker/abc /cg rw - cgroup cgroup rw,cpu\n",
			fstest.MapFS{"cg/cpu.cfs_quota_us": hostFile("1\n")}), 0, "shows /docker/abcd"},
		{"v1 mount of another controller", hostRoot("1:cpu:/a\n", "32 31 0:29 / /cg rw - cgroup cgroup rw,cpuset\n",
			fstest.MapFS{"cg/a/cpu.cfs_quota_us": hostFile("1\n")}), 0, "no mount of version 1"},
		{"empty cpu.max", cpuMax(""), 0, "read CPU quota of /" + a},
		{"no period", cpuMax("50000\n"), 0, "read CPU quota"},
		{"no numbers", cpuMax("half all\n"), 0, "invalid syntax"},
		{"negative", cpuMax("-5 100000\n"), 0, "is no duration"},
		{"period of 0", cpuMax("50000 0\n"), 0, "no CPU time"},
		{"more than fits", cpuMax("9223372036854775807 100000\n"), 0, "is no duration"},
		{"malformed v1 quota", v1Host("/", "/", "sys/fs/cgroup/cpu", "some", "100000", statV1), 0, "invalid syntax"},
		{"malformed counters", cpuStat("nr_periods 3\nnr_throttled many\n"), 1, "read nr_throttled"},
		{"counters missing", v2Host("/a", fstest.MapFS{a + "/cpu.max": hostFile("50000 100000\n")}), 1, "read throttling of /" + a},
		{"no counters", cpuStat("usage_usec 7\n"), 1, "cpu.stat has no nr_throttled"},
	}
	for _, c := range cases {
		got := timing.ReadCPULimits(c.root)
		if !strings.Contains(got.Unknown, c.want) || len(got.Quotas) != c.quotas {
			t.Errorf("%s: %+v, want %d quotas and %q in what is unknown", c.name, got, c.quotas, c.want)
		}
		for _, q := range got.Quotas {
			if q.Throttling != (timing.Throttling{}) {
				t.Errorf("%s: counters %+v, want none from a malformed file", c.name, q.Throttling)
			}
		}
	}
}

func TestV1PeriodMissing(t *testing.T) {
	root := v1Host("/", "/", "sys/fs/cgroup/cpu", "50000", "100000", statV1)
	delete(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us")
	if got := timing.ReadCPULimits(root); len(got.Quotas) != 0 || got.Unknown == "" {
		t.Errorf("%+v, want a quota without its period to be unknown, not absent", got)
	}
}

func TestTightest(t *testing.T) {
	wide, narrow := halfProcessor("/outer"), halfProcessor("/inner")
	wide.Quota = time.Second
	limits := timing.CPULimits{Quotas: []timing.CPUQuota{wide, narrow}}
	if got, ok := limits.Tightest(); !ok || got != narrow || got.Millicores() != 500 {
		t.Errorf("%+v, want the half processor of /inner", got)
	}
	if got, ok := (timing.CPULimits{}).Tightest(); ok {
		t.Errorf("%+v where there is no limit", got)
	}
}

// TestReadCPULimitsHere reads this process's own group, which every Linux with mounted control groups shows.
func TestReadCPULimitsHere(t *testing.T) {
	limits := timing.ReadCPULimits(os.DirFS("/"))
	if limits.Version == 0 && limits.Unknown == "" {
		t.Errorf("%+v, want a version or a reason", limits)
	}
}
