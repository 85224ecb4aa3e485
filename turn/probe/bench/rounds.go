package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"tourbillon/timing"
)

// Self is what this program says of itself.
type Self struct {
	// Retimed tells that pion runs on the injected clock.
	Retimed bool
	// Host is what the report tells of the machine.
	Host any
}

// Run is `tourbillon bench stun`: it runs the arms in rounds and writes a table for people, or with --json one object.
// What could not be measured is said on errs. It blocks until the last process has ended, or until ctx. A command line
// that cannot be carried out is a [*UsageError].
func Run(ctx context.Context, args []string, self Self, out, errs io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	p, err := findPrograms(o, self, errs)
	if err != nil {
		return err
	}
	defer os.RemoveAll(p.dir)
	rounds, err := p.rounds(ctx, o)
	if err != nil {
		return err
	}
	report := newReport(o, self, rounds)
	if o.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.writeText(out)
}

// findPrograms looks for what the arms need and drops the arm coturn where there is none.
func findPrograms(o options, self Self, errs io.Writer) (*programs, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p := &programs{own: own, plain: o.plain, coturn: o.coturn, clock: timing.Runtime{}, errs: errs}
	if p.plain == "" {
		p.plain = filepath.Join(filepath.Dir(own), plainName)
	}
	if slices.Contains(o.arms, ArmPion) {
		switch _, err := os.Stat(p.plain); {
		case !self.Retimed:
			return nil, errors.New("bench stun compares with pion as published, and this program has nothing else: run the one that `make build` leaves in bin/tourbillon")
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s, the same program with pion as published, is not there: run `make build`, or name it with --plain FILE", p.plain)
		case err != nil:
			return nil, fmt.Errorf("look for the program with pion as published: %w", err)
		}
	}
	p.dir, err = os.MkdirTemp("", "tourbillon-bench-")
	return p, err
}

// round is each arm's outcome.
type round map[string]outcome

// rounds measures every arm in every round, every other round in the other order.
func (p *programs) rounds(ctx context.Context, o options) ([]round, error) {
	arms := slices.Clone(o.arms)
	if _, err := exec.LookPath(p.coturn); err != nil && slices.Contains(arms, ArmCoturn) {
		fmt.Fprintln(p.errs, "arm coturn:", errNoCoturn)
		arms = slices.DeleteFunc(arms, func(arm string) bool { return arm == ArmCoturn })
	}
	var rounds []round
	for i := range o.runs {
		r := round{}
		for _, arm := range arms {
			measured, err := p.measure(ctx, arm, o)
			if err != nil {
				return nil, fmt.Errorf("round %d, arm %s: %w", i+1, arm, err)
			}
			r[arm] = measured
		}
		rounds = append(rounds, r)
		slices.Reverse(arms)
	}
	return rounds, nil
}

// measure takes one arm through one round.
func (p *programs) measure(ctx context.Context, arm string, o options) (measured outcome, err error) {
	s, err := p.start(ctx, arm)
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	busy, err := p.child(ctx, p.own, order{Load: &loadOrder{Addr: s.signaling, Clients: o.clients}})
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, busy.stop()) }()
	if !busy.lines.Scan() || busy.lines.Text() != readyLine {
		return outcome{}, errors.New("the signaling load did not come up")
	}
	prober, err := p.child(ctx, p.own, order{Probe: &probeOrder{Server: s.stun, PID: s.pid, Rate: o.rate, Duration: o.duration}})
	if err != nil {
		return outcome{}, err
	}
	if prober.lines.Scan() {
		err = json.Unmarshal(prober.lines.Bytes(), &measured)
	}
	if err := errors.Join(err, prober.stop()); err != nil {
		return outcome{}, fmt.Errorf("measure: %w", err)
	}
	return measured, ctx.Err()
}
