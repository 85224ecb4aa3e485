package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tourbillon/appliance"
	"tourbillon/appliance/bench"
	"tourbillon/appliance/config"
	"tourbillon/appliance/observe"
	"tourbillon/signaling"
	pionbench "tourbillon/signaling/agent/bench"
	"tourbillon/signaling/agent/bench/negotiate"
	signalingbench "tourbillon/signaling/bench"
	"tourbillon/timing"
	"tourbillon/timing/stdtime"
	"tourbillon/turn"
	turnbench "tourbillon/turn/bench"
	"tourbillon/web"
)

func serve(ctx context.Context, args []string, out IO) error {
	o := newOptions("serve")
	check := o.flags.Bool("check", false, "")
	if err := o.parse(args); err != nil {
		return err
	}
	judges := []config.Judge{appliance.JudgeTURN}
	if *check { // The start reads the files when it opens what they are for.
		judges = append(judges, appliance.JudgeFiles)
	}
	c, err := config.Load(o.file, o.set, judges...)
	if err != nil {
		return err
	}
	if *check {
		fmt.Fprintln(out.Out, "the configuration is good")
		return nil
	}
	timing.AddProcessor()
	log := observe.NewLog(out.Err, c.Level(), c.Log.Format)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	return appliance.Run(ctx, appliance.Options{Config: c, Out: out.Out, Log: log, Reload: appliance.Reload{
		Wanted: hangups, Config: func() (config.Config, error) { return config.Load(o.file, o.set, judges...) },
	}})
}

func adminLink(_ context.Context, args []string, out IO) error {
	_, dir, secrets, err := newOptions("admin-link").loadRunning(args)
	if err != nil {
		return err
	}
	base, err := appliance.ReadAdminURL(dir)
	if err != nil {
		return err
	}
	fmt.Fprintln(out.Out, web.AdminLink(secrets.Admin, base, time.Now()))
	return nil
}

func version(_ context.Context, args []string, out IO) error {
	o := newOptions("version")
	asJSON := o.flags.Bool("json", false, "")
	timers := o.flags.Bool("timers", false, "")
	c, err := o.load(args)
	if err != nil {
		return err
	}
	if *timers {
		return listTimers(out, *asJSON)
	}
	clock := appliance.OpenClock(c.Clock)
	defer clock.Close()
	build := observe.ReadBuild(clock.Name, clock.Note)
	if *asJSON {
		return writeJSON(out.Out, build)
	}
	fmt.Fprintf(out.Out, "tourbillon %s, %s\nclock %s (%s)\n", build.Version, build.Go, build.Timers.Clock, build.Timers.Note)
	paths := make([]string, 0, len(build.Timers.Modules))
	for path := range build.Timers.Modules {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		fmt.Fprintf(out.Out, "  %-32s %s\n", path, build.Timers.Modules[path])
	}
	for _, problem := range build.Timers.Problems {
		fmt.Fprintln(out.Out, "problem:", problem)
	}
	return nil
}

// listTimers prints every place in the program that arms a timer.
func listTimers(out IO, asJSON bool) error {
	listing, err := observe.ReadTimers()
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(out.Out, listing)
	}
	listing.Print(out.Out)
	return nil
}

func measure(ctx context.Context, args []string, out IO) error {
	if len(args) == 0 {
		return &usageError{"bench wants timers, pion, turn, stun, ice or signaling"}
	}
	switch args[0] {
	case "timers":
		return bench.Timers(ctx, args[1:], out.Out, out.Err)
	case "pion":
		return measurePion(ctx, args[1:], out)
	case "turn":
		return turnbench.Run(ctx, args[1:], out.Out, out.Err, turnHooks())
	case "stun":
		return measureSTUN(ctx, args[1:], out)
	case "ice":
		return negotiate.Run(ctx, args[1:], iceHooks(), out.Out, out.Err)
	case "signaling":
		timing.AddProcessor() // As serve does, so that the host facts are its.
		return signalingbench.Command(ctx, args[1:], signalingbench.Environment{Out: out.Out, Errs: out.Err, Host: bench.ReadHost()})
	}
	return &usageError{fmt.Sprintf("bench wants timers, pion, turn, stun, ice or signaling, not %q", args[0])}
}

// measurePion compares re-timed pion with pion as published, or measures this process for such a comparison. Lateness
// is recorded as it is in serve, since its cost is part of what is measured.
func measurePion(ctx context.Context, args []string, out IO) error {
	o, err := pionbench.ParseOptions(args)
	if err != nil {
		return err
	}
	if !o.Self {
		return pionbench.Compare(ctx, describeBuild(appliance.ClockRuntime), o, out.Out)
	}
	clock := appliance.OpenClock(o.Clock)
	defer clock.Close()
	if err := stdtime.Use(clock, timing.NewMeter(clock, nil)); err != nil {
		return err
	}
	return pionbench.Self(ctx, clock, describeBuild(clock.Name), o, out.Out)
}

func describeBuild(clock string) pionbench.Build {
	b := observe.ReadBuild(clock, "")
	return pionbench.Build{Retimed: b.Timers.Retimed(), Clock: clock, Revision: b.Revision}
}

