package timing

import (
	"math"
	"time"
)

// Instant is a point on the machine's monotonic time line: nanoseconds of CLOCK_MONOTONIC. Wall-clock steps do not
// move it. Instants of different clocks (a manual one and a real one) do not compare.
type Instant int64

// Never is the instant that no clock reaches; a timer armed at Never is parked.
const Never Instant = math.MaxInt64

// Add returns the instant d after i. It saturates at Never and at the smallest Instant instead of wrapping.
func (i Instant) Add(d time.Duration) Instant {
	sum := i + Instant(d)
	switch {
	case d > 0 && sum < i:
		return Never
	case d < 0 && sum > i:
		return math.MinInt64
	}
	return sum
}

// Sub returns the duration from earlier to i, saturating as [time.Time.Sub] does.
func (i Instant) Sub(earlier Instant) time.Duration {
	diff := i - earlier
	switch {
	case earlier < 0 && i >= 0 && diff < 0:
		return math.MaxInt64
	case earlier > 0 && i < 0 && diff > 0:
		return math.MinInt64
	}
	return time.Duration(diff)
}
