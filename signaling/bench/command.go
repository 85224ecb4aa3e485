//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"fmt"
)

// Report is what --json prints. Rows has each arm of each run, in the order in which they ran.
type Report struct {
	Host any   `json:"host"`
	Rows []Row `json:"rows"`
	// Held is the outcome of --search.
	Held []Held `json:"held,omitempty"`
	// Lost counts connections that the server ended while it was measured.
	Lost int `json:"lost"`
}

// Command is `tourbillon bench signaling`: it runs what the arguments ask for and writes a table for people, or with
// --json one object. It blocks until the last process has ended, or until ctx. A command line that cannot be carried out
// is a [UsageError].
func Command(ctx context.Context, args []string, environment Environment) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	b := &bench{options: o, Environment: environment, report: Report{Host: environment.Host, Rows: []Row{}}}
	b.arms = b.runnable()
	if b.search {
		err = b.runSearch(ctx)
	} else {
		err = b.runRows(ctx)
	}
	if err != nil {
		return err
	}
	return b.write()
}

// bench is one call of the command.
type bench struct {
	options
	Environment
	report   Report
	outcomes []outcome
}

// runnable leaves out the arm that is not installed, and says so.
func (b *bench) runnable() []string {
	var arms []string
	for _, arm := range b.arms {
		if arm == armPeerJS {
			if _, err := peerJSProgram(); err != nil {
				fmt.Fprintln(b.Errs, err)
				continue
			}
		}
		arms = append(arms, arm)
	}
	return arms
}

func (b *bench) runRows(ctx context.Context) error {
	for range b.runs {
		for _, arm := range b.arms {
			if _, err := b.run(ctx, arm, b.options); err != nil {
				return err
			}
		}
	}
	return nil
}

// run measures one arm once and keeps the row.
func (b *bench) run(ctx context.Context, arm string, o options) (outcome, error) {
	result, err := runTrial(ctx, arm, o)
	if err != nil {
		return outcome{}, err
	}
	b.report.Rows = append(b.report.Rows, result.Row)
	b.outcomes = append(b.outcomes, result)
	b.report.Lost += result.Lost
	if result.Lost > 0 {
		fmt.Fprintf(b.Errs, "%s lost %d of %d connections: %s\n", arm, result.Lost, o.conns, result.LostWhy)
	}
	if missing := result.Asked - result.RoundTrips; missing > 0 {
		fmt.Fprintf(b.Errs, "%s left %d of %d requests unanswered\n", arm, missing, result.Asked)
	}
	return result, nil
}

func (b *bench) write() error {
	if !b.asJSON {
		return b.writeText()
	}
	encoder := json.NewEncoder(b.Out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(b.report)
}
