//go:build linux

package bench

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"tourbillon/appliance/observe"
)

// Host is the machine that the figures belong to.
type Host struct {
	Kernel      string `json:"kernel"`
	CPUs        int    `json:"cpus"`
	Go          string `json:"go"`
	ClockSource string `json:"clock_source"`
	GOMAXPROCS  int    `json:"gomaxprocs"`
	// QuotaMillicores is the CPU quota of this process's own cgroup in thousandths of a CPU, 0 for none.
	QuotaMillicores int    `json:"quota_millicores"`
	Version         string `json:"version"`
}

// readHost gathers the facts; what the machine hides stays empty.
func readHost() Host {
	return Host{
		Kernel:          kernelRelease(),
		CPUs:            runtime.NumCPU(),
		Go:              runtime.Version(),
		ClockSource:     clockSource(),
		GOMAXPROCS:      runtime.GOMAXPROCS(0),
		QuotaMillicores: cpuQuota(),
		Version:         observe.Version,
	}
}

func kernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
}

func clockSource() string {
	text, _ := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return strings.TrimSpace(string(text))
}
