package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"tourbillon/timing/rounds"
)

// killGrace is how long a killed process's pipes are waited for.
const killGrace = 2 * time.Second

// Compare is `tourbillon bench pion`: it runs the arms in rounds, each in a process of its own, and writes a table for
// people or one JSON object. self is what this program says of itself. It blocks until the last process has ended, or
// until ctx.
func Compare(ctx context.Context, self Build, o Options, out io.Writer) error {
	programs, err := findPrograms(self, o)
	if err != nil {
		return err
	}
	all, err := rounds.Measure(ctx, o.Pairs, o.Arms, func(ctx context.Context, arm string) (Answer, error) {
		return programs.measure(ctx, arm, o)
	})
	if err != nil {
		return err
	}
	report := newReport(o.Arms, all)
	if o.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.writeText(out)
}

// programs are the two builds of the same sources.
type programs struct {
	retimed, plain string
	revision       string
}

// findPrograms looks for the program with pion as published, unless told beside this one.
func findPrograms(self Build, o Options) (programs, error) {
	program, err := os.Executable()
	if err != nil {
		return programs{}, fmt.Errorf("find this program: %w", err)
	}
	plain, err := rounds.Plain("bench pion", o.Plain, self.Retimed)
	return programs{retimed: program, plain: plain, revision: self.Revision}, err
}

// measure has a process of an arm measure itself.
func (p programs) measure(ctx context.Context, arm string, o Options) (Answer, error) {
	program, clock := p.retimed, "hrtimer"
	switch arm {
	case ArmRuntime:
		clock = "runtime"
	case ArmPion:
		program, clock = p.plain, "runtime"
	}
	cmd := exec.CommandContext(ctx, program, "bench", "pion", "--arm", armSelf, "--clock", clock,
		"--connects", strconv.Itoa(o.Connects), "--duration", o.Duration.String())
	cmd.WaitDelay = killGrace
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); ctx.Err() != nil {
		return Answer{}, ctx.Err()
	} else if err != nil {
		return Answer{}, fmt.Errorf("%s failed: %s (%w)", program, strings.TrimSpace(errs.String()), err)
	}
	var a Answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return Answer{}, fmt.Errorf("read the answer of %s: %w", program, err)
	}
	return a, p.accept(arm, clock, a.Build)
}

// accept refuses answers of a process that is not what its arm claims.
func (p programs) accept(arm, clock string, b Build) error {
	switch {
	case b.Retimed != (arm != ArmPion):
		return fmt.Errorf("pion is re-timed in this process: %v: run `make build`", b.Retimed)
	case b.Clock != clock:
		return fmt.Errorf("the process ran on the clock %q instead of %q, which this machine does not give it", b.Clock, clock)
	case b.Revision != p.revision:
		return fmt.Errorf("the programs are of two revisions, %q and %q: run `make build`", p.revision, b.Revision)
	}
	return nil
}
