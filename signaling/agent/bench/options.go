package bench

import (
	"fmt"
	"slices"
	"time"

	"tourbillon/timing/rounds"
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

// ParseOptions reads the arguments of `bench pion`. What it cannot read is a [*rounds.UsageError].
func ParseOptions(args []string) (Options, error) {
	var o Options
	arms := ArmTourbillon + "," + ArmPion
	flags := rounds.Flags("bench pion")
	flags.StringVar(&arms, "arm", arms, "")
	flags.StringVar(&o.Clock, "clock", "hrtimer", "")
	flags.IntVar(&o.Pairs, "pairs", 5, "")
	flags.IntVar(&o.Connects, "connects", 40, "")
	flags.DurationVar(&o.Duration, "duration", 2*time.Second, "")
	flags.StringVar(&o.Plain, "plain", "", "")
	flags.BoolVar(&o.JSON, "json", false, "")
	err := rounds.Parse(flags, args)
	if o.Self = arms == armSelf; err == nil && !o.Self {
		o.Arms, err = rounds.Arms(arms, ArmTourbillon, ArmRuntime, ArmPion)
	}
	if err == nil {
		err = o.validate()
	}
	return o, err
}

func (o Options) validate() error {
	err := rounds.Within(rounds.Count{Name: "pairs", Value: o.Pairs, Low: 1, High: maxPairs},
		rounds.Count{Name: "connects", Value: o.Connects, Low: 1, High: maxConnects})
	switch {
	case err != nil:
		return err
	case !o.Self && !slices.Contains(o.Arms, ArmPion):
		return &rounds.UsageError{Wrong: "--arm without " + ArmPion, Remedy: "add it: every ratio is to it"}
	case o.Duration <= 0 || o.Duration > maxDuration:
		return &rounds.UsageError{Wrong: fmt.Sprintf("--duration %v", o.Duration), Remedy: fmt.Sprintf("more than 0 and at most %v", maxDuration)}
	}
	return nil
}
