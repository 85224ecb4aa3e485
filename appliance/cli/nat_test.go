//go:build interop && linux

package cli_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tourbillon/appliance/netlab"
	"tourbillon/timing/timingtest"
)

// The servers' host has two addresses, as RFC 5780 wants them.
const (
	firstServer, secondServer = "10.76.1.2", "10.76.1.3"
	behindNAT, outside        = "10.76.2.2", "10.76.1.1"
	sharedSecret              = "a-shared-secret-of-turn"
)

// TestProbeThroughNAT probes from behind the kernel's own address translator, of two kinds, and from behind none: our own
// server by its two addresses, and Debian's coturn by one, which names the other. It needs turnserver (package coturn).
func TestProbeThroughNAT(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(n *netlab.Network)
		// own are words of the report on our server, one on one address of it alone, other on coturn.
		own, one, other []string
	}{
		{
			"none", func(*netlab.Network) {},
			[]string{"NAT         no address translation between here and the servers", "hairpin   true"},
			[]string{"NAT         no address translation between here and the servers"},
			[]string{"NAT         no address translation between here and the servers", "filtering open"},
		},
		{
			"one mapping", func(n *netlab.Network) { n.Masquerade(behindNAT, netlab.KeepPorts) },
			[]string{"seen as " + outside, "NAT         translated, with one mapping towards all servers: direct connections usually work", "hairpin   false"},
			[]string{"NAT         translated to " + outside, "name a second server at another address"},
			[]string{"NAT         translated, with one mapping towards all servers: direct connections usually work", "filtering restricted"},
		},
		{
			"a mapping for each", func(n *netlab.Network) { n.Masquerade(behindNAT, netlab.RandomPorts) },
			[]string{"seen as " + outside, "NAT         translated, with another mapping for each server: direct connections often fail, have a TURN server", "hairpin   false"},
			[]string{"NAT         translated to " + outside, "name a second server at another address"},
			[]string{"NAT         translated, with another mapping for each server: direct connections often fail, have a TURN server", "filtering restricted"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := netlab.New(t, map[string]string{"servers": firstServer, "home": behindNAT})
			n.Add("servers", secondServer)
			c.build(n)
			serveInside(t, n)
			coturnInside(t, n)
			says(t, n, c.own, "turn:"+firstServer, "stun:"+secondServer, "--secret", sharedSecret, "--hairpin")
			says(t, n, c.one, "stun:"+secondServer)
			says(t, n, c.other, "stun:"+firstServer+":3479")
		})
	}
}

// says probes from the home network: no translator is a fault of a server's.
func says(t *testing.T, n *netlab.Network, words []string, args ...string) {
	t.Helper()
	args = append([]string{"probe", "--count", "2", "--timeout", "15s"}, args...)
	code, stdout, stderr := runCommand(t, n.Inside("home", command(t, args...)))
	if code != 0 {
		t.Errorf("exit %d:\n%s%s", code, stdout, stderr)
	}
	for _, want := range words {
		if !strings.Contains(stdout, want) {
			t.Errorf("%v: not %q:\n%s", args, want, stdout)
		}
	}
}

func serveInside(t *testing.T, n *netlab.Network) {
	t.Helper()
	args := []string{"serve"}
	for _, setting := range []string{
		"state_dir=" + t.TempDir(), "turn.udp=[" + firstServer + ":3478," + secondServer + ":3478]", "turn.tcp=[]",
		"turn.relay_address=" + firstServer, "turn.allow_peers=[10.76.0.0/16]", "turn.secrets=[" + sharedSecret + "]",
	} {
		args = append(args, "--set", setting)
	}
	s := startCommand(t, n.Inside("servers", command(t, args...)))
	t.Cleanup(func() { s.stop(t, syscall.SIGTERM) })
}

// coturnInside starts a coturn beside our server and waits until a probe beside it has an answer.
func coturnInside(t *testing.T, n *netlab.Network) {
	t.Helper()
	program, err := exec.LookPath("turnserver")
	if err != nil {
		t.Fatalf("install coturn, or leave out the build tag interop: %v", err)
	}
	dir := t.TempDir()
	cmd := n.Inside("servers", exec.CommandContext(t.Context(), program, "-n", "--listening-port=3479", "--alt-listening-port=3480",
		"--listening-ip="+firstServer, "--listening-ip="+secondServer, "--relay-ip="+firstServer, "--no-tls", "--no-dtls", "--no-cli",
		"--log-file=stdout", "--simple-log", "--pidfile="+filepath.Join(dir, "pid"), "--userdb="+filepath.Join(dir, "db"), "--relay-threads=1"))
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait() // Killed with the test's context.
		if t.Failed() {
			t.Logf("coturn:\n%s", log.String())
		}
	})
	timingtest.Eventually(t, "coturn answers", func() bool {
		code, _, _ := runCommand(t, n.Inside("servers", command(t, "probe", "stun:"+firstServer+":3479", "--count", "0", "--timeout", "1s")))
		return code == 0
	})
}
