package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// ShortSlice is the shortest slice that an ordinary thread can have (sched_setattr(2), sched_runtime).
const ShortSlice = 100 * time.Microsecond

// ShortenSlice asks for the shortest slice for the calling thread, if it is an ordinary one, and tells whether it has it:
// since Linux 6.12 a thread that wakes with a shorter slice than the running one's gets the CPU at once (sched(7)). Its
// share of the CPUs stays what it was. It needs no right; older kernels pass it over. What the thread starts has it not.
func ShortenSlice() (granted bool) {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return false
	}
	attr.Flags |= unix.SCHED_FLAG_RESET_ON_FORK
	attr.Runtime = uint64(ShortSlice)
	if err := unix.SchedSetAttr(0, attr, 0); err != nil {
		return false
	}
	attr, err = unix.SchedGetAttr(0, 0)
	return err == nil && attr.Runtime == uint64(ShortSlice)
}
