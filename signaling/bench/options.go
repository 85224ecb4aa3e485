//go:build linux

package bench

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Names of the arms and of the protocols.
const (
	armHRTimer = "hrtimer"
	armRuntime = "runtime"
	armPeerJS  = "peerjs-server"

	protocolTourbillon = "tourbillon"
	protocolPeerJS     = "peerjs"
)

// Bounds of a run.
const (
	maxRate, maxRuns           = 100_000, 100
	minHeartbeat, maxHeartbeat = time.Millisecond, 5 * time.Second
	minDuration, maxDuration   = 100 * time.Millisecond, 10 * time.Minute
	// spareDescriptors are what a process has open besides the connections.
	spareDescriptors = 100
)

// options is a parsed command line.
type options struct {
	arms                []string
	conns, rate, runs   int
	heartbeat, duration time.Duration
	// settle is between the last connection and the reading of memory.
	settle         time.Duration
	protocol       string
	asJSON, search bool
}

func parseOptions(args []string) (options, error) {
	var o options
	arms := ""
	flags := flag.NewFlagSet("bench signaling", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // The error that Parse returns says it.
	flags.StringVar(&arms, "arm", "", "")
	flags.IntVar(&o.conns, "conns", 1000, "")
	flags.IntVar(&o.rate, "rate", 1000, "")
	flags.IntVar(&o.runs, "runs", 1, "")
	flags.DurationVar(&o.heartbeat, "heartbeat", 0, "")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "")
	flags.DurationVar(&o.settle, "settle", 3*time.Second, "")
	flags.StringVar(&o.protocol, "protocol", protocolTourbillon, "")
	flags.BoolVar(&o.asJSON, "json", false, "")
	flags.BoolVar(&o.search, "search", false, "")
	if err := flags.Parse(args); err != nil {
		return o, &UsageError{err.Error(), "see `tourbillon help`"}
	}
	if rest := flags.Args(); len(rest) > 0 {
		return o, &UsageError{fmt.Sprintf("bench signaling takes no argument %q", rest[0]), "options begin with --"}
	}
	o.setHeartbeat()
	if err := o.validate(descriptors()); err != nil {
		return o, err
	}
	return o, o.pickArms(arms)
}

// setHeartbeat takes the protocol's own interval where none is given: the peerjs package beats every five seconds.
func (o *options) setHeartbeat() {
	switch {
	case o.heartbeat != 0:
	case o.protocol == protocolPeerJS:
		o.heartbeat = 5 * time.Second
	default:
		o.heartbeat = time.Second
	}
}

// descriptors is how many a process may have open, 0 when the kernel does not say.
func descriptors() int {
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return int(min(limit.Max, 1<<30))
}

func (o *options) validate(descriptors int) error {
	switch {
	case o.protocol != protocolTourbillon && o.protocol != protocolPeerJS:
		return &UsageError{fmt.Sprintf("--protocol %q", o.protocol), "tourbillon or peerjs"}
	case o.conns < 2 || o.conns%2 != 0:
		return &UsageError{fmt.Sprintf("--conns %d", o.conns), "an even number, since clients talk in pairs"}
	case o.conns+spareDescriptors > descriptors:
		return &UsageError{fmt.Sprintf("--conns %d", o.conns), fmt.Sprintf("a process may have %d files open here: at most %d, or raise ulimit -n", descriptors, (descriptors-spareDescriptors)&^1)}
	case o.rate < 0 || o.rate > maxRate:
		return &UsageError{fmt.Sprintf("--rate %d", o.rate), fmt.Sprintf("from 0 to %d round trips a second", maxRate)}
	case o.runs < 1 || o.runs > maxRuns:
		return &UsageError{fmt.Sprintf("--runs %d", o.runs), fmt.Sprintf("from 1 to %d", maxRuns)}
	case o.heartbeat < minHeartbeat || o.heartbeat > maxHeartbeat:
		return &UsageError{fmt.Sprintf("--heartbeat %v", o.heartbeat), fmt.Sprintf("from %v to %v", minHeartbeat, maxHeartbeat)}
	case o.duration < minDuration || o.duration > maxDuration:
		return &UsageError{fmt.Sprintf("--duration %v", o.duration), fmt.Sprintf("from %v to %v", minDuration, maxDuration)}
	case o.settle < 0 || o.settle > maxDuration:
		return &UsageError{fmt.Sprintf("--settle %v", o.settle), fmt.Sprintf("at most %v", maxDuration)}
	case o.search && o.protocol != protocolTourbillon:
		return &UsageError{"--search with --protocol peerjs", "leave one out: only tourbillon.v1 has heartbeats of the server"}
	}
	return nil
}

func (o *options) pickArms(list string) error {
	known := []string{armHRTimer, armRuntime}
	if o.protocol == protocolPeerJS {
		known = append(known, armPeerJS)
	}
	if list == "" {
		o.arms = known
		return nil
	}
	for _, arm := range strings.Split(list, ",") {
		if !slices.Contains(known, arm) {
			return &UsageError{fmt.Sprintf("no arm %q", arm), "one of " + strings.Join(known, ", ")}
		}
		if !slices.Contains(o.arms, arm) {
			o.arms = append(o.arms, arm)
		}
	}
	return nil
}
