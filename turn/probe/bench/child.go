package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ChildCommand is the first argument with which the program does one part of a round for its parent. It is not meant for
// people.
const ChildCommand = "bench-stun-child"

// order says what a child is to do: one of its fields is set.
type order struct {
	Load  *loadOrder  `json:"load,omitempty"`
	Probe *probeOrder `json:"probe,omitempty"`
	Pion  *pionOrder  `json:"pion,omitempty"`
}

// Serve runs the appliance with the arguments of `tourbillon serve` until ctx ends, with nothing set up around it.
type Serve func(ctx context.Context, args []string, out io.Writer) error

// Child is the process behind one part: it reads an order, one line of JSON, and carries it out. The load and the arm
// serve until in ends or ctx does; the prober answers with what it measured.
func Child(ctx context.Context, in io.Reader, out io.Writer, serve Serve) error {
	reader := bufio.NewReader(in)
	line, err := reader.ReadBytes('\n')
	var o order
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	if err != nil {
		return fmt.Errorf("%s is started by `tourbillon bench stun` alone: read the order: %w", ChildCommand, err)
	}
	switch {
	case o.Load != nil:
		return o.Load.run(reader, out)
	case o.Probe != nil:
		measured, err := o.Probe.measure()
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(measured)
	case o.Pion != nil:
		return o.Pion.run(ctx, out, serve)
	}
	return errors.New("the order asks for nothing")
}
