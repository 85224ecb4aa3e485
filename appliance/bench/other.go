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

// HostFacts are known on Linux only.
func HostFacts() (facts any, line string) { return nil, "" }

// Calibrate measures on Linux only.
func Calibrate() (work int) { return 0 }

// StartLoad starts no load but on Linux.
func StartLoad(string, int) (stop func(), err error) { return nil, errNotLinux }

// ReadHost knows facts of Linux only.
func ReadHost() any { return nil }
