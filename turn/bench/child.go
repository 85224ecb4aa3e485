//go:build linux

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tourbillon/timing"
)

// ChildCommand is the first argument with which the program serves or generates load for its parent. It is not meant
// for people.
const ChildCommand = "bench-turn-child"

// Hooks are what the benchmark needs of the rest of the program.
type Hooks struct {
	// Host gathers the facts about the machine, for the report and as one line.
	Host func() (facts any, line string)
	// OpenClock opens the clock that serve would use, makes re-timed pion use it, and tells what it is.
	OpenClock func() (clock timing.Clock, note string, end func() error)
	// Calibrate returns how many iterations make a job of the load, and StartLoad starts the load of that name.
	Calibrate func() (work int)
	StartLoad func(name string, work int) (stop func(), err error)
}

// order says what a child is to do: one of its fields is set.
type order struct {
	Serve    *serveOrder `json:"serve,omitempty"`
	Generate *workload   `json:"generate,omitempty"`
}

// Child is the process behind one arm or one generator: it reads an order as JSON and carries it out. A server answers
// with one line and serves until in ends; a generator answers with what it measured.
func Child(in io.Reader, out io.Writer, hooks Hooks) error {
	decoder := json.NewDecoder(in)
	var o order
	if err := decoder.Decode(&o); err != nil {
		return fmt.Errorf("%s is started by `tourbillon bench turn` alone: read the order: %w", ChildCommand, err)
	}
	switch {
	case o.Serve != nil:
		return serve(*o.Serve, in, out, hooks)
	case o.Generate != nil:
		measured, err := generate(*o.Generate)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(measured)
	}
	return errors.New("the order asks for nothing")
}
