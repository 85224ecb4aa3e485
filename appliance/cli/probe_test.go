package cli_test

import (
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tourbillon/timing/timingtest"
	"tourbillon/turn/probe"
)

// TestProbe asks a running server, and then an address where there is none.
func TestProbe(t *testing.T) {
	dir, at := t.TempDir(), netip.AddrPortFrom(timingtest.OwnLoopback(), 3478).String()
	s := start(t, nil, append(freePorts(dir), "--set", "turn.udp=["+at+"]")...)
	_, printed, _ := run(t, "credentials", "turn", "--set", "state_dir="+dir, "--json")
	var login struct{ Username, Password string }
	if err := json.Unmarshal([]byte(printed), &login); err != nil {
		t.Fatal(err)
	}
	url := "turn:" + at + "?transport=udp"
	code, stdout, stderr := run(t, "probe", url, "--user", login.Username, "--pass", login.Password, "--count", "3", "--interval", "50ms", "--json")
	var report probe.Report
	if err := json.Unmarshal([]byte(stdout), &report); code != 0 || err != nil || !report.OK || report.Servers[0].Allocation == nil || len(report.Servers[0].Series) != 2 {
		t.Errorf("exit %d, %v:\n%s%s", code, err, stdout, stderr)
	}
	code, stdout, stderr = run(t, "probe", "--count", "0", url, "--secret", "not the server's")
	if code != 1 || !strings.Contains(stdout, "FAILED") || !strings.Contains(stderr, "1 of 1 servers failed") {
		t.Errorf("exit %d:\n%s%s", code, stdout, stderr)
	}
	s.stop(t, syscall.SIGTERM)
	if code, stdout, _ := run(t, "probe", "stun:"+at, "--count", "0"); code != 1 || !strings.Contains(stdout, "nothing listens") {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
}

func TestProbeUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":                               "at least one URL",
		"http://x":                       "no STUN or TURN scheme",
		"stun:h --count -1":              "--count",
		"stun:h --interval 1us":          "--interval",
		"stun:h --timeout 2h":            "--timeout",
		"stun:h --max-loss 101":          "--max-loss",
		"stun:h --max-loss NaN":          "--max-loss",
		"stun:h --user u":                "--user without a password",
		"stun:h --pass p --pass-file f":  "one of the two",
		"stun:h --secret-file /none":     "no such file",
		"stun:h --secret s --pass p":     "one of the two",
		"stun:h --clock sun":             "hrtimer or runtime",
		"stun:h --tea":                   "tea",
		"stun:h turn:h?transport=pigeon": "transport=udp",
	} {
		if code, _, stderr := run(t, append([]string{"probe"}, strings.Fields(args)...)...); code != 64 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %s, want %q", args, code, stderr, want)
		}
	}
	if code, _, stderr := run(t, "bench", "stun", "--clients", "3"); code != 64 || !strings.Contains(stderr, "even") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// TestProbeSecrets gives password and shared secret by file, environment and systemd's credentials: the command line has
// none of them.
func TestProbeSecrets(t *testing.T) {
	dir, at := t.TempDir(), netip.AddrPortFrom(timingtest.OwnLoopback(), 3478).String()
	const shared = "a-shared-secret-of-turn"
	config := filepath.Join(dir, "tourbillon.yaml")
	rewrite(t, config, "turn: {secrets: ["+shared+"], users: {phone: its-password}}\n")
	s := start(t, nil, append(append([]string{"serve", "--config", config}, freePorts(filepath.Join(dir, "state"))...), "--set", "turn.udp=["+at+"]")...)
	defer s.stop(t, syscall.SIGTERM)
	for name, text := range map[string]string{"turn-password": "its-password\n", "turn-secret": shared, "wrong": "another\n", "two-lines": "a\nb\n"} {
		rewrite(t, filepath.Join(dir, name), text)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, row := range []struct {
		name, env string
		args      []string
		code      int
	}{
		{"a password file", "", []string{"--user", "phone", "--password-file", file("turn-password")}, 0},
		{"a secret file", "", []string{"--secret-file", file("turn-secret")}, 0},
		{"the password's variable", "TOURBILLON_TURN_PASSWORD=its-password", []string{"--user", "phone"}, 0},
		{"the secret's variable", "TOURBILLON_TURN_SECRET=" + shared, nil, 0},
		{"the secret's variable, for a user", "TOURBILLON_TURN_SECRET=" + shared, []string{"--user", "anna"}, 0},
		{"credentials", "CREDENTIALS_DIRECTORY=" + dir, []string{"--user", "phone"}, 0},
		{"a credential that is shared", "CREDENTIALS_DIRECTORY=" + dir, nil, 0},
		{"a wrong file before a good variable", "TOURBILLON_TURN_SECRET=" + shared, []string{"--secret-file", file("wrong")}, 1},
		{"two lines", "", []string{"--secret-file", file("two-lines")}, 64},
	} {
		cmd := command(t, append([]string{"probe", "turn:" + at + "?transport=udp", "--count", "0"}, row.args...)...)
		cmd.Env = append(cmd.Env, row.env)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != row.code {
			t.Errorf("%s: exit %d, want %d:\n%s", row.name, code, row.code, out)
		}
		if strings.Contains(string(out), shared) || strings.Contains(string(out), "its-password") {
			t.Errorf("%s: a secret is printed:\n%s", row.name, out)
		}
	}
}
