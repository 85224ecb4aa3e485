package timing

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Files of sysfs, relative to the root (Documentation/ABI/testing/sysfs-devices-system-cpu, sysfs-bus-clocksource).
const (
	onlineCPUsFile  = "sys/devices/system/cpu/online"
	clockSourceFile = "sys/devices/system/clocksource/clocksource0/current_clocksource"
)

func (h *Host) readSystem(root fs.FS) {
	h.Kernel = hostKernel()
	if text, err := readHostLine(root, onlineCPUsFile); err == nil {
		h.OnlineCPUs, _ = parseCPURanges(text) // What cannot be read stays unknown.
	}
	h.Affinity = hostAffinity()
	h.ClockSource, _ = readHostLine(root, clockSourceFile)
	h.TimerSlack = hostTimerSlack()
	h.RealTime = readRealTime(root)
	h.IOUring = probeHostIOUring(root)
	h.CPU = ReadCPULimits(root)
}

func hostKernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
}

// affinityCPUs is how many processors the mask has room for: the most that Linux can be built for (NR_CPUS on x86).
const affinityCPUs = 8192

func hostAffinity() []int {
	set := unix.NewCPUSet(affinityCPUs)
	if err := unix.SchedGetaffinityDynamic(0, set); err != nil {
		return nil
	}
	var cpus []int
	for cpu := range affinityCPUs {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// readHostLine reads a file of one line.
func readHostLine(root fs.FS, name string) (string, error) {
	content, err := fs.ReadFile(root, name)
	return strings.TrimSpace(string(content)), err
}

// parseCPURanges reads the kernel's list format: "0-3,8" (cpuset(7), FORMATS).
func parseCPURanges(list string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(list, ",") {
		low, high, isRange := strings.Cut(part, "-")
		first, err := strconv.ParseUint(low, 10, 16)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseUint(high, 10, 16)
		}
		if err != nil {
			return nil, fmt.Errorf("read list of processors %q: %w", list, err)
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, int(cpu))
		}
	}
	return cpus, nil
}
