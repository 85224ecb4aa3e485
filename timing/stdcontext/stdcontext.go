// Package stdcontext stands in for package context in re-timed modules whose contexts have deadlines: these arm
// timers, which here run on the process clock of package stdtime. All else is package context's own.
package stdcontext

import (
	"context"
	"time"

	"tourbillon/timing/stdtime"
)

// Types of package context.
type (
	Context         = context.Context
	CancelFunc      = context.CancelFunc
	CancelCauseFunc = context.CancelCauseFunc
)

// Errors of package context.
var (
	Canceled         = context.Canceled
	DeadlineExceeded = context.DeadlineExceeded
)

// AfterFunc is [context.AfterFunc]; it arms no timer.
func AfterFunc(ctx Context, f func()) (stop func() bool) { return context.AfterFunc(ctx, f) }

// Background is [context.Background].
func Background() Context { return context.Background() }

// TODO is [context.TODO].
func TODO() Context { return context.TODO() }

// Cause is [context.Cause].
func Cause(c Context) error { return context.Cause(c) }

// WithCancel is [context.WithCancel].
func WithCancel(parent Context) (Context, CancelFunc) { return context.WithCancel(parent) }

// WithCancelCause is [context.WithCancelCause].
func WithCancelCause(parent Context) (Context, CancelCauseFunc) {
	return context.WithCancelCause(parent)
}

// WithValue is [context.WithValue].
func WithValue(parent Context, key, value any) Context { return context.WithValue(parent, key, value) }

// WithoutCancel is [context.WithoutCancel].
func WithoutCancel(parent Context) Context { return context.WithoutCancel(parent) }

// WithTimeout is [context.WithTimeout] on the process clock.
func WithTimeout(parent Context, timeout time.Duration) (Context, CancelFunc) {
	return withDeadline(parent, stdtime.Now().Add(timeout), nil)
}

// WithTimeoutCause is [context.WithTimeoutCause] on the process clock.
func WithTimeoutCause(parent Context, timeout time.Duration, cause error) (Context, CancelFunc) {
	return withDeadline(parent, stdtime.Now().Add(timeout), cause)
}

// WithDeadline is [context.WithDeadline] on the process clock.
func WithDeadline(parent Context, d time.Time) (Context, CancelFunc) {
	return withDeadline(parent, d, nil)
}

// WithDeadlineCause is [context.WithDeadlineCause] on the process clock.
func WithDeadlineCause(parent Context, d time.Time, cause error) (Context, CancelFunc) {
	return withDeadline(parent, d, cause)
}
