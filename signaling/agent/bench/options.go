package bench

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Arms. ArmTourbillon is re-timed pion on the hrtimer engine, ArmRuntime the same on package time through the same
// seam, ArmPion is pion as published.
const (
	ArmTourbillon = "tourbillon"
	ArmRuntime    = "runtime"
	ArmPion       = "pion"
	// armSelf makes the process measure itself and answer as JSON; a comparison starts its processes with it.
	armSelf = "self"
)

// Bounds of the options.
const (
	maxPairs    = 1000
	maxConnects = 10_000
	maxDuration = time.Minute
)

// Options is a parsed command line.
type Options struct {
	// Self is set in the processes that a comparison starts; Clock is then what their timers run on.
	Self  bool
	Clock string
	// Pairs is how many rounds there are, Arms what runs in each.
	Pairs int
	Arms  []string
	// Connects is how often each process connects, Duration how long it then sends.
	Connects int
	Duration time.Duration
	// Plain is the program with pion as published; empty for the one beside this program.
	Plain string
	JSON  bool
}

// UsageError is a command line of `bench pion` that cannot be carried out.
type UsageError struct {
	// Wrong is what is wrong with it, Remedy what would be right.
	Wrong, Remedy string
}

func (e *UsageError) Error() string { return e.Wrong + ": " + e.Remedy }

// ParseOptions reads the arguments of `bench pion`. What it cannot read is a [UsageError].
func ParseOptions(args []string) (Options, error) {
	var o Options
	arms := ArmTourbillon + "," + ArmPion
	flags := flag.NewFlagSet("bench pion", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // The error that Parse returns says it.
	flags.StringVar(&arms, "arm", arms, "")
	flags.StringVar(&o.Clock, "clock", "hrtimer", "")
	flags.IntVar(&o.Pairs, "pairs", 5, "")
	flags.IntVar(&o.Connects, "connects", 40, "")
	flags.DurationVar(&o.Duration, "duration", 2*time.Second, "")
	flags.StringVar(&o.Plain, "plain", "", "")
	flags.BoolVar(&o.JSON, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, &UsageError{err.Error(), "see `tourbillon help`"}
	}
	if rest := flags.Args(); len(rest) > 0 {
		return o, &UsageError{fmt.Sprintf("bench pion takes no argument %q", rest[0]), "options begin with --"}
	}
	o.Self = arms == armSelf
	if !o.Self {
		o.Arms = strings.Split(arms, ",")
	}
	return o, o.validate()
}

func (o Options) validate() error {
	for i, arm := range o.Arms {
		if !slices.Contains([]string{ArmTourbillon, ArmRuntime, ArmPion}, arm) || slices.Contains(o.Arms[:i], arm) {
			return &UsageError{fmt.Sprintf("no arm %q, or twice", arm), "--arm tourbillon,runtime,pion or some of them"}
		}
	}
	switch {
	case !o.Self && !slices.Contains(o.Arms, ArmPion):
		return &UsageError{"--arm without " + ArmPion, "add it: every ratio is to it"}
	case o.Pairs < 1 || o.Pairs > maxPairs:
		return &UsageError{fmt.Sprintf("--pairs %d", o.Pairs), fmt.Sprintf("from 1 to %d", maxPairs)}
	case o.Connects < 1 || o.Connects > maxConnects:
		return &UsageError{fmt.Sprintf("--connects %d", o.Connects), fmt.Sprintf("from 1 to %d", maxConnects)}
	case o.Duration <= 0 || o.Duration > maxDuration:
		return &UsageError{fmt.Sprintf("--duration %v", o.Duration), fmt.Sprintf("more than 0 and at most %v", maxDuration)}
	}
	return nil
}
