package bench

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Arms, as the package comment describes them.
const (
	ArmTourbillon = "tourbillon"
	ArmRuntime    = "runtime"
	ArmPion       = "pion"
	ArmCoturn     = "coturn"
)

// Bounds of the options.
const (
	maxClients  = 20_000
	maxRate     = 10_000
	maxRuns     = 100
	minDuration = 2 * sliceLength
	maxDuration = 10 * time.Minute
)

// options is a parsed command line.
type options struct {
	arms          []string
	clients, rate int
	duration      time.Duration
	runs          int
	plain, coturn string
	asJSON        bool
}

// UsageError is a command line of `bench stun` that cannot be carried out.
type UsageError struct {
	// Wrong is what is wrong with it, Remedy what would be right.
	Wrong, Remedy string
}

func (e *UsageError) Error() string { return e.Wrong + ": " + e.Remedy }

func parseOptions(args []string) (options, error) {
	var o options
	all := []string{ArmTourbillon, ArmRuntime, ArmPion, ArmCoturn}
	arms := strings.Join(all, ",")
	flags := flag.NewFlagSet("bench stun", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // The error that Parse returns says it.
	flags.StringVar(&arms, "arm", arms, "")
	flags.IntVar(&o.clients, "clients", 1000, "")
	flags.IntVar(&o.rate, "rate", 500, "")
	flags.DurationVar(&o.duration, "duration", 8*time.Second, "")
	flags.IntVar(&o.runs, "runs", 5, "")
	flags.StringVar(&o.plain, "plain", "", "")
	flags.StringVar(&o.coturn, "coturn", "turnserver", "")
	flags.BoolVar(&o.asJSON, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, &UsageError{err.Error(), "see `tourbillon help`"}
	}
	if rest := flags.Args(); len(rest) > 0 {
		return o, &UsageError{fmt.Sprintf("bench stun takes no argument %q", rest[0]), "options begin with --"}
	}
	o.arms = strings.Split(arms, ",")
	for i, arm := range o.arms {
		if !slices.Contains(all, arm) || slices.Contains(o.arms[:i], arm) {
			return o, &UsageError{fmt.Sprintf("no arm %q, or twice", arm), "some of " + strings.Join(all, ",")}
		}
	}
	return o, o.validate()
}

func (o options) validate() error {
	for _, bound := range []struct {
		name           string
		value, low, hi int
	}{{"clients", o.clients, 0, maxClients}, {"rate", o.rate, 1, maxRate}, {"runs", o.runs, 1, maxRuns}} {
		if bound.value < bound.low || bound.value > bound.hi {
			return &UsageError{fmt.Sprintf("--%s %d", bound.name, bound.value), fmt.Sprintf("from %d to %d", bound.low, bound.hi)}
		}
	}
	switch {
	case o.clients%2 != 0:
		return &UsageError{fmt.Sprintf("--clients %d", o.clients), "an even number: rooms hold two"}
	case o.duration < minDuration || o.duration > maxDuration:
		return &UsageError{fmt.Sprintf("--duration %v", o.duration), fmt.Sprintf("from %v to %v", minDuration, maxDuration)}
	}
	return nil
}
