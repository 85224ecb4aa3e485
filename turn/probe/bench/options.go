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
	err := rounds.Within(rounds.Count{Name: "clients", Value: o.clients, Low: 0, High: maxClients},
		rounds.Count{Name: "rate", Value: o.rate, Low: 1, High: maxRate}, rounds.Count{Name: "runs", Value: o.runs, Low: 1, High: maxRuns})
	switch {
	case err != nil:
		return err
	case o.clients%2 != 0:
		return &rounds.UsageError{Wrong: fmt.Sprintf("--clients %d", o.clients), Remedy: "an even number: rooms hold two"}
	case o.duration < minDuration || o.duration > maxDuration:
		return &rounds.UsageError{Wrong: fmt.Sprintf("--duration %v", o.duration), Remedy: fmt.Sprintf("from %v to %v", minDuration, maxDuration)}
	}
	return nil
}
