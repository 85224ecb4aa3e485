//go:build linux

package bench

import (
	"runtime"

	"tourbillon/appliance/observe"
	"tourbillon/timing"
)

// Host is the machine that the figures belong to.
type Host struct {
	Kernel      string `json:"kernel"`
	CPUs        int    `json:"cpus"`
	Go          string `json:"go"`
	ClockSource string `json:"clock_source"`
	GOMAXPROCS  int    `json:"gomaxprocs"`
	// QuotaMillicores is the CPU quota of this process's cgroups in thousandths of a CPU, 0 for none.
	QuotaMillicores int    `json:"quota_millicores"`
	Version         string `json:"version"`
}

// ReadHost returns the facts of this machine, for the benchmarks of other packages.
func ReadHost() Host { return readHost() }

// readHost gathers the facts; what the machine hides stays empty.
func readHost() Host {
	facts := timing.ReadHost()
	return Host{
		Kernel:          facts.Kernel,
		CPUs:            runtime.NumCPU(),
		Go:              runtime.Version(),
		ClockSource:     facts.ClockSource,
		GOMAXPROCS:      facts.MaxProcs,
		QuotaMillicores: millicores(facts.CPU),
		Version:         observe.Version,
	}
}

// millicores is the tightest of the quotas, 0 where there is none.
func millicores(limits timing.CPULimits) (least int) {
	for _, q := range limits.Quotas {
		if m := int(1000 * q.Quota / q.Period); least == 0 || m < least {
			least = m
		}
	}
	return least
}
