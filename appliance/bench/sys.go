//go:build linux

package bench

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

// processCPU returns the user and system CPU time that the process has spent.
func processCPU() (time.Duration, error) {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("read the process's CPU time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// threadCPU returns the CPU time that a thread of this process has spent; any thread may ask. The clock's number is
// made as the kernel makes it: the inverted thread id, then the bits for "of a thread" and "scheduler's count".
func threadCPU(thread int) (time.Duration, error) {
	const ofThread, scheduled = 4, 2
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(^thread<<3|ofThread|scheduled), &spent); err != nil {
		return 0, fmt.Errorf("read a thread's CPU time: %w", err)
	}
	return time.Duration(spent.Nano()), nil
}

// wallOffset returns what to add to an instant of CLOCK_REALTIME to have it on the clock's line: it reads one between
// two readings of the other and keeps the narrowest of several brackets, half of which is the error.
func wallOffset(clock timing.Clock) (timing.Instant, error) {
	const tries = 8
	offset, narrowest := timing.Instant(0), time.Duration(timing.Never)
	for range tries {
		var wall unix.Timespec
		before := clock.Now()
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &wall); err != nil {
			return 0, fmt.Errorf("read the wall clock: %w", err)
		}
		if width := clock.Now().Sub(before); width < narrowest {
			narrowest, offset = width, before.Add(width/2)-timing.Instant(wall.Nano())
		}
	}
	return offset, nil
}
