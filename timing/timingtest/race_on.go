//go:build race

package timingtest

// many is how many timers are armed at once: the race detector makes each take ten times as long.
const many = 100_000
