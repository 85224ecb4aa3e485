//go:build linux

package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

// server is the process under measurement.
type server struct {
	cmd     *exec.Cmd
	address netip.AddrPort
	// in and lines are its standard input and output where it is our own program.
	in    io.WriteCloser
	lines *bufio.Scanner
	// stateDir is removed with it.
	stateDir string
}

// killGrace is how long a killed process's pipes are waited for, stopPatience how long one may take to stop in order.
const killGrace, stopPatience = 2 * time.Second, 15 * time.Second

// startServer starts the server of an arm and waits until it serves.
func startServer(ctx context.Context, arm string, o options) (*server, error) {
	if arm == armPeerJS {
		return startPeerJSServer(ctx)
	}
	return startOurs(ctx, arm, o)
}

// startOurs starts this very program.
func startOurs(ctx context.Context, clock string, o options) (s *server, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "tourbillon-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a state folder: %w", err)
	}
	args := []string{ServeCommand, "--clock", clock}
	for _, setting := range []string{
		"http.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0", "turn.udp=[127.0.0.1:0]", "turn.tcp=[]",
		"limits=off", "state_dir=" + dir, "signaling.heartbeat=" + o.heartbeat.String(),
	} {
		args = append(args, "--set", setting)
	}
	s = &server{cmd: exec.CommandContext(ctx, program, args...), stateDir: dir}
	s.cmd.WaitDelay = killGrace
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.lines = bufio.NewScanner(out)
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the server: %w", err), os.RemoveAll(dir))
	}
	if err := s.awaitAnnouncement(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// awaitAnnouncement reads where the server serves out of what it prints when it does.
func (s *server) awaitAnnouncement() error {
	for s.lines.Scan() {
		words := strings.Fields(s.lines.Text())
		if len(words) < 2 || words[0] != "Call" {
			continue
		}
		link, err := url.Parse(words[1])
		if err == nil {
			s.address, err = netip.ParseAddrPort(net.JoinHostPort("127.0.0.1", link.Port()))
		}
		return err
	}
	return errors.New("the server ended before it served")
}

// errNoPeerJS says that the npm package peer is not installed.
var errNoPeerJS = errors.New("the npm package peer is not installed: run npm ci in web, or leave the arm peerjs-server out")

// peerJSProgram finds the npm package's program.
func peerJSProgram() (string, error) {
	for _, candidate := range []string{"web/node_modules/.bin/peerjs", "node_modules/.bin/peerjs"} {
		if _, err := os.Stat(candidate); err == nil {
			return filepath.Abs(candidate)
		}
	}
	if found, err := exec.LookPath("peerjs"); err == nil {
		return found, nil
	}
	return "", errNoPeerJS
}

func startPeerJSServer(ctx context.Context) (*server, error) {
	program, err := peerJSProgram()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{address: address}
	s.cmd = exec.CommandContext(ctx, program, "--host", "127.0.0.1", "--port", fmt.Sprint(address.Port()),
		"--path", "/", "--concurrent_limit", "1000000")
	s.cmd.WaitDelay = killGrace
	s.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the npm package peer: %w", err)
	}
	if err := s.awaitConnection(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// freeAddress asks the kernel for a port.
func freeAddress() (netip.AddrPort, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find a free port: %w", err)
	}
	address := l.Addr().(*net.TCPAddr).AddrPort()
	return address, l.Close()
}

// awaitConnection waits until the server accepts.
func (s *server) awaitConnection(ctx context.Context) error {
	for range 300 {
		var dialer net.Dialer
		if c, err := dialer.DialContext(ctx, "tcp4", s.address.String()); err == nil {
			return c.Close()
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the npm package peer does not serve")
}

// pause waits for d or for ctx's end, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	over := make(chan struct{})
	timer := timing.Runtime{}.AfterFunc(d, func() { close(over) })
	defer timer.Stop()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the server and waits for it.
func (s *server) stop() error {
	if s.in != nil {
		_ = s.in.Close() // Its signal to stop.
	} else {
		_ = s.cmd.Process.Kill()
	}
	killer := timing.Runtime{}.AfterFunc(stopPatience, func() { _ = s.cmd.Process.Kill() })
	defer killer.Stop()
	if s.lines != nil {
		for s.lines.Scan() {
		}
	}
	_ = s.cmd.Wait() // How it ended does not matter: what it did has been measured.
	if s.stateDir == "" {
		return nil
	}
	return os.RemoveAll(s.stateDir)
}

// takeBeats returns how late the server's heartbeats were since the last call; the zero Summary for one that has none.
func (s *server) takeBeats() (summary timing.Summary, err error) {
	if s.in == nil {
		return summary, nil
	}
	if _, err := io.WriteString(s.in, "take\n"); err != nil {
		return summary, fmt.Errorf("ask the server for its heartbeats: %w", err)
	}
	for s.lines.Scan() {
		if answer, found := strings.CutPrefix(s.lines.Text(), beatsPrefix); found {
			return summary, json.Unmarshal([]byte(answer), &summary)
		}
	}
	return summary, errors.New("the server ended while it was measured")
}

const beatsPrefix = "beats "

// AnswerTakes answers each line on in with what beats has recorded since the line before, until in ends. It is the
// server's side of takeBeats.
func AnswerTakes(in io.Reader, out io.Writer, beats *timing.Lateness) error {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		text, err := json.Marshal(beats.Take())
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s%s\n", beatsPrefix, text); err != nil {
			return err
		}
	}
	return nil
}

// cpuOf returns the CPU time that a process has spent. The clock's number is made as the kernel makes it: the inverted
// process id, then the bits for "scheduler's count".
func cpuOf(pid int) (time.Duration, error) {
	const scheduled = 2
	var spent unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &spent); err != nil {
		return 0, fmt.Errorf("read the server's CPU time: %w", err)
	}
	return time.Duration(spent.Nano()), nil
}

// residentOf returns the bytes of a process that are in memory.
func residentOf(pid int) (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read the server's memory: %w", err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return 0, fmt.Errorf("read the server's memory: %w", err)
	}
	return resident * int64(os.Getpagesize()), nil
}
