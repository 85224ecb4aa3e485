package appliance

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tourbillon/appliance/config"
	"tourbillon/appliance/observe"
	"tourbillon/signaling"
	"tourbillon/signaling/agent"
	"tourbillon/signaling/peerjs"
	"tourbillon/timing"
	"tourbillon/timing/stdtime"
	"tourbillon/turn"
	"tourbillon/web"
)

// stopLimit is how long an orderly stop may take before what is left is cut.
const stopLimit = 10 * time.Second

// Options is what Run needs besides the machine.
type Options struct {
	Config config.Config
	// Out receives where to go: the links for people.
	Out io.Writer
	Log *slog.Logger
	// Beats, unless nil, records how long after its deadline each heartbeat's write returned, for benchmarks.
	Beats *timing.Lateness
	// Reload, where it is given, has keys and secrets read again while running.
	Reload Reload
}

// appliance is the running whole: open opens it step by step, close closes it in reverse. Clients are told first; the
// admin page, which may have slow readers, ends after them.
type appliance struct {
	config  config.Config
	log     *slog.Logger
	beats   *timing.Lateness
	started time.Time
	id      string
	dir     string
	secrets Secrets

	clock     Clock
	meter     *timing.Meter
	build     observe.Build
	turn      *turn.Server
	verifier  *signaling.Verifier
	signaling *signaling.Server
	// peerjs is nil where it is off.
	peerjs    *peerjs.Server
	public    *httpServer
	adminHTTP *httpServer
	admin     *web.Admin
	selfCall  *agent.SelfCall
	agents    *agents
	// stopSelfCall ends the call to ourselves and waits for it; it may be called again.
	stopSelfCall func()
	sampler      *sampler
	watchdog     *watchdog
	// reloadFailed is true while something could not be read at the latest reload.
	reloadFailed atomic.Bool
	// checkURL is the pre-call test's, once the public listener is open.
	checkURL atomic.Pointer[string]

	// opened are the closers of what is open, newest last.
	opened []func(context.Context) error
	// failed receives what ends the process early: a listener that stopped serving.
	failed chan error
}

// Run serves until ctx ends, then stops in order: clients are told, connections end, goroutines are waited for. It
// returns nil after an orderly stop. What cannot start is an error that names the thing and the remedy; a
// [*config.Error] is the operator's to mend.
//
// The process clock can be set once (stdtime), so Run serves once in a process.
func Run(ctx context.Context, o Options) error {
	a := &appliance{config: o.Config, log: o.Log, beats: o.Beats, started: time.Now(), id: newServerID(), failed: make(chan error, 2)}
	if err := a.open(ctx); err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = nil // Told to stop while starting.
		}
		return errors.Join(err, a.close())
	}
	a.announce(o.Out)
	a.notify("READY=1")
	err := a.serve(ctx, o.Reload)
	a.notify("STOPPING=1")
	a.drain()
	return errors.Join(err, a.close())
}

// serve reloads when told to, until ctx ends or a listener fails.
func (a *appliance) serve(ctx context.Context, r Reload) error {
	for {
		select {
		case <-ctx.Done():
			a.log.Info("stopping")
			return nil
		case err := <-a.failed:
			return err
		case <-r.Wanted:
			a.reload(r)
		}
	}
}

func newServerID() string {
	id := make([]byte, 6)
	_, _ = rand.Read(id) // Never fails (crypto/rand).
	return hex.EncodeToString(id)
}

