// Package stdcontext stands in for package context in re-timed modules whose contexts have deadlines: these arm
// timers, which here run on the process clock of package stdtime. All else is package context's own.
package stdcontext

import (
	"context"
	"sync"
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

// deadlineContext is a context that ends by its timer, its cancel function or its parent, whichever comes first.
type deadlineContext struct {
	// Context carries the parent's values and the cause, and runs what AfterFunc registers. Its own Err and Done are
	// hidden: they would say Canceled where a deadline passed.
	Context
	cancel   context.CancelCauseFunc
	parent   Context
	deadline time.Time
	done     chan struct{}

	// mu guards err, which is set before anything else tells of the end.
	mu  sync.Mutex
	err error
}

func withDeadline(parent Context, d time.Time, cause error) (Context, CancelFunc) {
	if earlier, ok := parent.Deadline(); ok && earlier.Before(d) {
		return context.WithCancel(parent)
	}
	inner, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	c := &deadlineContext{Context: inner, cancel: cancel, parent: parent, deadline: d, done: make(chan struct{})}
	if cause == nil {
		cause = context.DeadlineExceeded
	}
	left := stdtime.Until(d)
	switch {
	case parent.Err() != nil:
		c.end(parent.Err(), context.Cause(parent))
		return c, func() {}
	case left <= 0:
		c.end(context.DeadlineExceeded, cause)
		return c, func() {}
	}
	const callerOfWithDeadline = 2
	timer := stdtime.AfterFuncSkip(callerOfWithDeadline, left, func() { c.end(context.DeadlineExceeded, cause) })
	detach := context.AfterFunc(parent, func() {
		timer.Stop()
		c.end(parent.Err(), context.Cause(parent))
	})
	return c, func() {
		timer.Stop()
		detach()
		c.end(context.Canceled, context.Canceled)
	}
}

func (c *deadlineContext) end(err, cause error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
	}
	c.mu.Unlock()
	if first {
		close(c.done)
		c.cancel(cause)
	}
}

// Deadline returns when the context ends by itself.
func (c *deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done is closed when the context has ended.
func (c *deadlineContext) Done() <-chan struct{} { return c.done }

// Err returns why the context ended, nil while it has not. The parent's end counts from the moment on that the parent
// tells of it, though it travels here on a goroutine.
func (c *deadlineContext) Err() error {
	if err := c.parent.Err(); err != nil {
		c.end(err, context.Cause(c.parent))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc lets package context attach children without a goroutine each.
func (c *deadlineContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(c.Context, f)
}
