package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// process is a running server that is measured.
type process struct {
	pid  int
	addr netip.AddrPort
	stop func() error
}

// stopGrace is how long a server may take to end before it is killed.
const stopGrace = 5 * time.Second

// start starts an arm's server. The caller stops it.
func (b *bench) start(ctx context.Context, arm string, t trial, peer netip.AddrPort) (process, error) {
	switch arm {
	case armAttached:
		return process{pid: b.pid, addr: b.at, stop: func() error { return nil }}, nil
	case armCoturn:
		return b.startCoturn(ctx, t)
	}
	return b.startOwn(ctx, arm, t, peer)
}

// startOwn starts a server of this program's, pion's from the binary in which pion is as published.
func (b *bench) startOwn(ctx context.Context, arm string, t trial, peer netip.AddrPort) (process, error) {
	program := b.program
	if arm == armPion {
		program = b.published
	}
	cmd := exec.CommandContext(ctx, program, ChildCommand)
	cmd.WaitDelay = stopGrace
	cmd.Stderr = b.errs
	in, err := cmd.StdinPipe()
	if err != nil {
		return process{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return process{}, err
	}
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start the arm %s: %w", arm, err)
	}
	end := func() error { return errors.Join(in.Close(), cmd.Wait()) }
	o := order{Serve: &serveOrder{Arm: arm, Transport: t.Transport, Peer: peer, Dir: b.dir, Load: t.load, Work: b.work}}
	var s served
	if err := errors.Join(json.NewEncoder(in).Encode(o), json.NewDecoder(out).Decode(&s)); err != nil {
		return process{}, errors.Join(fmt.Errorf("start the arm %s: %w", arm, err), end())
	}
	for _, note := range s.Notes {
		b.say("arm %s: %s", arm, note)
	}
	return process{pid: cmd.Process.Pid, addr: s.Addr, stop: end}, nil
}

// errNoCoturn says that there is no coturn to compare with.
var errNoCoturn = errors.New("coturn is not installed (Debian package coturn), nor named by --coturn")

func (b *bench) startCoturn(ctx context.Context, t trial) (process, error) {
	program, err := exec.LookPath(b.coturn)
	if err != nil {
		return process{}, errNoCoturn
	}
	at, err := freeTCP(loopback)
	if err != nil {
		return process{}, err
	}
	logFile := filepath.Join(b.dir, coturnLog)
	log, err := os.Create(logFile) // Anew for each start. What coturn says before it opens its log goes there, too.
	if err != nil {
		return process{}, fmt.Errorf("make coturn's log: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, program, b.coturnArguments(t, at.Port())...)
	cmd.WaitDelay, cmd.Stdout, cmd.Stderr = stopGrace, log, log
	b.command("coturn: " + strings.Join(cmd.Args, " "))
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start coturn: %w", err)
	}
	ended := make(chan struct{})
	go func() { // Ends with coturn, which end waits for.
		_ = cmd.Wait() // It ends by a signal.
		close(ended)
	}()
	end := func() error {
		_ = cmd.Process.Signal(os.Interrupt)
		kill := b.clock.AfterFunc(stopGrace, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		<-ended
		return nil
	}
	if err := awaitTCP(at, ended); err != nil {
		return process{}, errors.Join(fmt.Errorf("coturn does not come up: %w\n%s", err, lastLines(logFile)), end())
	}
	return process{pid: cmd.Process.Pid, addr: at, stop: end}, nil
}

// coturnLog is coturn's log in the benchmark's folder.
const coturnLog = "coturn.log"

// lastLines are the end of a log, indented.
func lastLines(file string) string {
	const most = 10
	text, err := os.ReadFile(file)
	if err != nil {
		return "  " + err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-most):], "\n  ")
}

func (b *bench) coturnArguments(t trial, port uint16) []string {
	args := []string{
		"-n", "--no-cli", "-L", "127.0.0.1", "-E", "127.0.0.1", "--realm", benchRealm,
		"--use-auth-secret", "--static-auth-secret=" + benchSecret, "--allow-loopback-peers", "--no-dtls",
		"--userdb", filepath.Join(b.dir, "turndb"), "--pidfile", filepath.Join(b.dir, "pid"),
		"--log-file", filepath.Join(b.dir, coturnLog), "--no-stdout-log", "--simple-log",
	}
	if t.Transport == "tls" {
		// Without the plain listeners, whose port another program may have: coturn would try for it for ever.
		return append(args, "--no-udp", "--no-tcp", "--tls-listening-port", fmt.Sprint(port),
			"--cert", filepath.Join(b.dir, certificateFile), "--pkey", filepath.Join(b.dir, keyFile))
	}
	return append(args, "--no-tls", "--listening-port", fmt.Sprint(port))
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// freeUDP and freeTCP find a port of an address that was free a moment ago.
func freeUDP(at netip.Addr) (netip.AddrPort, error) {
	p, err := net.ListenPacket("udp4", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	return p.LocalAddr().(*net.UDPAddr).AddrPort(), p.Close()
}

func freeTCP(at netip.Addr) (netip.AddrPort, error) {
	l, err := net.Listen("tcp4", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	return l.Addr().(*net.TCPAddr).AddrPort(), l.Close()
}

// awaitTCP waits until somebody listens, for as long as it has not ended.
func awaitTCP(at netip.AddrPort, ended <-chan struct{}) error {
	const patience, every = 10 * time.Second, 20 * time.Millisecond
	for limit := now() + int64(patience); ; pause(int64(every)) {
		conn, err := net.Dial("tcp", at.String())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return errors.New("it has ended")
		default:
		}
		if now() > limit {
			return err
		}
	}
}

// generate has a process carry out a workload.
func (b *bench) generate(ctx context.Context, w workload) (outcome, error) {
	input, err := json.Marshal(order{Generate: &w})
	if err != nil {
		return outcome{}, err
	}
	cmd := exec.CommandContext(ctx, b.program, ChildCommand)
	cmd.WaitDelay = stopGrace
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		return outcome{}, fmt.Errorf("the load generator failed: %s (%w)", strings.TrimSpace(errs.String()), err)
	}
	var o outcome
	err = json.NewDecoder(io.Reader(&out)).Decode(&o)
	return o, err
}
