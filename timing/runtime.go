package timing

import "time"

// Runtime is package time as a [Clock]: the arm against which the engine is measured, and the stand-in where the
// engine cannot run. Its timers are late by up to a millisecond when idle, since Go's netpoller sleeps in whole ones.
type Runtime struct{}

// Now returns the present instant.
func (Runtime) Now() Instant { return monotonicNow() }

// AfterFunc arms a package-time timer.
func (Runtime) AfterFunc(d time.Duration, f func()) Timer {
	return &runtimeTimer{timer: time.AfterFunc(d, f)}
}

// At arms a package-time timer at an absolute instant.
func (c Runtime) At(at Instant, f func()) Timer {
	return c.AfterFunc(untilInstant(at), f)
}

type runtimeTimer struct{ timer *time.Timer }

func (t *runtimeTimer) Stop() bool                 { return t.timer.Stop() }
func (t *runtimeTimer) Reset(d time.Duration) bool { return t.timer.Reset(d) }
func (t *runtimeTimer) ResetAt(at Instant) bool    { return t.timer.Reset(untilInstant(at)) }

func untilInstant(at Instant) time.Duration {
	if at == Never {
		return time.Duration(Never)
	}
	return at.Sub(monotonicNow())
}

// processStart anchors monotonicNow: differences to it are read through the vDSO without a system call.
var processStart = time.Now()

// monotonicNow is CLOCK_MONOTONIC. Package time reads the same clock but shows only differences, so the offset of
// processStart is measured once (offset_linux.go) and added.
func monotonicNow() Instant {
	return Instant(time.Since(processStart)) + monotonicOffset
}
