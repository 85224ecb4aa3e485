package cli_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/logging"
	pion "github.com/pion/turn/v5"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// TestRelayService is the relay as other programs on the machine meet it: readiness, metrics, vended credentials that
// allocate, credentials of the command line under the configured secret, and a stop that drains.
func TestRelayService(t *testing.T) {
	const key, secret = "the key of a gateway", "the first shared secret"
	dir := t.TempDir()
	settings := []string{
		"--set", "turn.api_keys=[" + key + "]", "--set", "turn.secrets=[" + secret + ", the previous shared secret]",
		"--set", "turn.drain=300ms", "--set", "log.level=debug",
	}
	s := start(t, nil, append(freePorts(dir), settings...)...)
	base, admin := strings.TrimSuffix(s.call, "/call/?room=demo"), strings.Split(s.admin, "/login")[0]

	awaitReady(t, admin)
	if status, text := get(t, admin+"/metrics"); status != http.StatusOK || !strings.Contains(text, "\ntourbillon_turn_selftest_up 1\n") ||
		!strings.Contains(text, "\ntourbillon_turn_allocations 2\n") || !strings.Contains(text, `tourbillon_turn_limit{name="allocations_per_user"} 12`) || strings.Contains(text, "self-call") {
		t.Errorf("metrics %d:\n%s", status, text)
	}
	if status, body := get(t, admin+"/livez"); status != http.StatusOK {
		t.Errorf("livez %d %s", status, body)
	}
	if status, _ := get(t, admin+"/api/allocations"); status != http.StatusUnauthorized {
		t.Errorf("allocations without a login: %d", status)
	}

	vended := vend(t, base, key)
	relay := allocate(t, vended)
	defer relay.Close()
	shownToAdmins(t, s.admin, admin, relay.LocalAddr().String())

	code, stdout, stderr := run(t, append([]string{"credentials", "turn", "--user", "carol", "--json", "--set", "state_dir=" + dir}, settings...)...)
	var printed credential
	if err := json.Unmarshal([]byte(stdout), &printed); code != 0 || err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, stderr)
	}
	printed.URIs = vended.URIs // The server's ports are free ones, which its configuration does not tell.
	allocate(t, printed)

	s.stop(t, syscall.SIGTERM)
	log := s.stderr.String()
	if !strings.Contains(log, "msg=drained allocations_left=2") {
		t.Errorf("nothing says what was left:\n%s", log)
	}
	for _, hidden := range []string{key, secret, vended.Password, printed.Password} {
		if strings.Contains(log, hidden) {
			t.Errorf("the log holds %q", hidden)
		}
	}
}

// credential is what the command and the endpoint answer.
type credential struct {
	Username, Password string
	TTL                int
	URIs               []string
}

func awaitReady(t *testing.T, admin string) {
	t.Helper()
	clock := timingtest.Real(timing.Runtime{})
	for limit := time.Now().Add(patience); time.Now().Before(limit); {
		status, body := get(t, admin+"/readyz")
		if status == http.StatusOK && strings.Contains(body, `"ready":true`) {
			return
		}
		if status != http.StatusServiceUnavailable || !strings.Contains(body, "the call to ourselves through our relay is") {
			t.Fatalf("readyz %d %s", status, body)
		}
		clock.Pass(10 * time.Millisecond)
	}
	t.Fatal("never ready")
}

func vend(t *testing.T, base, key string) (c credential) {
	t.Helper()
	if status, _ := get(t, base+"/turn/credentials?service=turn&key=wrong"); status != http.StatusForbidden {
		t.Errorf("a wrong key is answered %d", status)
	}
	status, body := get(t, base+"/turn/credentials?service=turn&username=bob&key="+url.QueryEscape(key))
	if err := json.Unmarshal([]byte(body), &c); status != http.StatusOK || err != nil || len(c.URIs) == 0 {
		t.Fatalf("vended %d %s", status, body)
	}
	return c
}

// allocate makes an allocation over UDP with a credential, as any TURN client.
func allocate(t *testing.T, c credential) net.PacketConn {
	t.Helper()
	at, _, _ := strings.Cut(strings.TrimPrefix(c.URIs[0], "turn:"), "?")
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	client, err := pion.NewClient(&pion.ClientConfig{
		STUNServerAddr: at, TURNServerAddr: at, Conn: conn, Username: c.Username, Password: c.Password, LoggerFactory: logs,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	relay, err := client.Allocate()
	if err != nil {
		t.Fatalf("allocate with %q at %s: %v", c.Username, at, err)
	}
	return relay
}

// shownToAdmins logs in and looks for an allocation.
func shownToAdmins(t *testing.T, link, admin, relay string) {
	t.Helper()
	plain := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	login, err := plain.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	login.Body.Close()
	request, err := http.NewRequest(http.MethodGet, admin+"/api/allocations", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range login.Cookies() {
		request.AddCookie(cookie)
	}
	response, err := plain.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var shown []struct{ User, Relay, Transport string }
	if err := json.NewDecoder(response.Body).Decode(&shown); err != nil {
		t.Fatalf("%d: %v", response.StatusCode, err)
	}
	for _, a := range shown {
		if a.Relay == relay && a.User == "bob" && a.Transport == "udp" {
			return
		}
	}
	t.Errorf("%s is not among %+v", relay, shown)
}
