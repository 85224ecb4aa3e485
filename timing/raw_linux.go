package timing

import "golang.org/x/sys/unix"

// ReadRaw reads CLOCK_MONOTONIC_RAW. It reports false where there is none.
func ReadRaw() (Raw, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &ts); err != nil {
		return 0, false
	}
	return Raw(ts.Nano()), true
}
