//go:build !linux

package bench

import (
	"context"
	"errors"
	"io"
)

// ChildCommand is the first argument with which the program runs one measurement for its parent.
const ChildCommand = "bench-arm"

var errNotLinux = errors.New("bench timers measures kernel timers of Linux: run it there")

// Timers measures on Linux only.
func Timers(context.Context, []string, io.Writer, io.Writer) error { return errNotLinux }

// Child measures on Linux only.
func Child([]string, io.Reader, io.Writer) error { return errNotLinux }

// ReadHost knows facts of Linux only.
func ReadHost() any { return nil }
