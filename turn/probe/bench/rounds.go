package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"tourbillon/timing/rounds"
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
// that cannot be carried out is a [*rounds.UsageError].
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
	all, err := rounds.Measure(ctx, o.runs, p.present(o.arms), func(ctx context.Context, arm string) (outcome, error) {
		return p.measure(ctx, arm, o)
	})
	if err != nil {
		return err
	}
	report := newReport(o, self, all)
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
	p := &programs{own: own, coturn: o.coturn, errs: errs}
	if slices.Contains(o.arms, ArmPion) {
		if p.plain, err = rounds.Plain("bench stun", o.plain, self.Retimed); err != nil {
			return nil, err
		}
	}
	p.dir, err = os.MkdirTemp("", "tourbillon-bench-")
	return p, err
}

// present are the arms but coturn where that is not installed, which is said.
func (p *programs) present(arms []string) []string {
	if _, err := exec.LookPath(p.coturn); err != nil && slices.Contains(arms, ArmCoturn) {
		fmt.Fprintln(p.errs, "arm coturn:", errNoCoturn)
		return slices.DeleteFunc(slices.Clone(arms), func(arm string) bool { return arm == ArmCoturn })
	}
	return arms
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
	defer func() { err = errors.Join(err, busy.Stop()) }()
	if !busy.Lines.Scan() || busy.Lines.Text() != readyLine {
		return outcome{}, errors.New("the signaling load did not come up")
	}
	prober, err := p.child(ctx, p.own, order{Probe: &probeOrder{Server: s.stun, PID: s.pid, Rate: o.rate, Duration: o.duration}})
	if err != nil {
		return outcome{}, err
	}
	err = prober.Answer(&measured)
	if err := errors.Join(err, prober.Wait()); err != nil {
		return outcome{}, fmt.Errorf("measure: %w", err)
	}
	return measured, ctx.Err()
}
