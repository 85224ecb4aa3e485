package appliance

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"tourbillon/appliance/config"
	"tourbillon/turn"
)

// TestStartRefusesAsTheCheckDoes: who starts without the check is told of the same problems, as problems of the
// configuration, which end the process with the exit code for these.
func TestStartRefusesAsTheCheckDoes(t *testing.T) {
	c := config.Default()
	c.TURN.RelayBind, c.TURN.AllowPeers = "::1", []string{"127.0.0.0/8"}
	listening := turnSettings(c)
	listening.Secrets = [][]byte{[]byte("generated")}
	_, err := turn.Listen(listening)
	started, checked := turnProblems(err), JudgeTURN(c, func(string) bool { return false })
	if fmt.Sprint(started) != fmt.Sprint(checked) || len(checked) != 2 {
		t.Errorf("the start refuses %v, the check %v", started, checked)
	}
	for _, p := range checked {
		if p.Where == "" || p.Wrong == "" || p.Remedy == "" {
			t.Errorf("%+v is not all told", p)
		}
	}
}

// TestTakenPortIsNoMatterOfConfiguration: another start may find it free, so that systemd is to try again.
func TestTakenPortIsNoMatterOfConfiguration(t *testing.T) {
	taken := &turn.ListenError{Network: "udp", Address: "127.0.0.1:3478", Field: "turn.udp", Err: &net.OpError{Op: "listen", Err: syscall.EADDRINUSE}}
	for _, err := range []error{nil, taken, fmt.Errorf("turn: %w", taken), errors.Join(taken, errors.New("close"))} {
		if problems := turnProblems(err); len(problems) > 0 {
			t.Errorf("%v: %v", err, problems)
		}
	}
}
