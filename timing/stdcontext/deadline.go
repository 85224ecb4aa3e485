package stdcontext

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tourbillon/timing/stdtime"
)

// deadlineContext is a context that ends by its timer, its cancel function or its parent, whichever comes first.
type deadlineContext struct {
	// Context is a context without an end of its own but for carry's: it has the parent's values, keeps the cause for
	// context.Cause and runs what AfterFunc registers. Its Err and Done are hidden: they would say Canceled where a
	// deadline passed.
	Context
	carry context.CancelCauseFunc

	parent   Context
	deadline time.Time
	expired  error
	timer    *stdtime.Timer
	// detach ends the watch over the parent; nil where the parent never ends.
	detach func() bool

	// mu guards the rest: err is set before anything else tells of the end, done is made for the first who asks.
	mu   sync.Mutex
	err  error
	done chan struct{}
}

// values is a deadlineContext as the parent of its inner context: values and no end.
type values deadlineContext

func (v *values) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (v *values) Done() <-chan struct{}                   { return nil }
func (v *values) Err() error                              { return nil }
func (v *values) Value(key any) any                       { return v.parent.Value(key) }

// withDeadline is called by the functions that re-timed modules call; cause may be nil.
func withDeadline(parent Context, d time.Time, cause error) (Context, CancelFunc) {
	if parent == nil {
		panic("cannot create context from nil parent")
	}
	if earlier, ok := parent.Deadline(); ok && earlier.Before(d) {
		return context.WithCancel(parent)
	}
	if cause == nil {
		cause = context.DeadlineExceeded
	}
	c := &deadlineContext{parent: parent, deadline: d, expired: cause}
	c.Context, c.carry = context.WithCancelCause((*values)(c))
	if parent.Err() != nil || !stdtime.Now().Before(d) {
		c.over()
		return c, func() {}
	}
	c.start()
	return c, c.cancelled
}

// start arms the timer and watches the parent; both call over.
func (c *deadlineContext) start() {
	over := c.over
	c.mu.Lock() // A prompt end waits until timer and detach are set.
	defer c.mu.Unlock()
	const callerOfWithDeadline = 3
	c.timer = stdtime.AfterFuncSkip(callerOfWithDeadline, stdtime.Until(c.deadline), over)
	if c.parent.Done() != nil {
		c.detach = context.AfterFunc(c.parent, over)
	}
}

// over ends the context by its parent, or else by its deadline.
func (c *deadlineContext) over() {
	if err := c.parent.Err(); err != nil {
		c.end(err, context.Cause(c.parent))
		return
	}
	c.end(context.DeadlineExceeded, c.expired)
}

func (c *deadlineContext) cancelled() { c.end(context.Canceled, context.Canceled) }

func (c *deadlineContext) end(err, cause error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
		if c.done != nil {
			close(c.done)
		}
	}
	c.mu.Unlock()
	if first {
		c.release()
		c.carry(cause)
	}
}

// release lets go of the timer and the parent.
func (c *deadlineContext) release() {
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.detach != nil {
		c.detach()
	}
}

// Deadline returns when the context ends by itself.
func (c *deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done is closed when the context has ended.
func (c *deadlineContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// Err returns why the context ended, nil while it has not. The parent's end counts from the moment on that the parent
// tells of it, though it travels here on a goroutine.
func (c *deadlineContext) Err() error {
	if c.parent.Err() != nil {
		c.over()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// String tells the context from others in what prints one.
func (c *deadlineContext) String() string {
	return fmt.Sprintf("%v.WithDeadline(%s)", c.parent, c.deadline)
}

// AfterFunc lets package context attach children without a goroutine each.
func (c *deadlineContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(c.Context, f)
}
