//go:build !race

package timingtest

// many is how many timers are armed at once.
const many = 1_000_000
