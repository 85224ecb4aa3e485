package negotiate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"

	"tourbillon/timing"
	"tourbillon/timing/rounds"
)

// ChildCommand is the first argument with which the program does one part of a round for its parent. It is not meant for
// people.
const ChildCommand = "bench-ice-child"

// Build is what a program says of itself.
type Build struct {
	// Retimed tells that pion runs on the injected clock, Clock which that is.
	Retimed bool   `json:"retimed"`
	Clock   string `json:"clock"`
	// Revision is the commit, empty where the build did not record it.
	Revision string `json:"revision"`
}

// Hooks are what the benchmark needs of the rest of the program.
type Hooks struct {
	// Self is this program, its Clock left empty. Host is what the report tells of the machine.
	Self Build
	Host any
	// Clock opens the process's clock by its name, as serve has it, and has pion's timers run on it.
	Clock func(name string) (clock timing.Clock, self Build, end func() error, err error)
	// Join joins a room of the signaling server at a host:port.
	Join func(ctx context.Context, address, room string) (Room, error)
}

// order says what a child is to do: one of its fields is set.
type order struct {
	Link *linkOrder `json:"link,omitempty"`
	Arm  *armOrder  `json:"arm,omitempty"`
}

// Child is the process behind one part: it reads an order, one line of JSON, and carries it out. The link is there until
// in ends or ctx does; an arm answers with what it measured.
func Child(ctx context.Context, in io.Reader, out io.Writer, h Hooks) error {
	reader := bufio.NewReader(in)
	line, err := reader.ReadBytes('\n')
	var o order
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s is started by `tourbillon bench ice` alone: read the order: %w", ChildCommand, err)
	case o.Link != nil:
		return o.Link.run(reader, out)
	case o.Arm != nil:
		return o.Arm.measure(ctx, h, out)
	}
	return errors.New("the order asks for nothing")
}

// Run is `tourbillon bench ice`: it runs the arms in rounds and writes a table for people, or with --json one object. It
// blocks until the last process has ended, or until ctx. A command line that cannot be carried out is a
// [*rounds.UsageError].
func Run(ctx context.Context, args []string, h Hooks, out, errs io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	b := &bench{options: o, hooks: h, errs: errs}
	if b.own, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if b.plain, err = rounds.Plain("bench ice", o.plain, h.Self.Retimed); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "tourbillon-bench-"); err != nil {
		return fmt.Errorf("make a state folder: %w", err)
	}
	defer os.RemoveAll(b.dir)
	round := uint64(0)
	all, err := rounds.Measure(ctx, o.runs, o.arms, func(ctx context.Context, arm string) (outcome, error) {
		round++ // The arms of a round lose the same.
		return b.measure(ctx, arm, o.seed+(round-1)/uint64(len(o.arms)))
	})
	if err != nil {
		return err
	}
	report := newReport(o, h.Host, all)
	if o.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.writeText(out)
}

// bench is one run of the command.
type bench struct {
	options         options
	hooks           Hooks
	own, plain, dir string
	errs            io.Writer
}

// measure takes one arm through one round.
func (b *bench) measure(ctx context.Context, arm string, seed uint64) (measured outcome, err error) {
	server, err := rounds.Launch(ctx, b.errs, b.own, "serve", "--clock", "hrtimer", "--set", "limits=off", "--set", "log.level=error",
		"--set", "state_dir="+b.dir, "--set", "http.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0",
		"--set", "turn.udp=[127.0.0.1:0]", "--set", "turn.tcp=[]", "--set", "agents.listen=")
	if err != nil {
		return outcome{}, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	signaling, err := signalingOf(server)
	if err != nil {
		return outcome{}, err
	}
	o := b.options
	link, err := rounds.Order(ctx, b.errs, order{Link: &linkOrder{Loss: o.loss, Delay: o.rtt / 2, Seed: seed, Signaling: signaling}}, b.own, ChildCommand)
	if err != nil {
		return outcome{}, err
	}
	var places linkPlaces
	if err := link.Answer(&places); err != nil {
		return outcome{}, errors.Join(fmt.Errorf("the link: %w", err), link.Stop())
	}
	measured, err = b.arm(ctx, arm, armOrder{
		Arm: arm, Signaling: signaling, Delayed: places.Signaling, Link: places.Datagrams, Sessions: o.sessions, Each: o.each,
	})
	link.Release()
	if counted := link.Answer(&measured.Link); err == nil && counted != nil {
		err = fmt.Errorf("the link: %w", counted)
	}
	return measured, errors.Join(err, link.Wait(), ctx.Err())
}

// arm has a process measure itself.
func (b *bench) arm(ctx context.Context, arm string, o armOrder) (measured outcome, err error) {
	program := b.own
	switch o.Clock = "hrtimer"; arm {
	case ArmRuntime:
		o.Clock = "runtime"
	case ArmPion:
		program, o.Clock = b.plain, "runtime"
	}
	p, err := rounds.Order(ctx, b.errs, order{Arm: &o}, program, ChildCommand)
	if err != nil {
		return outcome{}, err
	}
	err = p.Answer(&measured)
	if err := errors.Join(err, p.Wait()); err != nil {
		return outcome{}, fmt.Errorf("measure: %w", err)
	}
	return measured, measured.accept(arm, o.Clock, b.hooks.Self)
}

var callLink = regexp.MustCompile(`Call +(http\S+)`)

// signalingOf reads what a server says until it is known where it serves.
func signalingOf(p *rounds.Process) (address string, err error) {
	for p.Lines.Scan() {
		if found := callLink.FindStringSubmatch(p.Lines.Text()); found != nil {
			link, err := url.Parse(found[1])
			if err != nil {
				return "", err
			}
			return net.JoinHostPort("127.0.0.1", link.Port()), nil
		}
	}
	return "", errors.New("the server ended before it said where it serves")
}
