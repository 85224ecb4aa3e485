//go:build linux

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"tourbillon/timing"
)

// warmUpTime is the least time between the begin of the load and the window.
const warmUpTime = 500 * time.Millisecond

// watched is what the kernel, and the server itself, say of the server.
type watched struct {
	residentBefore, residentAfter int64
	cpu                           time.Duration
	beats                         timing.Summary
}

// runTrial measures one arm once. It blocks until both processes have ended.
func runTrial(ctx context.Context, arm string, o options) (result outcome, err error) {
	s, err := startServer(ctx, arm, o)
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	trial := order{
		Address: s.address, Protocol: o.protocol, Conns: o.conns, Rate: o.rate,
		Heartbeat: o.heartbeat, WarmUp: max(warmUpTime, min(2*o.heartbeat, 2*time.Second)), Window: o.duration,
	}
	g, err := startGenerator(ctx, trial)
	if err != nil {
		return outcome{}, err
	}
	c, m, w, err := g.measure(ctx, s, o.settle)
	if err = errors.Join(err, g.stop()); err != nil {
		return outcome{}, fmt.Errorf("%s: %w", arm, err)
	}
	return outcome{Row: newRow(arm, trial, c, m, w), measured: m, cpu: w.cpu, window: o.duration}, nil
}

// generatorProcess is the generator, seen from its parent.
type generatorProcess struct {
	cmd     *exec.Cmd
	in      interface{ Close() error }
	write   func([]byte) (int, error)
	answers *json.Decoder
	errs    bytes.Buffer
}

func startGenerator(ctx context.Context, o order) (*generatorProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	g := &generatorProcess{cmd: exec.CommandContext(ctx, program, GenerateCommand)}
	g.cmd.WaitDelay = killGrace
	g.cmd.Stderr = &g.errs
	in, err := g.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	g.in, g.write, g.answers = in, in.Write, json.NewDecoder(out)
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the generator: %w", err)
	}
	text, err := json.Marshal(o)
	if err == nil {
		_, err = g.write(append(text, '\n'))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tell the generator: %w", err), g.stop())
	}
	return g, nil
}

// measure follows the generator through its phases and reads the server at each.
func (g *generatorProcess) measure(ctx context.Context, s *server, settle time.Duration) (c connected, m measured, w watched, err error) {
	pid := s.cmd.Process.Pid
	fail := func(err error) (connected, measured, watched, error) { return c, m, w, err }
	if w.residentBefore, err = residentOf(pid); err != nil {
		return fail(err)
	}
	if err = g.answers.Decode(&c); err != nil {
		return fail(fmt.Errorf("the clients did not connect: %w", err))
	}
	if err = pause(ctx, settle); err != nil {
		return fail(err)
	}
	if w.residentAfter, err = residentOf(pid); err != nil {
		return fail(err)
	}
	if _, err = g.write([]byte("go\n")); err != nil {
		return fail(fmt.Errorf("start the load: %w", err))
	}
	if err = g.answers.Decode(&struct{}{}); err != nil {
		return fail(fmt.Errorf("the load did not begin: %w", err))
	}
	if _, err = s.takeBeats(); err != nil {
		return fail(err)
	}
	before, err := cpuOf(pid)
	if err != nil {
		return fail(err)
	}
	if err = g.answers.Decode(&m); err != nil {
		return fail(fmt.Errorf("the load did not end: %w", err))
	}
	after, err := cpuOf(pid)
	if err != nil {
		return fail(err)
	}
	w.cpu = after - before
	w.beats, err = s.takeBeats()
	return c, m, w, err
}

// stop ends the generator and returns what it said was wrong.
func (g *generatorProcess) stop() error {
	_ = g.in.Close() // Without which it would wait for ever after a failure.
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("the generator: %s (%w)", strings.TrimSpace(g.errs.String()), err)
	}
	return nil
}
