//go:build !linux

package timing

import (
	"io/fs"
	"runtime"
)

const notLinux = "read on Linux only"

func (h *Host) readSystem(fs.FS) {
	h.Kernel = runtime.GOOS
	h.RealTime.Why = notLinux
	h.IOUring.Why = notLinux
	h.CPU = ReadCPULimits(nil)
}

// ReadCPULimits reports that the limits are unknown: control groups are Linux's.
func ReadCPULimits(fs.FS) CPULimits { return CPULimits{Unknown: notLinux} }
