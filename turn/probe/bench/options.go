package bench

import (
	"fmt"
	"strings"
	"time"

	"tourbillon/timing/rounds"
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

func parseOptions(args []string) (options, error) {
	var o options
	all := []string{ArmTourbillon, ArmRuntime, ArmPion, ArmCoturn}
	arms := strings.Join(all, ",")
	flags := rounds.Flags("bench stun")
	flags.StringVar(&arms, "arm", arms, "")
	flags.IntVar(&o.clients, "clients", 1000, "")
	flags.IntVar(&o.rate, "rate", 500, "")
	flags.DurationVar(&o.duration, "duration", 8*time.Second, "")
	flags.IntVar(&o.runs, "runs", 5, "")
	flags.StringVar(&o.plain, "plain", "", "")
	flags.StringVar(&o.coturn, "coturn", "turnserver", "")
	flags.BoolVar(&o.asJSON, "json", false, "")
	err := rounds.Parse(flags, args)
	if err == nil {
		o.arms, err = rounds.Arms(arms, all...)
	}
	if err == nil {
		err = o.validate()
	}
	return o, err
}

func (o options) validate() error {
	for _, bound := range []struct {
		name           string
		value, low, hi int
	}{{"clients", o.clients, 0, maxClients}, {"rate", o.rate, 1, maxRate}, {"runs", o.runs, 1, maxRuns}} {
		if bound.value < bound.low || bound.value > bound.hi {
			return &rounds.UsageError{Wrong: fmt.Sprintf("--%s %d", bound.name, bound.value), Remedy: fmt.Sprintf("from %d to %d", bound.low, bound.hi)}
		}
	}
	switch {
	case o.clients%2 != 0:
		return &rounds.UsageError{Wrong: fmt.Sprintf("--clients %d", o.clients), Remedy: "an even number: rooms hold two"}
	case o.duration < minDuration || o.duration > maxDuration:
		return &rounds.UsageError{Wrong: fmt.Sprintf("--duration %v", o.duration), Remedy: fmt.Sprintf("from %v to %v", minDuration, maxDuration)}
	}
	return nil
}
