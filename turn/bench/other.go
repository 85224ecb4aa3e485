//go:build !linux

package bench

import (
	"context"
	"errors"
	"io"

	"tourbillon/timing"
)

// ChildCommand is the first argument with which the program serves or generates load for its parent.
const ChildCommand = "bench-turn-child"

// Hooks are described on Linux.
type Hooks struct {
	Host      func() (facts any, line string)
	OpenClock func() (clock timing.Clock, note string, end func() error)
	Calibrate func() (work int)
	StartLoad func(name string, work int) (stop func(), err error)
}

// UsageError is described on Linux.
type UsageError struct{ Wrong, Remedy string }

func (e *UsageError) Error() string { return e.Wrong + ": " + e.Remedy }

var errNotLinux = errors.New("bench turn measures Linux's sockets: run it there")

// Run measures on Linux only.
func Run(context.Context, []string, io.Writer, io.Writer, Hooks) error { return errNotLinux }

// Child measures on Linux only.
func Child(io.Reader, io.Writer, Hooks) error { return errNotLinux }