// turnHooks are what `bench turn` needs of the rest of the program.
func turnHooks() turnbench.Hooks {
	return turnbench.Hooks{
		Host: bench.HostFacts, Calibrate: bench.Calibrate, StartLoad: bench.StartLoad, OpenClock: appliance.OpenBenchClock,
	}
}

// serveMeasured is serve for `bench signaling`: it answers on in how late its heartbeats were, and ends with in.
func serveMeasured(ctx context.Context, args []string, in io.Reader, out IO) error {
	c, err := newOptions(signalingbench.ServeCommand).load(args)
	if err != nil {
		return err
	}
	timing.AddProcessor()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beats := timing.NewLateness()
	answered := make(chan error, 1)
	go func() { // Ends with in, which the parent closes; the process does not outlive it for long.
		defer cancel()
		answered <- signalingbench.AnswerTakes(in, out.Out, beats)
	}()
	log := observe.NewLog(out.Err, c.Level(), c.Log.Format)
	err = appliance.Run(ctx, appliance.Options{Config: c, Out: out.Out, Log: log, Beats: beats})
	if ctx.Err() == nil {
		return err
	}
	return errors.Join(err, <-answered)
}

func credentials(_ context.Context, args []string, out IO) error {
	if len(args) == 0 {
		return &usageError{"credentials wants token or turn"}
	}
	switch args[0] {
	case "token":
		return joinToken(args[1:], out)
	case "turn":
		return turnCredentials(args[1:], out)
	}
	return &usageError{fmt.Sprintf("credentials wants token or turn, not %q", args[0])}
}

func joinToken(args []string, out IO) error {
	o := newOptions("credentials token")
	room := o.flags.String("room", "*", "")
	ttl := o.flags.Duration("ttl", signaling.MaxJoinTTL, "")
	can := o.flags.String("can", signaling.CanAll.String(), "")
	once := o.flags.Bool("once", false, "")
	c, _, secrets, err := o.loadRunning(args)
	if err != nil {
		return err
	}
	if longest := max(c.Signaling.InviteTTL, signaling.MaxJoinTTL); *ttl > longest {
		return &usageError{fmt.Sprintf("the server accepts tokens of at most %v (signaling.invite_ttl), not %v", longest, *ttl)}
	}
	capabilities, err := signaling.ParseCapabilities(strings.Split(*can, ","))
	if err != nil {
		return &usageError{err.Error()}
	}
	request := signaling.TokenRequest{Room: *room, Can: capabilities, TTL: *ttl, Once: *once, Issuer: c.Signaling.TokenIssuer}
	token, err := signaling.IssueToken(secrets.Token, request, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintln(out.Out, token)
	return nil
}

func turnCredentials(args []string, out IO) error {
	o := newOptions("credentials turn")
	user := o.flags.String("user", "", "")
	ttl := o.flags.Duration("ttl", 0, "")
	asJSON := o.flags.Bool("json", false, "")
	c, _, secrets, err := o.loadRunning(args)
	if err != nil {
		return err
	}
	if !o.given("ttl") {
		*ttl = c.TURN.CredentialTTL
	}
	if problems := config.JudgeCredentialTTL("--ttl", *ttl); len(problems) > 0 {
		return &usageError{problems[0].Error()}
	}
	issued := turn.NewIssuer(appliance.TURNSecrets(c, secrets)[0], *ttl).Issue(*user, time.Now())
	answer := struct {
		Username string   `json:"username"`
		Password string   `json:"password"`
		TTL      int      `json:"ttl"`
		URIs     []string `json:"uris"`
	}{issued.Username, issued.Password, int(*ttl / time.Second), turnURIs(c)}
	if *asJSON {
		return writeJSON(out.Out, answer)
	}
	fmt.Fprintf(out.Out, "username %s\npassword %s\n", answer.Username, answer.Password)
	for _, uri := range answer.URIs {
		fmt.Fprintln(out.Out, "uri", uri)
	}
	return nil
}

// turnURIs are the URIs of the configured listeners (RFC 7065): a wildcard address stands for turn.host, or for the
// relay address.
func turnURIs(c config.Config) []string {
	var uris []string
	add := func(scheme, transport string, addresses []string) {
		for _, address := range addresses {
			uri := scheme + ":" + reachable(c, address) + "?transport=" + transport
			if !slices.Contains(uris, uri) { // Wildcards of both families have one name.
				uris = append(uris, uri)
			}
		}
	}
	add("turn", "udp", c.TURN.UDP)
	add("turn", "tcp", c.TURN.TCP)
	add("turns", "tcp", c.TURNTLS())
	return uris
}

func reachable(c config.Config, address string) string {
	bound, err := netip.ParseAddrPort(address)
	switch {
	case err != nil:
		return address
	case c.TURN.Host != "":
		return net.JoinHostPort(c.TURN.Host, strconv.Itoa(int(bound.Port())))
	case bound.Addr().IsUnspecified():
		relay, _ := netip.ParseAddr(c.TURN.RelayAddress) // Validated by config.
		if second, err := netip.ParseAddr(c.TURN.RelayAddress6); err == nil && bound.Addr().Is6() {
			relay = second
		}
		return netip.AddrPortFrom(relay, bound.Port()).String()
	}
	return address
}
