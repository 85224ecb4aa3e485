package negotiate

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
	ArmAnswerer   = "answerer"
	ArmPion       = "pion"
)

var allArms = []string{ArmTourbillon, ArmRuntime, ArmPion, ArmAnswerer}

// Bounds of the options.
const (
	maxSessions = 1000
	maxEach     = 1000
	maxRuns     = 100
	maxRTT      = 2 * time.Second
	maxLoss     = 50
)

// options is a parsed command line.
type options struct {
	arms           []string
	sessions, each int
	loss           float64 // percent
	rtt            time.Duration
	runs           int
	seed           uint64
	plain          string
	asJSON         bool
}

func parseOptions(args []string) (options, error) {
	var o options
	arms := strings.Join(allArms, ",")
	flags := rounds.Flags("bench ice")
	flags.StringVar(&arms, "arm", arms, "")
	flags.IntVar(&o.sessions, "sessions", 20, "")
	flags.IntVar(&o.each, "each", 10, "")
	flags.Float64Var(&o.loss, "loss", 5, "")
	flags.DurationVar(&o.rtt, "rtt", 50*time.Millisecond, "")
	flags.IntVar(&o.runs, "runs", 5, "")
	flags.Uint64Var(&o.seed, "seed", 1, "")
	flags.StringVar(&o.plain, "plain", "", "")
	flags.BoolVar(&o.asJSON, "json", false, "")
	err := rounds.Parse(flags, args)
	if err == nil {
		o.arms, err = rounds.Arms(arms, allArms...)
	}
	if err == nil {
		err = o.validate()
	}
	return o, err
}

func (o options) validate() error {
	err := rounds.Within(rounds.Count{Name: "sessions", Value: o.sessions, Low: 1, High: maxSessions},
		rounds.Count{Name: "each", Value: o.each, Low: 1, High: maxEach}, rounds.Count{Name: "runs", Value: o.runs, Low: 1, High: maxRuns})
	switch {
	case err != nil:
		return err
	case !(o.loss >= 0 && o.loss <= maxLoss):
		return &rounds.UsageError{Wrong: fmt.Sprintf("--loss %v", o.loss), Remedy: fmt.Sprintf("percent, from 0 to %d", maxLoss)}
	case o.rtt < 0 || o.rtt > maxRTT:
		return &rounds.UsageError{Wrong: fmt.Sprintf("--rtt %v", o.rtt), Remedy: fmt.Sprintf("from 0 to %v", maxRTT)}
	}
	return nil
}
