package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing/rounds"
)

// stopGrace is how long a server may take to answer at first.
const stopGrace = 10 * time.Second

// programs are what arms run.
type programs struct {
	own, plain, coturn string
	errs               io.Writer
	dir                string
}

// server is an arm that serves.
type server struct {
	stun      netip.AddrPort
	pid       int    // Whose CPU time counts.
	signaling string // host:port of the HTTP listener.
	processes []*rounds.Process
}

// child starts a process of this package's and gives it its order.
func (p *programs) child(ctx context.Context, program string, o order) (*rounds.Process, error) {
	return rounds.Order(ctx, p.errs, o, program, ChildCommand)
}

func (s *server) stop() (err error) {
	for _, p := range s.processes {
		err = errors.Join(err, p.Stop())
	}
	return err
}

// start starts an arm. The caller stops it.
func (p *programs) start(ctx context.Context, arm string) (*server, error) {
	s := &server{}
	var err error
	switch arm {
	case ArmTourbillon:
		err = p.serve(ctx, s, "hrtimer")
	case ArmRuntime:
		err = p.serve(ctx, s, "runtime")
	case ArmPion:
		err = p.startPion(ctx, s)
	case ArmCoturn:
		if err = p.serve(ctx, s, "hrtimer"); err == nil {
			err = p.startCoturn(ctx, s)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the arm %s: %w", arm, err), s.stop())
	}
	return s, nil
}

// serveArguments have everything listen on free ports of loopback.
func (p *programs) serveArguments(clock string) []string {
	return []string{
		"--clock", clock, "--set", "limits=off", "--set", "log.level=error", "--set", "state_dir=" + p.dir,
		"--set", "http.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0",
		"--set", "turn.udp=[127.0.0.1:0]", "--set", "turn.tcp=[127.0.0.1:0]",
	}
}

func (p *programs) serve(ctx context.Context, s *server, clock string) error {
	c, err := rounds.Launch(ctx, p.errs, p.own, append([]string{"serve"}, p.serveArguments(clock)...)...)
	if err != nil {
		return err
	}
	return s.await(c)
}

func (p *programs) startPion(ctx context.Context, s *server) error {
	c, err := p.child(ctx, p.plain, order{Pion: &pionOrder{Args: p.serveArguments("runtime")}})
	if err != nil {
		return err
	}
	return s.await(c)
}

var (
	callLink = regexp.MustCompile(`Call +(http\S+)`)
	iceLink  = regexp.MustCompile(`ICE +turn:(\S+)\?transport=udp`)
)

// await reads what a server says until it is known where it serves. The first word on STUN counts.
func (s *server) await(c *rounds.Process) error {
	s.processes, s.pid = append(s.processes, c), c.PID()
	ice := ""
	for s.signaling == "" || ice == "" {
		if !c.Lines.Scan() {
			return errors.New("it ended before it said where it serves")
		}
		line := c.Lines.Text()
		if at, ok := strings.CutPrefix(line, stunLine); ok {
			s.stun, _ = netip.ParseAddrPort(at)
		}
		if found := callLink.FindStringSubmatch(line); found != nil {
			link, err := url.Parse(found[1])
			if err != nil {
				return err
			}
			s.signaling = net.JoinHostPort("127.0.0.1", link.Port())
		}
		if found := iceLink.FindStringSubmatch(line); found != nil {
			ice = found[1]
		}
	}
	if s.stun.IsValid() {
		return nil
	}
	var err error
	s.stun, err = netip.ParseAddrPort(ice)
	return err
}

// errNoCoturn says that there is no coturn to compare with.
var errNoCoturn = errors.New("coturn is not installed (Debian package coturn), nor named by --coturn")

// startCoturn starts coturn; the server so far goes on for the signaling load.
func (p *programs) startCoturn(ctx context.Context, s *server) error {
	program, err := exec.LookPath(p.coturn)
	if err != nil {
		return errNoCoturn
	}
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at, _ := netip.ParseAddrPort(free.Addr().String()) // A listener's own address.
	if err := free.Close(); err != nil {
		return err
	}
	// What it prints while it looks for protocols that the kernel lacks is of no interest.
	c, err := rounds.Launch(ctx, io.Discard, program, "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", fmt.Sprintf("--listening-port=%d", at.Port()),
		"--no-tls", "--no-dtls", "--no-cli", "--lt-cred-mech", "--user=u:p", "--realm=bench", "--log-file="+os.DevNull,
		"--pidfile="+filepath.Join(p.dir, "coturn.pid"), "--userdb="+filepath.Join(p.dir, "coturn.db"))
	if err != nil {
		return err
	}
	s.processes, s.pid, s.stun = append(s.processes, c), c.PID(), at
	return awaitSTUN(ctx, at)
}

// awaitSTUN waits until a server answers over UDP.
func awaitSTUN(ctx context.Context, at netip.AddrPort) error {
	const pause = 20 * time.Millisecond
	conn, err := net.Dial("udp", at.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	ask, answer := stun.MustBuild(stun.TransactionID, stun.BindingRequest), make([]byte, 1500)
	for range int(stopGrace / pause) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, _ = conn.Write(ask.Raw) // Refused until somebody listens.
		_ = conn.SetReadDeadline(time.Now().Add(pause))
		switch _, err := conn.Read(answer); {
		case err == nil:
			return nil
		case errors.Is(err, syscall.ECONNREFUSED):
			_, _ = conn.Read(answer) // Waits out the pause.
		}
	}
	return fmt.Errorf("nobody answers on %v", at)
}
