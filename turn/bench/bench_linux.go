package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"tourbillon/timing"
)

// publishedBinary is this program built with pion as published, beside this one's file.
const publishedBinary = "tourbillon-stdtime"

// Run is `tourbillon bench turn`: it runs what the arguments ask for and writes a table for people, or with --json one
// object. What could not be done on this machine is said on errs. It blocks until the last run has ended, or until ctx.
// A command line that cannot be carried out is a [UsageError].
func Run(ctx context.Context, args []string, out, errs io.Writer, hooks Hooks) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if err := o.resolve(ctx); err != nil {
		return err
	}
	b, err := newBench(o, errs, hooks)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.run(ctx); err != nil {
		return err
	}
	if o.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(b.report)
	}
	return writeText(out, b)
}

// bench is one call of the command.
type bench struct {
	options
	clock              timing.Clock
	program, published string
	dir                string // for coturn's files and the certificate
	work               int
	errs               io.Writer
	said               map[string]bool
	hostLine           string

	report   Report
	measured []measured
}

// Report is what --json prints. Rows has each arm of each run, in the order in which they ran.
type Report struct {
	Host     any               `json:"host"`
	Versions map[string]string `json:"versions"`
	// Commands are the command lines of the arms that are not this program.
	Commands []string  `json:"commands"`
	Rows     []Row     `json:"rows"`
	Memory   []Memory  `json:"memory,omitempty"`
	Suite    []Verdict `json:"suite,omitempty"`
}

// Row is one arm in one run. Times are in nanoseconds.
type Row struct {
	Arm     string `json:"arm"`
	Clients int    `json:"clients"`
	Size    int    `json:"size"`
	// PPS counts messages that came back, per second: four packets at the server each, eight where the echo is relayed
	// (doc.go). Loss is the share of those sent
	// in the window that did not.
	PPS  float64 `json:"pps"`
	Loss float64 `json:"loss"`
	// CPUNSPerMsg is the server's user and system CPU time for a message there and back; 0 where its process is unknown.
	CPUNSPerMsg int64 `json:"cpu_ns_per_msg"`
	RTTP50NS    int64 `json:"rtt_p50_ns"`
	RTTP99NS    int64 `json:"rtt_p99_ns"`
	// AddedJitterP99NS is the 99th percentile of the difference between consecutive round trips of a client, less the
	// same over the path without a relay.
	AddedJitterP99NS int64   `json:"added_jitter_p99_ns"`
	AllocPerS        float64 `json:"alloc_per_s"`
	RSSBytes         int64   `json:"rss_bytes"`
}

// Memory is what idle allocations took of an arm's resident memory.
type Memory struct {
	Arm                string `json:"arm"`
	Allocations        int    `json:"allocations"`
	BytesPerAllocation int64  `json:"bytes_per_allocation"`
}

func newBench(o options, errs io.Writer, hooks Hooks) (*bench, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "tourbillon-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the arms: %w", err)
	}
	b := &bench{options: o, clock: timing.Runtime{}, program: program, dir: dir, errs: errs, said: map[string]bool{}}
	b.report = Report{Rows: []Row{}, Commands: []string{}, Versions: map[string]string{}}
	b.report.Host, b.hostLine = hooks.Host()
	b.work = hooks.Calibrate()
	b.findPublished()
	if o.login.User == "" {
		b.login = restLogin(time.Now())
	}
	return b, errors.Join(makeCertificate(dir), b.versions())
}

// findPublished finds the binary for the arm pion.
func (b *bench) findPublished() {
	b.published = filepath.Join(filepath.Dir(b.program), publishedBinary)
	if _, err := os.Stat(b.published); err != nil {
		if b.server != "" {
			return // The arm does not run.
		}
		b.say("arm pion: %s is not beside this binary, so that pion runs as this one has it", publishedBinary)
		b.published = b.program
	}
}

func (b *bench) versions() error {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/pion/turn/v5" {
				b.report.Versions[armPion] = m.Version
			}
		}
	}
	if program, err := exec.LookPath(b.coturn); err == nil {
		out, _ := exec.Command(program, "--version").Output()
		b.report.Versions[armCoturn] = lastLine(string(out))
	}
	return nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// say tells something once.
func (b *bench) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !b.said[line] {
		b.said[line] = true
		fmt.Fprintln(b.errs, line)
	}
}

// command keeps a command line, once, whatever port or folder it names.
func (b *bench) command(line string) {
	if !b.said["command"] {
		b.said["command"] = true
		b.report.Commands = append(b.report.Commands, line)
		fmt.Fprintln(b.errs, line)
	}
}

// trial is one setting that every arm is measured in.
type trial struct {
	workload
	load string
}

// measured is one arm in one setting, with the outcomes of its runs.
type measured struct {
	trial
	arm  string
	runs []row
}

// row is a Row with what only the suite uses.
type row struct {
	Row
	outcome outcome
}

func (b *bench) trial(rate int, load string) trial {
	return trial{workload{
		Transport: b.transport, Login: b.login, Clients: b.clients, Size: b.size, Rate: rate, InFlight: b.inFlight,
		WarmUp: b.warmUp, Window: b.duration, AllocateFor: b.allocate,
	}, load}
}

