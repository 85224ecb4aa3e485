//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Floor is what cyclictest (Debian's rt-tests) says of the idle machine: a C program that sleeps in clock_nanosleep and
// does nothing else. No Go program does better on it.
type Floor struct {
	Cycles int64 `json:"cycles"`
	MinNS  int64 `json:"min_ns"`
	AvgNS  int64 `json:"avg_ns"`
	MaxNS  int64 `json:"max_ns"`
	// Policy is the scheduling policy that cyclictest ran with.
	Policy string `json:"policy"`
}

// cyclictest's run: as long and as often as makes an average, at the engine's own priority.
const (
	cyclictestSeconds  = 2
	cyclictestEveryUS  = 10_000
	cyclictestPriority = 10
)

// floor runs cyclictest where it is installed; nil where it is not or may not run, which is said.
func (b *bench) floor(ctx context.Context) (*Floor, error) {
	program, err := exec.LookPath("cyclictest")
	if errors.Is(err, exec.ErrNotFound) {
		b.say("no floor beside the figures: cyclictest is not installed (Debian package rt-tests)")
		return nil, nil
	}
	args := []string{"-q", "-m", "-t1", "-i", strconv.Itoa(cyclictestEveryUS), "-D", strconv.Itoa(cyclictestSeconds)}
	policy := policyOther
	if b.realTime {
		args = append(args, "-p", strconv.Itoa(cyclictestPriority))
		policy = fmt.Sprintf("SCHED_FIFO %d", cyclictestPriority)
	}
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	floor, parsed := parseCyclictest(string(out))
	if err != nil || !parsed {
		b.say("no floor beside the figures: cyclictest failed: %s", strings.TrimSpace(string(out)))
		return nil, nil
	}
	floor.Policy = policy
	return &floor, nil
}

// cyclictestLine is its summary of a thread, in microseconds.
var cyclictestLine = regexp.MustCompile(`T:.*C:\s*(\d+)\s+Min:\s*(\d+)\s+Act:\s*\d+\s+Avg:\s*(\d+)\s+Max:\s*(\d+)`)

func parseCyclictest(text string) (f Floor, ok bool) {
	found := cyclictestLine.FindStringSubmatch(text)
	if found == nil {
		return f, false
	}
	micro := int64(time.Microsecond)
	for i, to := range []struct {
		figure *int64
		unit   int64
	}{{&f.Cycles, 1}, {&f.MinNS, micro}, {&f.AvgNS, micro}, {&f.MaxNS, micro}} {
		n, err := strconv.ParseInt(found[i+1], 10, 64)
		if err != nil {
			return f, false
		}
		*to.figure = n * to.unit
	}
	return f, true
}
