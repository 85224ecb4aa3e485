package cli_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPeerJSService holds the configuration to what is served.
func TestPeerJSService(t *testing.T) {
	for _, c := range []struct {
		settings string
		path     string
		status   int
	}{
		{"", "/peerjs/id", http.StatusOK},
		{"", "/peerjs/ice", http.StatusOK},
		{"", "/peerjs/peers", http.StatusUnauthorized},
		{"peerjs.enabled=false", "/peerjs/id", http.StatusNotFound},
		{"peerjs.prefix=/my/app peerjs.key=k1", "/my/app/k1/id", http.StatusOK},
		{"peerjs.discovery=true", "/peerjs/peers", http.StatusOK},
	} {
		args := freePorts(t.TempDir())
		for _, setting := range strings.Fields(c.settings) {
			args = append(args, "--set", setting)
		}
		s := start(t, nil, args...)
		if status, body := get(t, strings.TrimSuffix(s.call, "/call/?room=demo")+c.path); status != c.status {
			t.Errorf("%q %s: %d %s, want %d", c.settings, c.path, status, body, c.status)
		}
		s.stop(t, unix.SIGTERM)
	}
}

func TestPeerJSTokens(t *testing.T) {
	args := append(freePorts(t.TempDir()), "--set", "peerjs.open=false")
	s := start(t, nil, args...)
	defer s.stop(t, unix.SIGTERM)
	base := strings.TrimSuffix(s.call, "/call/?room=demo")
	for room, want := range map[string]int{"peerjs": http.StatusOK, "demo": http.StatusUnauthorized} {
		code, token, stderr := run(t, append([]string{"credentials", "token", "--room", room}, args...)...)
		if code != 0 {
			t.Fatal(stderr)
		}
		if status, body := get(t, base+"/peerjs/ice?token="+strings.TrimSpace(token)); status != want || strings.Contains(body, "credential") != (want == http.StatusOK) {
			t.Errorf("a token for the room %s: %d %s, want %d", room, status, body, want)
		}
	}
	if status, _ := get(t, base+"/peerjs/ice"); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
}
