//go:build !linux

package bench

import (
	"context"
	"errors"
	"io"

	"tourbillon/timing"
)

var errNotLinux = errors.New("bench signaling measures processes by the kernel's clocks of Linux: run it there")

// Command measures on Linux only.
func Command(context.Context, []string, Environment) error { return errNotLinux }

// Generate measures on Linux only.
func Generate(io.Reader, io.Writer) error { return errNotLinux }

// AnswerTakes measures on Linux only.
func AnswerTakes(io.Reader, io.Writer, *timing.Lateness) error { return errNotLinux }
