//go:build race

package timingtest

// many is a million without the race detector, under which that many take minutes and gigabytes for each clock.
const many = 50_000