func (a *appliance) open(ctx context.Context) error {
	steps := []func() error{
		a.openState, a.openClock, a.openAgents, a.openTURN, a.makeSelfCall, a.openSignaling, a.openAdmin, a.openPublic, a.openSelfCall, a.openSampler, a.openWatchdog,
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// onClose notes how to close what was just opened.
func (a *appliance) onClose(f func(context.Context) error) { a.opened = append(a.opened, f) }

func (a *appliance) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var problems []error
	for len(a.opened) > 0 {
		last := len(a.opened) - 1
		if err := a.opened[last](ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			problems = append(problems, err)
		}
		a.opened = a.opened[:last]
	}
	return errors.Join(problems...)
}

func (a *appliance) openState() (err error) {
	if a.dir, err = StateDir(a.config.StateDir); err != nil {
		return err
	}
	a.secrets, err = OpenSecrets(a.dir)
	return err
}

func (a *appliance) openClock() error {
	a.clock = OpenClock(a.config.Clock)
	a.onClose(func(context.Context) error { return a.clock.Close() })
	a.meter = timing.NewMeter(a.clock, func(label string, took time.Duration) {
		a.log.Warn("an inline timer callback is over its budget", "label", label, "took", took, "budget", timing.InlineBudget)
	})
	a.clock.meterWakes(a.meter)
	if err := stdtime.Use(a.clock.Clock, a.meter); err != nil {
		return err
	}
	a.build = observe.ReadBuild(a.clock.Name, a.clock.Note)
	if a.clock.Name != a.config.Clock {
		a.log.Warn("the injected clock is not the one asked for", "asked", a.config.Clock, "clock", a.clock.Name, "note", a.clock.Note)
	}
	return errors.Join(a.build.Problems()...)
}

func (a *appliance) openTURN() (err error) {
	certificate, err := a.certificate()
	if err != nil {
		return err
	}
	a.turn, err = turn.Listen(a.turnConfig(certificate))
	if problems := turnProblems(err); len(problems) > 0 {
		return &config.Error{Problems: problems}
	}
	if err != nil {
		return err
	}
	a.onClose(a.turn.Close)
	return nil
}

func (a *appliance) openSignaling() error {
	var err error
	if a.verifier, err = signaling.NewVerifier(verifierConfig(a.config, a.secrets.Token)); err != nil {
		return &config.Error{Problems: []config.Problem{tokenKeysProblem(err)}}
	}
	a.signaling = signaling.New(a.signalingConfig(a.verifier)) // Starts nothing; closed with the public listener.
	if a.config.OpenRooms() && !a.config.HTTPPrivate() {
		a.log.Warn("rooms are open: anybody who reaches this server can join any room", "listen", a.config.HTTP.Listen)
	}
	a.openPeerJS(a.verifier)
	return nil
}

// makeSelfCall comes before the admin listener, which tells how the call stands.
func (a *appliance) makeSelfCall() error {
	a.selfCall = agent.NewSelfCall(agent.Config{
		Clock: a.meter.Clock("agent.selfcall", a.clock),
		Relay: a.selfRelay,
		Log:   a.log,
	})
	return nil
}

func (a *appliance) openSelfCall() error {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.selfCall.Run(ctx) })
	a.stopSelfCall = func() {
		cancel()
		running.Wait()
	}
	a.onClose(func(context.Context) error {
		a.stopSelfCall()
		return nil
	})
	return nil
}

// certificate loads tls.cert and tls.key; nil when none is configured.
func (a *appliance) certificate() (*tls.Config, error) {
	if a.config.TLS.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(a.config.TLS.Cert, a.config.TLS.Key)
	if err != nil {
		return nil, &config.Error{Problems: []config.Problem{certificateProblem(err)}}
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// announce prints where to go.
func (a *appliance) announce(out io.Writer) {
	pion := "pion on package time"
	if a.build.Timers.Retimed() {
		pion = fmt.Sprintf("pion re-timed (%d modules)", len(a.build.Timers.Modules))
	}
	fmt.Fprintf(out, "Tourbillon %s · clock %s (%s) · %s\n", observe.Version, a.clock.Name, a.clock.Note, pion)
	fmt.Fprintf(out, "  Call   %s\n", a.inviteLink())
	fmt.Fprintf(out, "  Admin  %s\n", web.AdminLink(a.secrets.Admin, a.adminURL(), time.Now()))
	fmt.Fprintf(out, "         opens once within ten minutes; `tourbillon admin-link` prints another\n")
	urls, _, _, _ := a.turn.ICEServers("", time.Now(), a.turnHost(""))
	for _, url := range urls {
		fmt.Fprintf(out, "  ICE    %s\n", url)
	}
	if a.config.LimitsOff() {
		fmt.Fprintln(out, "  Limits are off: for benchmarks on loopback only")
	}
	a.log.Info("serving", "version", observe.Version, "clock", a.clock.Name, "clock_note", a.clock.Note, "state_dir", a.dir)
}
