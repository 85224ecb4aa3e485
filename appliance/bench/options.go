//go:build linux

package bench

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Bounds of one trial.
const (
	maxTimers   = 100_000
	minInterval = 100 * time.Microsecond
	maxDuration = time.Hour
	// maxSamples bounds a trial's memory: eight bytes each.
	maxSamples = 50_000_000
	// maxCPU bounds the number of a CPU (CPU_SETSIZE), anyCPU stands for none in particular.
	maxCPU, anyCPU = 1024, -1
	// suiteRuns is how often the suite interleaves its arms unless told.
	suiteRuns = 5
)

// options is a parsed command line.
type options struct {
	arms, loads        []string
	timers             int
	interval, duration time.Duration
	slack, soak        time.Duration
	cpu                int
	realTime           bool
	runs               int
	asJSON             bool
	table, plot        string
	suite              bool
}

// parseOptions reads the arguments of `bench timers`.
func parseOptions(args []string) (options, error) {
	o := options{realTime: true, cpu: anyCPU}
	arms, loads := armRuntime+","+armHRTimer, loadIdle
	flags := flag.NewFlagSet("bench timers", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // The error that Parse returns says it.
	flags.StringVar(&arms, "arm", arms, "")
	flags.StringVar(&loads, "load", loads, "")
	flags.IntVar(&o.timers, "timers", 50, "")
	flags.DurationVar(&o.interval, "interval", 20*time.Millisecond, "")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "")
	flags.DurationVar(&o.slack, "slack", 0, "")
	flags.IntVar(&o.cpu, "cpu", anyCPU, "")
	flags.DurationVar(&o.soak, "soak", 0, "")
	flags.Func("rt", "", o.setRealTime)
	flags.IntVar(&o.runs, "runs", 0, "")
	flags.BoolVar(&o.asJSON, "json", false, "")
	flags.StringVar(&o.table, "table", "", "")
	flags.StringVar(&o.plot, "plot", "", "")
	flags.BoolVar(&o.suite, "suite", false, "")
	if err := flags.Parse(args); err != nil {
		return o, &UsageError{err.Error(), "see `tourbillon help`"}
	}
	if rest := flags.Args(); len(rest) > 0 {
		return o, &UsageError{fmt.Sprintf("bench timers takes no argument %q", rest[0]), "options begin with --"}
	}
	if o.runs == 0 && !given(flags, "runs") {
		o.runs = o.defaultRuns()
	}
	var err error
	if o.arms, err = pick("arm", arms, armNames, nil); err != nil {
		return o, err
	}
	if o.loads, err = pick("load", loads, loadNames(), loadGroups); err != nil {
		return o, err
	}
	return o, o.validate(flags)
}

func (o *options) setRealTime(s string) error {
	switch s {
	case "on", "off":
		o.realTime = s == "on"
		return nil
	}
	return fmt.Errorf("on or off")
}

func (o *options) defaultRuns() int {
	if o.suite {
		return suiteRuns
	}
	return 1
}

func (o *options) validate(flags *flag.FlagSet) error {
	switch {
	case o.timers < 1 || o.timers > maxTimers:
		return &UsageError{fmt.Sprintf("--timers %d", o.timers), fmt.Sprintf("from 1 to %d", maxTimers)}
	case o.interval < minInterval:
		return &UsageError{fmt.Sprintf("--interval %v", o.interval), fmt.Sprintf("at least %v", minInterval)}
	case o.duration > maxDuration:
		return &UsageError{fmt.Sprintf("--duration %v", o.duration), fmt.Sprintf("at most %v", maxDuration)}
	case o.duration < o.interval:
		return &UsageError{fmt.Sprintf("--duration %v", o.duration), fmt.Sprintf("at least one interval, %v", o.interval)}
	case int64(o.timers)*int64(o.duration/o.interval) > maxSamples:
		return &UsageError{fmt.Sprintf("%d timers each %v for %v", o.timers, o.interval, o.duration),
			fmt.Sprintf("at most %d firings in a run", maxSamples)}
	case o.slack < 0 || o.slack > o.interval:
		return &UsageError{fmt.Sprintf("--slack %v", o.slack), fmt.Sprintf("from 0 to one interval, %v", o.interval)}
	case o.cpu != anyCPU && (o.cpu < 0 || o.cpu >= maxCPU):
		return &UsageError{fmt.Sprintf("--cpu %d", o.cpu), "the number of a CPU, from 0"}
	case o.soak < 0 || o.soak > maxDuration:
		return &UsageError{fmt.Sprintf("--soak %v", o.soak), fmt.Sprintf("at most %v", maxDuration)}
	case o.soak > 0 && (o.suite || o.table != "" || o.plot != ""):
		return &UsageError{"--soak with --suite, --table or --plot", "one of them"}
	case o.runs < 1:
		return &UsageError{fmt.Sprintf("--runs %d", o.runs), "at least 1"}
	case o.table != "" && !slices.Contains(tableNames(), o.table):
		return &UsageError{fmt.Sprintf("no table %q", o.table), "one of " + strings.Join(tableNames(), ", ")}
	case o.suite && o.table != "":
		return &UsageError{"--suite with --table", "one of the two"}
	case o.table != "" && o.plot != "":
		return &UsageError{"--plot with --table", "leave one out: a table has no distribution to draw"}
	}
	if !o.suite {
		return nil
	}
	for _, fixed := range []string{"arm", "load", "timers", "interval", "slack"} {
		if given(flags, fixed) {
			return &UsageError{"--suite with --" + fixed, "leave it out: the suite's rows are fixed"}
		}
	}
	return nil
}

func given(flags *flag.FlagSet, name string) (yes bool) {
	flags.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// pick splits a comma-separated list into known names, each once and in the order given; a group stands for several.
func pick(what, list string, known []string, groups map[string][]string) ([]string, error) {
	var picked []string
	for _, name := range strings.Split(list, ",") {
		names, ok := groups[name]
		if !ok {
			names = []string{name}
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				return nil, &UsageError{fmt.Sprintf("no %s %q", what, name), "one of " + strings.Join(known, ", ")}
			}
			if !slices.Contains(picked, name) {
				picked = append(picked, name)
			}
		}
	}
	return picked, nil
}
