package timing

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"time"
)

// ReadCPULimits reads the CPU limits of this process's control groups from the files of the given root, both from
// version 1 (Documentation/scheduler/sched-bwc) and version 2 (Documentation/admin-guide/cgroup-v2).
func ReadCPULimits(root fs.FS) CPULimits {
	group, err := findCPUGroup(root)
	if err != nil {
		return CPULimits{Unknown: err.Error()}
	}
	limits := CPULimits{Version: group.version, Quotas: []CPUQuota{}}
	var failures []string
	for folder := group.folder; ; folder = path.Dir(folder) {
		quota, limited, err := readCPUQuota(root, group.version, folder)
		if err != nil {
			failures = append(failures, err.Error())
		}
		if limited {
			limits.Quotas = append(limits.Quotas, quota)
		}
		if folder == group.mount {
			break
		}
	}
	limits.Unknown = strings.Join(failures, "; ")
	return limits
}

// readCPUQuota reads one group. A group may be limited and its counters unreadable: both results are then given.
func readCPUQuota(root fs.FS, version int, folder string) (quota CPUQuota, limited bool, err error) {
	quota.Group = "/" + folder
	read := bandwidthV2
	if version == 1 {
		read = bandwidthV1
	}
	quota.Quota, quota.Period, err = read(root, folder)
	if err != nil {
		return CPUQuota{}, false, fmt.Errorf("read CPU quota of %s: %w", quota.Group, err)
	}
	if quota.Quota == 0 {
		return CPUQuota{}, false, nil
	}
	if quota.Throttling, err = readThrottling(root, folder); err != nil {
		err = fmt.Errorf("read throttling of %s: %w", quota.Group, err)
	}
	return quota, true, err
}

// bandwidthV2 reads cpu.max: "QUOTA PERIOD" in microseconds, or "max PERIOD" for no limit, which is returned as 0.
func bandwidthV2(root fs.FS, folder string) (quota, period time.Duration, err error) {
	text, err := readLimit(root, path.Join(folder, "cpu.max"))
	limit, length, _ := strings.Cut(text, " ")
	if err != nil || limit == "max" {
		return 0, 0, err
	}
	return parseBandwidth(limit, length)
}

// bandwidthV1 reads cpu.cfs_quota_us, which is -1 for no limit (returned as 0), and cpu.cfs_period_us.
func bandwidthV1(root fs.FS, folder string) (quota, period time.Duration, err error) {
	limit, err := readLimit(root, path.Join(folder, "cpu.cfs_quota_us"))
	if err != nil || limit == "max" || limit == "-1" {
		return 0, 0, err
	}
	length, err := readHostLine(root, path.Join(folder, "cpu.cfs_period_us"))
	if err != nil {
		return 0, 0, err
	}
	return parseBandwidth(limit, length)
}

// readLimit reads the file of a limit. The outermost group and groups without the controller have none: "max" then.
func readLimit(root fs.FS, name string) (string, error) {
	text, err := readHostLine(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "max", nil
	}
	return text, err
}

func parseBandwidth(limit, length string) (quota, period time.Duration, err error) {
	if quota, err = parseMicroseconds(limit); err != nil {
		return 0, 0, err
	}
	if period, err = parseMicroseconds(length); err != nil {
		return 0, 0, err
	}
	return quota, period, nil
}

// parseMicroseconds reads a duration of 1 µs or more.
func parseMicroseconds(text string) (time.Duration, error) {
	d, err := parseDurationIn(time.Microsecond, text)
	if err == nil && d == 0 {
		err = errors.New("0 µs is no CPU time")
	}
	return d, err
}

// parseDurationIn reads a count of units that is not negative and fits.
func parseDurationIn(unit time.Duration, text string) (time.Duration, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%d times %v is no duration", n, unit)
	}
	return time.Duration(n) * unit, nil
}

// readThrottling reads cpu.stat, in which version 1 counts throttling in nanoseconds and version 2 in microseconds.
func readThrottling(root fs.FS, folder string) (Throttling, error) {
	content, err := fs.ReadFile(root, path.Join(folder, "cpu.stat"))
	if err != nil {
		return Throttling{}, err
	}
	var t Throttling
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if err := t.read(key, value); err != nil {
			return Throttling{}, fmt.Errorf("read %s: %w", key, err)
		}
	}
	if !t.Counted {
		return Throttling{}, errors.New("cpu.stat has no nr_throttled")
	}
	return t, nil
}

func (t *Throttling) read(key, value string) (err error) {
	switch key {
	case "nr_periods":
		t.Periods, err = strconv.ParseInt(value, 10, 64)
	case "nr_throttled":
		t.Throttled, err = strconv.ParseInt(value, 10, 64)
		t.Counted = true
	case "throttled_time":
		t.ThrottledTime, err = parseDurationIn(time.Nanosecond, value)
	case "throttled_usec":
		t.ThrottledTime, err = parseDurationIn(time.Microsecond, value)
	}
	return err
}
