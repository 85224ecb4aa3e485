package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/rounds"
)

// Build is what the program says of itself.
type Build struct {
	// Retimed tells that pion runs on the injected clock, Clock which that is.
	Retimed bool   `json:"retimed"`
	Clock   string `json:"clock"`
	// Revision is the commit, empty where the build did not record it.
	Revision string `json:"revision"`
}

// Answer is what one process measured.
type Answer struct {
	Build         Build   `json:"build"`
	ConnectP50NS  int64   `json:"connect_p50_ns"`
	BytesPerSec   float64 `json:"throughput_bytes_per_s"`
	CPUPerConnect int64   `json:"cpu_ns_per_connect"`
	CPUPerMB      int64   `json:"cpu_ns_per_mb"`
}

// warmUps is how many connections are made first and not counted.
const warmUps = 5

// Self measures this process and writes the answer as JSON. The process clock of package stdtime has been set. It blocks
// for as long as that takes, or until ctx ends.
func Self(ctx context.Context, clock timing.Clock, build Build, o Options, out io.Writer) error {
	for range warmUps {
		if _, err := connectOnce(ctx, clock); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	a := Answer{Build: build}
	var err error
	if a.ConnectP50NS, a.CPUPerConnect, err = connects(ctx, clock, o.Connects); err != nil {
		return err
	}
	sent, err := sendOnce(ctx, clock, o.Duration)
	if err != nil {
		return err
	}
	a.BytesPerSec, a.CPUPerMB = sent.bytesPerSecond, int64(sent.cpuPerMB)
	return json.NewEncoder(out).Encode(a)
}

// connects connects n pairs one after another. The CPU is that of the whole process from making to closing them.
func connects(ctx context.Context, clock timing.Clock, n int) (p50, cpu int64, err error) {
	took := make([]time.Duration, n)
	before := rounds.CPUTime()
	for i := range took {
		if took[i], err = connectOnce(ctx, clock); err != nil {
			return 0, 0, fmt.Errorf("connection %d: %w", i+1, err)
		}
	}
	cpu = int64(rounds.CPUTime()-before) / int64(n)
	slices.Sort(took)
	return int64(took[(n-1)/2]), cpu, nil
}

func connectOnce(ctx context.Context, clock timing.Clock) (time.Duration, error) {
	p, err := newPair()
	if err != nil {
		return 0, err
	}
	defer p.close()
	return p.connect(ctx, clock)
}

func sendOnce(ctx context.Context, clock timing.Clock, duration time.Duration) (flow, error) {
	p, err := newPair()
	if err != nil {
		return flow{}, err
	}
	defer p.close()
	if _, err := p.connect(ctx, clock); err != nil {
		return flow{}, err
	}
	return p.throughput(ctx, clock, duration)
}
