//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"tourbillon/timing"
)

// Timers is `tourbillon bench timers`: it runs what the arguments ask for and writes a table for people, or with --json
// one object. What could not be done on this machine is said on errs. It blocks until the last run has ended, or until
// ctx. A command line that cannot be carried out is a [UsageError].
func Timers(ctx context.Context, args []string, out, errs io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	b, err := newBench(o, errs)
	if err != nil {
		return err
	}
	lost := b.run(ctx)
	if lost != nil && len(b.report.Soak) == 0 {
		return lost
	}
	if o.plot != "" {
		if err := os.WriteFile(o.plot, []byte(plotPage(b.report.Host, b.panels())), 0o644); err != nil {
			return fmt.Errorf("write the plot: %w", err)
		}
	}
	return errors.Join(lost, b.write(out))
}

func (b *bench) write(out io.Writer) error {
	if !b.asJSON {
		return writeText(out, b)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(b.report)
}

// bench is one call of the command.
type bench struct {
	options
	launch *launcher
	work   int
	errs   io.Writer
	said   map[string]bool

	report Report
	// measured are the trials that were run, for the text and the plot.
	measured []measured
}

// Report is what --json prints. Rows has each trial of each run, in the order in which they ran.
type Report struct {
	Host  Host      `json:"host"`
	Rows  []Row     `json:"rows"`
	Suite []Verdict `json:"suite,omitempty"`
	Table *Table    `json:"table,omitempty"`
	Soak  []Soak    `json:"soak,omitempty"`
	// Floor is what cyclictest says of the machine, where it is installed.
	Floor *Floor `json:"floor,omitempty"`
}

func newBench(o options, errs io.Writer) (*bench, error) {
	timing.AddProcessor() // As serve and the measuring processes do, so that the host facts are theirs.
	launch, err := newLauncher(o.realTime)
	if err != nil {
		return nil, err
	}
	return &bench{
		options: o,
		launch:  launch,
		work:    calibrate(timing.Runtime{}),
		errs:    errs,
		said:    map[string]bool{},
		report:  Report{Host: readHost(), Rows: []Row{}},
	}, nil
}

func (b *bench) run(ctx context.Context) (err error) {
	switch {
	case b.table != "":
		b.report.Table, err = b.runTable(ctx, b.table)
		return err
	case b.soak > 0:
		return b.runSoak(ctx)
	case b.suite:
		err = b.runSuite(ctx)
	default:
		err = b.runRows(ctx)
	}
	if err != nil {
		return err
	}
	b.report.Floor, err = b.floor(ctx)
	return err
}

// say tells something once.
func (b *bench) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !b.said[line] {
		b.said[line] = true
		fmt.Fprintln(b.errs, line)
	}
}
