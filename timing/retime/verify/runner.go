package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tourbillon/timing/retime/carry"
)

const (
	// packageTimeout bounds one package's tests; the longest took about two minutes on two CPUs.
	packageTimeout = 10 * time.Minute
	// A test that did not pass is run again by itself on both sides, in rounds of that many runs, for as many rounds as
	// its two sides look different.
	alone, rounds = 5, 5
	// sweeps is how often what a crash kept from running is run without what crashed.
	sweeps = 5
)

// runner runs the tests of one module.
type runner struct {
	scratch     scratch
	module      carry.Module
	hostNetwork bool
}

// compare runs both sides and, again, what did not pass on one of them.
func (r runner) compare(ctx context.Context) (verdict, error) {
	v := verdict{module: r.module, sides: map[arm]results{}, again: map[testID]tally{}}
	for _, a := range []arm{published, retimed} {
		if err := r.download(ctx, a); err != nil {
			return v, err
		}
		found, err := r.whole(ctx, a)
		if err != nil {
			return v, err
		}
		v.sides[a] = found
	}
	for _, test := range v.doubtful() {
		again, err := r.again(ctx, test)
		if err != nil {
			return v, err
		}
		v.again[test] = again
	}
	v.judge()
	return v, nil
}

// again runs one test by itself on both sides. A round is one process, since linking takes longer than most tests.
func (r runner) again(ctx context.Context, test testID) (passed tally, err error) {
	for range rounds {
		passed.runs += alone
		for a, passes := range map[arm]*int{published: &passed.plain, retimed: &passed.ours} {
			found, err := r.test(ctx, a, test.Package, "-count", strconv.Itoa(alone), "-run", "^"+regexp.QuoteMeta(test.Name)+"$")
			if err != nil {
				return passed, err
			}
			*passes += found.passes[test]
		}
		if passed.ours == 0 || !passed.worse() {
			break
		}
	}
	return passed, nil
}

// download fetches what the tests need, outside the network namespace that they run in.
func (r runner) download(ctx context.Context, a arm) error {
	cmd := r.command(ctx, a, "go", "list", "-test", "-deps", "./...")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("download what the tests need: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// whole runs all tests of the module. What a crash (a panic, a time-out) kept from running is run again without what
// was running when it happened.
func (r runner) whole(ctx context.Context, a arm) (results, error) {
	found, err := r.test(ctx, a, "./...")
	if err != nil {
		return found, err
	}
	for _, pkg := range slices.Sorted(maps.Keys(found.crashed)) {
		for range sweeps {
			if found.unbuilt(pkg) {
				break
			}
			seen := found.names(pkg)
			more, err := r.test(ctx, a, pkg, "-skip", "^("+strings.Join(seen, "|")+")$")
			if err != nil {
				return found, err
			}
			found.add(more)
			if !more.crashed[pkg] || len(more.names(pkg)) == 0 {
				break
			}
		}
	}
	return found, nil
}

// test runs one `go test` and reads its events. An error is what kept it from running at all; tests that fail are none.
func (r runner) test(ctx context.Context, a arm, pkg string, flags ...string) (results, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*packageTimeout)
	defer cancel()
	args := []string{"go", "test", "-json", "-count=1", "-p=1", "-vet=off", "-timeout", packageTimeout.String()}
	args = append(args, flags...)
	if !r.hostNetwork {
		args = append([]string{"unshare", "--map-root-user", "--net", "sh", "-c", namespace, "sh"}, args...)
	}
	cmd := r.command(ctx, a, append(args, pkg)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	found, events := readEvents(bytes.NewReader(out))
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return found, fmt.Errorf("the tests did not end: %w", ctx.Err())
	case err != nil && (!errors.As(err, &exit) || events == 0):
		return found, fmt.Errorf("run the tests (without a network namespace: ARGS=-host-network): %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return found, nil
}

// namespace brings up, in a fresh network namespace, loopback and an interface that leads nowhere, since ICE gathers no
// candidates on loopback, and then runs its arguments.
const namespace = `set -e
ip link set lo up
ip link add retime0 type bridge
ip addr add 10.99.0.1/24 dev retime0
ip link set retime0 multicast on up
ip route add 224.0.0.0/4 dev retime0
exec "$@"`

func (r runner) command(ctx context.Context, a arm, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = r.scratch.folder(a, r.module)
	cmd.Env = append(os.Environ(), "PWD="+cmd.Dir, "GOWORK="+r.scratch.workspace(a), "GOFLAGS=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
