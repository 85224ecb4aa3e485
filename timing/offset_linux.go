package timing

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// monotonicOffset is the CLOCK_MONOTONIC reading at processStart.
var monotonicOffset = measureOffset()

// measureOffset brackets readings of CLOCK_MONOTONIC between two of package time's and keeps the narrowest bracket:
// both read the same kernel clock, so the offset is constant and its error at most half that bracket.
func measureOffset() Instant {
	const samples = 64
	var offset Instant
	narrowest := time.Duration(math.MaxInt64)
	for range samples {
		var ts unix.Timespec
		before := time.Since(processStart)
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			return 0 // No such clock: instants then count from the start of the process.
		}
		after := time.Since(processStart)
		if width := after - before; width < narrowest {
			narrowest = width
			offset = Instant(ts.Nano() - int64(before+width/2))
		}
	}
	return offset
}
