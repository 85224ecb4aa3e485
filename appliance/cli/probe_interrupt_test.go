package cli_test

import (
	"encoding/json"
	"errors"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/pion/stun/v4"

	"tourbillon/turn/probe"
)

// TestProbeInterrupted has Ctrl-C end a probe in its first series: what was measured is reported, no server counts as
// failed, and the exit code is one of its own.
func TestProbeInterrupted(t *testing.T) {
	report, stdout := interruptedProbe(t)
	for range 4 {
		if series := report.Servers[0].Series; len(series) == 1 && series[0].LossPercent == 0 {
			break
		}
		t.Log("again, since what was on its way while the machine stood still counts as lost")
		report, stdout = interruptedProbe(t)
	}
	if got := report.Servers[0].Series; len(got) != 1 || got[0].LossPercent != 0 || got[0].Received < 5 || got[0].Sent != got[0].Received+got[0].Open {
		t.Errorf("%s", stdout)
	}
}

func interruptedProbe(t *testing.T) (report probe.Report, printed string) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := conn.LocalAddr().String()
	cmd := command(t, "probe", "stun:"+at, "turn:"+at, "--count", "1000", "--interval", "20ms", "--json")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { // Ends with the socket.
		defer close(served)
		answerBindings(conn, func(n int) {
			if n == 10 {
				_ = cmd.Process.Signal(syscall.SIGINT)
			}
		})
	}()
	err = cmd.Wait()
	conn.Close()
	<-served
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 || !strings.Contains(stderr.String(), "interrupted: servers good: 0, failed: 0, not finished: 2") {
		t.Errorf("%v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal([]byte(stdout.String()), &report); err != nil || len(report.Servers) != 2 || !report.Interrupted {
		t.Fatalf("%v\n%s", err, stdout.String())
	}
	for _, s := range report.Servers {
		if s.State != probe.StateInterrupted {
			t.Errorf("%s is %s", s.URL, s.State)
		}
	}
	return report, stdout.String()
}

// answerBindings answers Binding requests until the socket is closed, and tells how many it answered.
func answerBindings(conn *net.UDPConn, answered func(n int)) {
	buffer := make([]byte, 1500)
	for n := 1; ; n++ {
		size, from, err := conn.ReadFromUDP(buffer)
		if err != nil {
			return
		}
		ask := stun.New()
		if stun.Decode(buffer[:size], ask) != nil {
			continue
		}
		answer := stun.MustBuild(ask, stun.BindingSuccess, &stun.XORMappedAddress{IP: from.IP, Port: from.Port}, stun.Fingerprint)
		_, _ = conn.WriteToUDP(answer.Raw, from)
		answered(n)
	}
}
