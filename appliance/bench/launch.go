//go:build linux

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// launcher starts the processes that measure.
type launcher struct {
	program  string
	realTime bool
}

func newLauncher(realTime bool) (*launcher, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return &launcher{program: program, realTime: realTime}, nil
}

// killGrace is how long a killed child's pipes are waited for.
const killGrace = 2 * time.Second

// run has a child carry out an order, in a cgroup unless it is nil. It blocks until the child has ended.
func (l *launcher) run(ctx context.Context, o order, group *cgroup) (answer, error) {
	input, err := json.Marshal(o)
	if err != nil {
		return answer{}, err
	}
	cmd := exec.CommandContext(ctx, l.program, l.arguments(group)...)
	cmd.WaitDelay = killGrace
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return answer{}, err
	}
	if err := cmd.Start(); err != nil {
		return answer{}, fmt.Errorf("start a measuring process: %w", err)
	}
	placed := group.add(cmd.Process.Pid)
	if placed == nil {
		// A child that waits takes the line's end as its signal, one that does not skips it as white space.
		_, _ = stdin.Write(append([]byte("\n"), input...)) // A child that ended early is reported by Wait.
	}
	_ = stdin.Close()
	err = cmd.Wait()
	switch {
	case placed != nil:
		return answer{}, placed
	case ctx.Err() != nil:
		return answer{}, ctx.Err()
	case err != nil:
		return answer{}, fmt.Errorf("a measuring process failed: %s (%w)", strings.TrimSpace(errs.String()), err)
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return answer{}, fmt.Errorf("read a measuring process's answer: %w", err)
	}
	return a, nil
}

func (l *launcher) arguments(group *cgroup) []string {
	args := []string{ChildCommand}
	if group != nil || !l.realTime {
		args = append(args, argPrepare)
	}
	if !l.realTime {
		args = append(args, argWithoutRT)
	}
	return args
}
