package cli_test

import (
	"encoding/json"
	"net/netip"
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
		"stun:h --user u":                "--user without --pass",
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
