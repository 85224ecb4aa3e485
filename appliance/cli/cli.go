// Package cli is the command line: it parses, calls package appliance and turns errors into exit codes.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"tourbillon/appliance"
	"tourbillon/appliance/bench"
	"tourbillon/appliance/config"
	"tourbillon/signaling/agent/bench/negotiate"
	signalingbench "tourbillon/signaling/bench"
	"tourbillon/timing/rounds"
	turnbench "tourbillon/turn/bench"
	stunbench "tourbillon/turn/probe/bench"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	// exitUsage is for a command line that cannot be read, exitConfig for a configuration with problems (EX_USAGE and
	// EX_CONFIG of sysexits.h). The unit file tells systemd not to restart on exitConfig.
	exitUsage  = 64
	exitConfig = 78
	// exitInterrupted is for a probe that a signal ended, as shells count it (128 + SIGINT).
	exitInterrupted = 130
)

// IO is where commands write.
type IO struct{ Out, Err io.Writer }

// command is one word of the command line.
type command struct {
	name, summary string
	run           func(ctx context.Context, args []string, out IO) error
}

func commands() []command {
	return []command{
		{"serve", "run the server (the default)", serve},
		{"admin-link", "print a link that opens the admin page of the running server", adminLink},
		{"credentials", "print a join token or TURN credentials", credentials},
		{"probe", "ask STUN and TURN servers, of any make, whether they work: probe URL...", probeServers},
		{"bench", "measure: bench timers|pion|turn|stun|ice|signaling [OPTIONS]", measure},
		{"version", "tell what this binary is and what its timers run on", version},
	}
}

// Run carries out the command line and returns the exit code. It blocks until the command ends; serve ends with ctx.
func Run(ctx context.Context, args []string, out IO) int {
	name := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	switch name {
	case bench.ChildCommand:
		return exitCode(bench.Child(args, os.Stdin, out.Out), out.Err)
	case signalingbench.GenerateCommand:
		return exitCode(signalingbench.Generate(os.Stdin, out.Out), out.Err)
	case signalingbench.ServeCommand:
		return exitCode(serveMeasured(ctx, args, os.Stdin, out), out.Err)
	case turnbench.ChildCommand:
		return exitCode(turnbench.Child(os.Stdin, out.Out, turnHooks()), out.Err)
	case negotiate.ChildCommand:
		return exitCode(negotiate.Child(ctx, os.Stdin, out.Out, iceHooks()), out.Err)
	case stunbench.ChildCommand:
		return exitCode(stunbench.Child(ctx, os.Stdin, out.Out, plainServe(out)), out.Err)
	}
	if name == "help" || slices.Contains(args, "-h") || slices.Contains(args, "--help") {
		help(out.Out, name, args)
		return exitOK
	}
	for _, c := range commands() {
		if c.name == name {
			return exitCode(c.run(ctx, args, out), out.Err)
		}
	}
	return exitCode(&usageError{fmt.Sprintf("no command %q", name)}, out.Err)
}

// usageError is a command line that cannot be read.
type usageError struct{ wrong string }

func (e *usageError) Error() string { return e.wrong + ": run `tourbillon help`" }

