//go:build !linux

package timing

// ReadRaw reports false: only Linux's CLOCK_MONOTONIC_RAW is known to be free of slewing.
func ReadRaw() (Raw, bool) { return 0, false }