func (b *bench) run(ctx context.Context) error {
	if b.suite {
		return b.runSuite(ctx)
	}
	if b.idle > 0 {
		t := b.trial(b.rate, b.load)
		t.Idle, t.Window, t.AllocateFor = b.idle, 0, 0
		return b.runTrial(ctx, t, b.arms, b.runs)
	}
	return b.runTrial(ctx, b.trial(b.rate, b.load), b.arms, b.runs)
}

// runTrial measures a setting with each arm in turn, and that as often as there are runs.
func (b *bench) runTrial(ctx context.Context, t trial, arms []string, runs int) error {
	first := len(b.measured)
	for _, arm := range arms {
		b.measured = append(b.measured, measured{trial: t, arm: arm})
	}
	for range runs {
		floor := outcome{}
		if t.Window > 0 {
			var err error
			if floor, err = b.direct(ctx, t); err != nil {
				return err
			}
		}
		for i := range arms {
			if err := b.runOnce(ctx, &b.measured[first+i], floor); err != nil {
				return err
			}
		}
	}
	return nil
}

// directWindow bounds the run without a relay, which is the floor of the jitter.
const directWindow = 3 * time.Second

// direct measures the path without a relay.
func (b *bench) direct(ctx context.Context, t trial) (outcome, error) {
	peer, err := b.peer()
	if err != nil {
		return outcome{}, err
	}
	w := t.workload
	w.Direct, w.Peer, w.Server, w.Transport = true, peer, peer, "udp"
	w.Window, w.WarmUp, w.AllocateFor = min(w.Window, directWindow), min(w.WarmUp, time.Second), 0
	o, err := b.generate(ctx, w)
	if err != nil {
		return o, fmt.Errorf("without a relay: %w", err)
	}
	return o, nil
}

// peer chooses where the echo listens.
func (b *bench) peer() (netip.AddrPort, error) { return freeUDP(loopback) }

// peerOf chooses it for an arm. For a server that runs already it is the address from which that is reached; relayed says
// that it is to be a client of the server instead, which relays to nobody on loopback.
func (b *bench) peerOf(arm string) (peer netip.AddrPort, relayed bool, err error) {
	if arm != armAttached {
		peer, err = b.peer()
		return peer, false, err
	}
	if b.at.Addr().IsLoopback() {
		b.say("arm server: the echo is a client with an allocation of its own on the server, since that is on loopback: " +
			"a message is eight packets at the server instead of four, so that its figures do not compare with those of " +
			"other arms")
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 0), true, nil
	}
	local, err := localAddressTo(b.at)
	if err != nil {
		return peer, false, err
	}
	peer, err = freeUDP(local)
	return peer, false, err
}

func (b *bench) runOnce(ctx context.Context, m *measured, floor outcome) error {
	peer, relayed, err := b.peerOf(m.arm)
	if err != nil {
		return err
	}
	server, err := b.start(ctx, m.arm, m.trial, peer)
	if errors.Is(err, errNoCoturn) {
		b.say("arm coturn is left out: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	w := m.workload
	w.Server, w.Peer, w.RelayedEcho, w.PID = server.addr, peer, relayed, server.pid
	o, err := b.generate(ctx, w)
	if err == nil && m.arm == armAttached {
		err = o.nothingBack()
	}
	if err = errors.Join(err, server.stop()); err != nil {
		return fmt.Errorf("arm %s: %w", m.arm, err)
	}
	b.keep(m, o, floor)
	return nil
}

// nothingBack is the error of a server that relays none of what is sent, nil for another.
func (o *outcome) nothingBack() error {
	if o.Sent == 0 || o.Received > 0 {
		return nil
	}
	return fmt.Errorf("nothing came back: %w", errNotRelayed(o.Echo.Addr()))
}

// keep records an outcome.
func (b *bench) keep(m *measured, o, floor outcome) {
	m.runs = append(m.runs, row{newRow(m.arm, m.workload, o, floor), o})
	if m.Idle > 0 {
		b.report.Memory = append(b.report.Memory, Memory{m.arm, o.IdleGranted, o.IdleBytes / int64(max(o.IdleGranted, 1))})
		return
	}
	b.report.Rows = append(b.report.Rows, m.runs[len(m.runs)-1].Row)
}

// newRow puts an outcome into a row. It is pure.
func newRow(arm string, w workload, o, floor outcome) Row {
	r := Row{
		Arm: arm, Clients: w.Clients, Size: w.Size,
		RTTP50NS: o.RTTP50, RTTP99NS: o.RTTP99, AddedJitterP99NS: o.JitterP99 - floor.JitterP99,
		AllocPerS: o.AllocPerS, RSSBytes: o.RSS,
	}
	if o.Seconds > 0 {
		r.PPS = float64(o.Received) / o.Seconds
	}
	if o.Sent > 0 {
		r.Loss = float64(o.Sent-o.Received) / float64(o.Sent)
	}
	if o.Received > 0 {
		r.CPUNSPerMsg = int64(o.CPU) / o.Received
	}
	return r
}

// restLogin is a credential of the shared-secret form.
func restLogin(at time.Time) login {
	user := fmt.Sprintf("%d:bench", at.Add(24*time.Hour).Unix())
	return login{User: user, Password: restPassword(user)}
}
