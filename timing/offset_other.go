//go:build !linux

package timing

// monotonicOffset is 0 where CLOCK_MONOTONIC is not read: instants count from the start of the process.
const monotonicOffset Instant = 0