func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "tourbillon:", err)
	var usage *usageError
	var benchUsage *bench.UsageError
	var turnUsage *turnbench.UsageError
	var signalingUsage *signalingbench.UsageError
	var roundsUsage *rounds.UsageError
	var configuration *config.Error
	var interrupted *interruptedError
	switch {
	case errors.As(err, &interrupted):
		return exitInterrupted
	case errors.As(err, &usage), errors.As(err, &benchUsage), errors.As(err, &turnUsage),
		errors.As(err, &signalingUsage), errors.As(err, &roundsUsage):
		return exitUsage
	case errors.As(err, &configuration):
		return exitConfig
	}
	return exitError
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Usage: tourbillon [COMMAND] [OPTIONS]\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-12s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, `
Options of every command:
  --config FILE      read this YAML file
  --set KEY=VALUE    override one setting, for example --set http.listen=127.0.0.1:9000; may be repeated
  --clock CLOCK      short for --set clock=CLOCK: hrtimer or runtime
serve:
  --check            judge the configuration as the start does, certificate and key files too, and end: exit code 78
                     with every problem, or 0
  SIGHUP             has it read signaling.token_keys, turn.secrets and turn.users again; what is bad stays as it was
version:
  --timers           list every place in the program that arms a timer, with its label and tier
  --json             for machines
bench timers: how late timers fire, each arm in a process of its own
  --arm A,B          runtime, netpoll, hrtimer, hrtimer-inline, runtime-send, wire
  --load A,B         idle, server-2, server-50 (server: both), busy, gc, quota
  --timers N --interval D --duration D --runs N --rt on|off --json
  --slack D          coalescing slack of the hrtimer arms
  --cpu N            the CPU that the wire's thread is to stay on
  --soak D           arm, stop and re-arm at random for so long, and count the timers lost
  --suite            the rows that the clock is judged by, each ratio beside its bound
  --table NAME       afterfunc, requests, create, heartbeat, poller or quota
  --plot FILE.html   draw the distributions
bench pion: connect time and throughput of pion on the injected clock, beside pion as published, in interleaved rounds
  --pairs N --connects N --duration D --json
  --arm A,B          tourbillon, runtime (the same on package time), pion
  --plain FILE       the program with pion as published; tourbillon-stdtime beside this one unless told
bench turn: CPU, throughput, jitter, loss and memory of relaying, beside plain pion and coturn
  --clients N --size BYTES --rate N --duration D --runs N --transport udp|tcp|tls --load idle|server-50 --json
  --server HOST:PORT --user U --pass P --pid N
                     a server that runs already, by name or IPv4 address; doc of turn/bench says what it has to relay to
  --arm A,B          tourbillon, pion, coturn; --coturn FILE: coturn's program
  --warm-up D --allocate D
                     before the window; how long allocations are made and released after it
  --in-flight N      with --rate 0: so many messages of each client under way
  --idle N           hold so many idle allocations and weigh them
  --suite            everything that the relay is judged by, each ratio beside its bound
bench signaling: round trips between clients, heartbeats, CPU and memory; server and clients in processes of their own
  --conns N --rate N --heartbeat D --duration D --runs N --json
                     connections, round trips a second, time between heartbeats, the window
  --settle D         how long connections are idle before memory is read
  --protocol P       tourbillon or peerjs
  --arm A,B          hrtimer, runtime; with --protocol peerjs also peerjs-server, the npm package peer
  --search           the most connections, up to --conns, whose heartbeats are held
bench stun: STUN round trips while signaling connections keep the same server busy, beside plain pion and coturn
  --clients N --rate N --duration D --runs N --json
  --arm A,B          tourbillon, runtime (the same on package time), pion, coturn
  --plain FILE       as for bench pion; --coturn FILE: coturn's program
bench ice: how long negotiations take over a link that loses and delays, beside plain pion
  --sessions N --each N --loss PERCENT --rtt D --runs N --json
                     negotiations at a time, how many follow one another, the link, the rounds
  --arm A,B          tourbillon, runtime (the same on package time), pion, answerer (ours called by plain pion)
  --seed N           what is lost; --plain FILE: as for bench pion
probe URL...         see "tourbillon probe --help"
credentials token [--room NAME] [--ttl DURATION] [--can join,publish,restart] [--once]
                     print a token that joins the room ("*" for all); beyond 10m it is an invite
credentials turn [--user NAME] [--ttl DURATION] [--json]
                     print TURN credentials for the running configuration
`)
}

// options are what every command takes.
type options struct {
	flags *flag.FlagSet
	file  string
	set   []string
}

func newOptions(name string) *options {
	o := &options{flags: flag.NewFlagSet(name, flag.ContinueOnError)}
	o.flags.SetOutput(io.Discard) // The error that Parse returns says it.
	o.flags.StringVar(&o.file, "config", "", "")
	o.flags.Func("set", "", func(s string) error {
		o.set = append(o.set, s)
		return nil
	})
	o.flags.Func("clock", "", func(s string) error {
		o.set = append(o.set, "clock="+s)
		return nil
	})
	return o
}

// parse reads the arguments; what is left over is an error.
func (o *options) parse(args []string) error {
	if err := o.flags.Parse(args); err != nil {
		return &usageError{err.Error()}
	}
	if rest := o.flags.Args(); len(rest) > 0 {
		return &usageError{fmt.Sprintf("%s takes no argument %q", o.flags.Name(), rest[0])}
	}
	return nil
}

// given reports whether the command line has an option.
func (o *options) given(name string) (yes bool) {
	o.flags.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// load parses the arguments and reads the configuration that they name.
func (o *options) load(args []string) (config.Config, error) {
	if err := o.parse(args); err != nil {
		return config.Config{}, err
	}
	return config.Load(o.file, o.set, appliance.JudgeTURN)
}

// serviceStateDir is the state folder of the systemd unit (StateDirectory=tourbillon).
const serviceStateDir = "/var/lib/tourbillon"

// loadRunning parses the arguments, reads the configuration and opens the state folder of the server that they mean:
// the configuration's own, or the service's where only that has a running server.
func (o *options) loadRunning(args []string) (c config.Config, dir string, secrets appliance.Secrets, err error) {
	if c, err = o.load(args); err != nil {
		return c, "", secrets, err
	}
	if dir, err = appliance.StateDir(c.StateDir); err != nil {
		return c, "", secrets, err
	}
	if c.StateDir == "" {
		dir = firstRunning(dir, serviceStateDir)
	}
	secrets, err = appliance.ReadSecrets(dir)
	return c, dir, secrets, err
}

// firstRunning returns the first folder whose server was not stopped in order since it started, or else the first.
func firstRunning(dirs ...string) string {
	for _, dir := range dirs {
		if _, err := appliance.ReadAdminURL(dir); err == nil {
			return dir
		}
	}
	return dirs[0]
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
