//go:build !race

package timingtest

// many is how many timers a clock is held to at one time.
const many = 1_000_000
