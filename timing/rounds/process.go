package rounds

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"

	"time"

	"tourbillon/timing"
)

// stopGrace is how long a process may take to end before it is killed.
const stopGrace = 10 * time.Second

// Process is a running child. Whoever launched it stops it.
type Process struct {
	// Lines is what it prints.
	Lines *bufio.Scanner

	cmd *exec.Cmd
	in  io.WriteCloser
}

// Launch starts a program that ends with ctx, at the latest. What it says as errors goes to errs.
func Launch(ctx context.Context, errs io.Writer, program string, args ...string) (*Process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = stopGrace
	cmd.Stderr = errs
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	return &Process{Lines: bufio.NewScanner(out), cmd: cmd, in: in}, nil
}

// Order starts a program and gives it an order: one line of JSON. The program reads on until it is told to end.
func Order(ctx context.Context, errs io.Writer, order any, program string, args ...string) (*Process, error) {
	p, err := Launch(ctx, errs, program, args...)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(order)
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Answer reads one line of JSON.
func (p *Process) Answer(to any) error {
	if !p.Lines.Scan() {
		return errors.Join(errors.New("it ended without an answer"), p.Lines.Err())
	}
	if err := json.Unmarshal(p.Lines.Bytes(), to); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// Release closes the input of the process: one that reads on until its end has nothing more to wait for.
func (p *Process) Release() { _ = p.in.Close() }

// Stop tells the process to end and waits until it has; one that ends by the signal has ended well.
func (p *Process) Stop() error {
	p.Release()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // One that has ended is found so by Wait.
	return p.wait()
}

// Wait waits for the process, which ends by itself, after releasing it.
func (p *Process) Wait() error {
	p.Release()
	return p.wait()
}

func (p *Process) wait() error {
	kill := timing.Runtime{}.AfterFunc(stopGrace, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	for p.Lines.Scan() { // What it still says.
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
		return nil
	}
	return err
}
