//go:build linux

package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"tourbillon/timing"
)

// ChildCommand is the first argument with which the program runs one measurement for its parent. It is not meant for
// people.
const ChildCommand = "bench-arm"

// Arguments after ChildCommand.
const (
	// argPrepare makes the child wait for one byte and execute itself again, so that the measuring process starts where
	// the parent has put it: in its cgroup, from its first instruction on.
	argPrepare = "--prepare"
	// argWithoutRT makes it give up real-time scheduling before that.
	argWithoutRT = "--without-rt"
)

// order says what a child is to measure: one of its fields is set.
type order struct {
	Trial    *trial         `json:"trial,omitempty"`
	Requests *requestsOrder `json:"requests,omitempty"`
	Create   *createOrder   `json:"create,omitempty"`
	Beats    *beatsOrder    `json:"beats,omitempty"`
	Poller   *pollerOrder   `json:"poller,omitempty"`
	Soak     *soakOrder     `json:"soak,omitempty"`
}

// answer is what it measured: the field of the order's name is set.
type answer struct {
	Trial    *outcome        `json:"trial,omitempty"`
	Requests *requestsAnswer `json:"requests,omitempty"`
	Create   *createAnswer   `json:"create,omitempty"`
	Beats    *beatsAnswer    `json:"beats,omitempty"`
	Poller   *pollerAnswer   `json:"poller,omitempty"`
	Soak     *Soak           `json:"soak,omitempty"`
}

// Child is the process behind one measurement: it reads an order as JSON, carries it out and writes the answer as JSON.
// args are what follows ChildCommand. It blocks for as long as the measurement takes; with argPrepare it does not
// return but on failure.
func Child(args []string, in io.Reader, out io.Writer) error {
	if slices.Contains(args, argPrepare) {
		return prepare(slices.Contains(args, argWithoutRT), in)
	}
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("%s is started by `tourbillon bench timers` alone: read the order: %w", ChildCommand, err)
	}
	timing.AddProcessor() // As serve does.
	a, err := o.carryOut()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(a)
}

func prepare(withoutRT bool, in io.Reader) error {
	var signal [1]byte
	if _, err := io.ReadFull(in, signal[:]); err != nil {
		return fmt.Errorf("wait for the parent: %w", err)
	}
	if withoutRT {
		if err := renounceRealTime(); err != nil {
			return err
		}
	}
	return executeAgain(ChildCommand)
}

func (o order) carryOut() (a answer, err error) {
	switch {
	case o.Trial != nil:
		a.Trial, err = pointTo(measure(*o.Trial))
	case o.Requests != nil:
		a.Requests, err = pointTo(o.Requests.measure())
	case o.Create != nil:
		a.Create, err = pointTo(o.Create.measure())
	case o.Beats != nil:
		a.Beats, err = pointTo(o.Beats.measure())
	case o.Poller != nil:
		a.Poller, err = pointTo(o.Poller.measure())
	case o.Soak != nil:
		a.Soak, err = pointTo(o.Soak.measure())
	default:
		err = fmt.Errorf("the order asks for nothing")
	}
	return a, err
}

func pointTo[T any](value T, err error) (*T, error) { return &value, err }
