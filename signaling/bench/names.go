package bench

import "io"

// First arguments with which the program runs a part of the measurement for its parent. They are not meant for people.
const (
	// GenerateCommand is the process that makes the load.
	GenerateCommand = "bench-signaling-clients"
	// ServeCommand is `serve` that answers on its standard input how late its heartbeats were, and ends with it.
	ServeCommand = "bench-signaling-serve"
)

// Environment is what the command needs of its surroundings.
type Environment struct {
	Out, Errs io.Writer
	// Host are the facts of the machine that the figures belong to: printed as JSON, or by its String method.
	Host any
}

// UsageError is a command line that cannot be carried out.
type UsageError struct {
	// Wrong is what is wrong with it, Remedy what would be right.
	Wrong, Remedy string
}

func (e *UsageError) Error() string { return e.Wrong + ": " + e.Remedy }
