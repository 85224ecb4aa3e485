package cli_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tourbillon/appliance/cli"
	"tourbillon/signaling/client"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// asProgram makes the test binary the program: each test starts real processes of it.
const asProgram = "TOURBILLON_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[1:], cli.IO{Out: os.Stdout, Err: os.Stderr}))
}

// patience bounds every wait in these tests; reaching it is a failure.
const patience = 2 * time.Minute

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runCommand(t, command(t, args...))
}

func runCommand(t *testing.T, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// server is a running process of the program.
type server struct {
	cmd    *exec.Cmd
	stderr *strings.Builder
	// call and admin are the printed links.
	call, admin string
}

// freePorts asks for free ports on loopback; state goes to dir.
func freePorts(dir string) []string {
	return []string{
		"--set", "state_dir=" + dir, "--set", "http.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0",
		"--set", "turn.udp=[127.0.0.1:0]", "--set", "turn.tcp=[127.0.0.1:0]",
	}
}

var link = regexp.MustCompile(`(Call|Admin) +(http\S+)`)

func start(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	cmd := command(t, args...)
	cmd.Env = append(cmd.Env, env...)
	return startCommand(t, cmd)
}

func startCommand(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{cmd: cmd, stderr: &strings.Builder{}}
	s.cmd.Stderr = s.stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for s.call == "" || s.admin == "" {
		if !lines.Scan() {
			_ = s.cmd.Wait()
			t.Fatalf("the server ended before it said where to go:\n%s", s.stderr)
		}
		if found := link.FindStringSubmatch(lines.Text()); found != nil && found[1] == "Call" {
			s.call = found[2]
		} else if found != nil {
			s.admin = found[2]
		}
	}
	go io.Copy(io.Discard, stdout) // Ends with the process.
	return s
}

func (s *server) stop(t *testing.T, with os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(with); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after %v: %v\n%s", with, err, s.stderr)
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func TestServeAndStop(t *testing.T) {
	for _, with := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := start(t, nil, freePorts(t.TempDir())...)
		base := strings.TrimSuffix(s.call, "/call/?room=demo")
		if status, body := get(t, base+"/healthz"); status != http.StatusOK || body != "ok\n" {
			t.Errorf("healthz answers %d %q", status, body)
		}
		if status, _ := get(t, base+"/call/"); status != http.StatusOK {
			t.Errorf("the call page answers %d", status)
		}
		if head, err := http.Head(base + "/call/"); err != nil || head.StatusCode != http.StatusOK || head.ContentLength <= 0 {
			t.Errorf("HEAD of the call page: %+v, %v", head, err)
		}
		if status, _ := get(t, s.admin); status == http.StatusForbidden {
			t.Error("the printed admin link does not open")
		}
		s.stop(t, with)
	}
}

func TestAdminLinkOfARunningServer(t *testing.T) {
	dir := t.TempDir()
	if code, _, stderr := run(t, "admin-link", "--set", "state_dir="+dir); code != 1 || !strings.Contains(stderr, "no tourbillon has run") {
		t.Errorf("without a server: exit %d %q", code, stderr)
	}
	s := start(t, nil, freePorts(dir)...)
	defer s.stop(t, syscall.SIGTERM)
	code, stdout, stderr := run(t, "admin-link", "--set", "state_dir="+dir)
	fresh := strings.TrimSpace(stdout)
	if code != 0 || fresh == s.admin || !strings.HasPrefix(fresh, s.admin[:strings.Index(s.admin, "=")]) {
		t.Fatalf("exit %d, link %q beside %q\n%s", code, fresh, s.admin, stderr)
	}
	if status, _ := get(t, fresh); status == http.StatusForbidden {
		t.Error("the link does not open")
	}
}

// TestSecretsStay holds that a killed server's secrets are the next one's.
func TestSecretsStay(t *testing.T) {
	dir := t.TempDir()
	s := start(t, nil, freePorts(dir)...)
	before := read(t, dir)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	s = start(t, nil, freePorts(dir)...)
	after := read(t, dir)
	s.stop(t, syscall.SIGTERM)
	if len(before) != 4 {
		t.Errorf("%d secrets, want 4", len(before))
	}
	for name, secret := range before {
		if after[name] != secret || len(secret) < 64 {
			t.Errorf("%s changed over a restart or is short", name)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v), want 0600", name, info.Mode(), err)
		}
	}
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	secrets := map[string]string{}
	for _, name := range []string{"turn-secret", "session-key", "token-key", "admin-key"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = strings.TrimSpace(string(data))
	}
	return secrets
}

func TestNotifySystemd(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	listener, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := listener.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	env := []string{"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=200000"}
	s := start(t, env, freePorts(t.TempDir())...)
	awaitNotice(t, listener, "READY=1")
	awaitNotice(t, listener, "WATCHDOG=1")
	awaitNotice(t, listener, "WATCHDOG=1")
	s.stop(t, syscall.SIGTERM)
	awaitNotice(t, listener, "STOPPING=1")
}

func awaitNotice(t *testing.T, listener net.PacketConn, want string) {
	t.Helper()
	buffer := make([]byte, 256)
	for {
		n, _, err := listener.ReadFrom(buffer)
		if err != nil {
			t.Fatalf("waited for %s: %v", want, err)
		}
		if string(buffer[:n]) == want {
			return
		}
	}
}

func TestBadCommandLines(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(open, "turn-secret"), []byte(strings.Repeat("a", 64)), 0o644); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cases := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"command", []string{"brew"}, 64, `no command "brew": run`},
		{"flag", []string{"--brew"}, 64, "not defined: -brew"},
		{"argument", []string{"version", "now"}, 64, `version takes no argument "now"`},
		{"unknown key", []string{"--set", "turn.updp=[]"}, 78, "did you mean turn.udp?"},
		{"bad CIDR", []string{"--set", "turn.deny_peers=[10/8]"}, 78, "is no CIDR prefix"},
		{"peers on loopback", append(freePorts(dir), "--set", "turn.allow_peers=[127.0.0.0/8]"), 78, "turn.allow_peers: 127.0.0.0/8 is loopback"},
		{"relay of another family", append(freePorts(dir), "--set", "turn.relay_bind=::1"), 78, "turn.relay_bind: ::1 and turn.relay_address"},
		{"missing certificate", append(freePorts(dir), "--set", "tls.cert=none.pem", "--set", "tls.key=none.pem"), 78, "none.pem: no such file"},
		{"port in use", append(freePorts(dir), "--set", "http.listen="+taken.Addr().String()), 1, "http.listen: listen tcp4 " + taken.Addr().String() + ": bind: address already in use: stop the other program"},
		{"TURN port in use", append(freePorts(dir), "--set", "turn.tcp=["+taken.Addr().String()+"]"), 1, "address already in use: stop the other TURN server"},
		{"readable secret", append(freePorts(open), "--check=false"), 1, "can be read by others (mode 0644): run chmod 600"},
		{"state folder", []string{"--set", "state_dir=/proc/nowhere"}, 1, "set state_dir to a folder that this user can write"},
	}
	for _, c := range cases {
		code, stdout, stderr := run(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d, want %d with %q:\n%s%s", c.name, code, c.code, c.want, stdout, stderr)
		}
	}
	if code, stdout, _ := run(t, "--check", "--set", "clock=runtime"); code != 0 || !strings.Contains(stdout, "good") {
		t.Errorf("--check of a good configuration: exit %d %q", code, stdout)
	}
}

// TestCheckHoldsTheRulesOfTheStart: what serve refuses, --check refuses with the same exit code, everything at once, each
// with its key and what would be right.
func TestCheckHoldsTheRulesOfTheStart(t *testing.T) {
	for set, want := range map[string]string{
		"turn.allow_peers=[127.0.0.0/8]":    "turn.allow_peers: 127.0.0.0/8 is loopback, which can never be a peer: take it out",
		"turn.allow_peers=[169.254.0.0/16]": "turn.allow_peers: 169.254.0.0/16 is link-local, which can never be a peer: take it out",
		"turn.relay_bind=::1":               "turn.relay_bind: ::1 and turn.relay_address 127.0.0.1 are of different families: give a local address",
		"turn.relay_address=224.0.0.1":      "turn.relay_address: 224.0.0.1 cannot be announced: write the unicast address",
		"turn.host=https://x":               `turn.host: "https://x" is neither a host name nor an IP address: write the name`,
		"turn.host=a b":                     `turn.host: "a b" is neither`,
		"signaling.token_keys=/none.json":   "signaling.token_keys: ",
	} {
		code, stdout, stderr := run(t, "serve", "--check", "--set", set)
		if code != 78 || !strings.Contains(stderr, "configuration: "+want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d\n%s%s", set, code, stdout, stderr)
		}
	}
	code, _, stderr := run(t, "--check", "--set", "turn.allow_peers=[127.0.0.0/8, here]", "--set", "turn.relay_bind=::1", "--set", "turn.host=a/b",
		"--set", "turn.realm=a-very-long-realm", "--set", "clock=sundial", "--set", "tls.cert=none.pem", "--set", "tls.key=none.pem", "--set", "turn.limits.bindings_per_second=-2")
	for _, key := range []string{"turn.relay_bind", "turn.host", "turn.realm", "clock", "tls", "turn.limits.bindings_per_second"} {
		if strings.Count(stderr, "configuration: "+key+": ") != 1 {
			t.Errorf("%s is not told of once", key)
		}
	}
	if code != 78 || strings.Count(stderr, "turn.allow_peers: ") != 2 || strings.Count(stderr, "\n") != 8 {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	for _, good := range []string{"turn.host=turn.example.org", "turn.host=turn-1.example.org.", "turn.host=203.0.113.7", "turn.host=2001:db8::7", "turn.allow_peers=[10.0.0.0/8]"} {
		if code, _, stderr := run(t, "--check", "--set", good); code != 0 {
			t.Errorf("%s: exit %d %s", good, code, stderr)
		}
	}
}

func TestVersionJSON(t *testing.T) {
	for _, clock := range []string{"hrtimer", "runtime"} {
		code, stdout, stderr := run(t, "version", "--json", "--clock", clock)
		var v struct {
			Version, Go string
			Timers      struct {
				Clock   string
				Modules map[string]string
			}
		}
		if err := json.Unmarshal([]byte(stdout), &v); code != 0 || err != nil {
			t.Fatalf("exit %d, %v:\n%s%s", code, err, stdout, stderr)
		}
		if v.Timers.Clock != clock || v.Version == "" || v.Go == "" {
			t.Errorf("--clock %s: %+v", clock, v)
		}
	}
}

func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	if code, _, stderr := run(t, "credentials", "turn", "--set", "state_dir="+dir); code != 1 || !strings.Contains(stderr, "no tourbillon has run") {
		t.Errorf("without a server: exit %d %q", code, stderr)
	}
	s := start(t, nil, freePorts(dir)...)
	defer s.stop(t, syscall.SIGTERM)
	code, stdout, stderr := run(t, "credentials", "turn", "--user", "alice", "--ttl", "10m", "--json", "--set", "state_dir="+dir)
	var issued struct {
		Username, Password string
		TTL                int
		URIs               []string
	}
	if err := json.Unmarshal([]byte(stdout), &issued); code != 0 || err != nil {
		t.Fatalf("exit %d, %v:\n%s%s", code, err, stdout, stderr)
	}
	if !strings.HasSuffix(issued.Username, ":alice") || issued.TTL != 600 || issued.Password == "" ||
		strings.Join(issued.URIs, " ") != "turn:127.0.0.1:3478?transport=udp turn:127.0.0.1:3478?transport=tcp" {
		t.Errorf("credentials %+v", issued)
	}
	for ttl, seconds := range map[string]int{"1m": 60, "48h": 172800} {
		if code, stdout, _ := run(t, "credentials", "turn", "--ttl", ttl, "--json", "--set", "state_dir="+dir); code != 0 || !strings.Contains(stdout, fmt.Sprintf(`"ttl": %d`, seconds)) {
			t.Errorf("--ttl %s: exit %d %s", ttl, code, stdout)
		}
	}
	for _, ttl := range []string{"-1h", "0s", "500ms", "59s", "48h1s", "1000h"} {
		code, stdout, stderr := run(t, "credentials", "turn", "--ttl", ttl, "--set", "state_dir="+dir)
		if code != 64 || stdout != "" || !strings.Contains(stderr, "is out of bounds: choose 1m to 48h") {
			t.Errorf("--ttl %s: exit %d %q %q", ttl, code, stdout, stderr)
		}
	}
	code, stdout, _ = run(t, "credentials", "turn", "--set", "state_dir="+dir, "--set", "turn.host=2001:db8::7")
	if code != 0 || !strings.Contains(stdout, "uri turn:[2001:db8::7]:3478?transport=udp") {
		t.Errorf("an IPv6 turn.host: exit %d %s", code, stdout)
	}
	if code, stdout, stderr := run(t, "credentials", "token", "--room", "demo", "--set", "state_dir="+dir); code != 0 || strings.Count(stdout, ".") != 2 {
		t.Errorf("token: exit %d %q %q", code, stdout, stderr)
	}
}

// TestTokensWhereRoomsAreClosed starts a server whose rooms want a token, and joins by the printed invite and by a
// token from the command line.
func TestTokensWhereRoomsAreClosed(t *testing.T) {
	dir := t.TempDir()
	settings := append(freePorts(dir), "--set", "signaling.open_rooms=false")
	s := start(t, nil, settings...)
	defer s.stop(t, syscall.SIGTERM)
	page, invite, found := strings.Cut(s.call, "#token=")
	if !found || strings.Count(invite, ".") != 2 {
		t.Fatalf("the invite link %q has no token in its fragment", s.call)
	}
	code, token, stderr := run(t, append([]string{"credentials", "token", "--room", "demo", "--ttl", "1m", "--can", "join", "--once"}, settings...)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	base, _, _ := strings.Cut(page, "/call/")
	for text, can := range map[string]int{invite: 3, strings.TrimSpace(token): 1} {
		room, err := joinRoom(t, base, text)
		if err != nil {
			t.Fatal(err)
		}
		defer room.Close()
		if len(room.Can()) != can {
			t.Errorf("allowed to %v", room.Can())
		}
	}
	for name, text := range map[string]string{"no token": "", "a used one": strings.TrimSpace(token)} {
		if _, err := joinRoom(t, base, text); err == nil {
			t.Errorf("joined with %s", name)
		}
	}
}

func joinRoom(t *testing.T, base, token string) (*client.Room, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return client.Join(ctx, strings.Replace(base, "http", "ws", 1)+"/ws", client.Options{Room: "demo", Token: token})
}

func TestTokensThatAreNotIssued(t *testing.T) {
	settings := freePorts(t.TempDir())
	s := start(t, nil, settings...)
	defer s.stop(t, syscall.SIGTERM)
	for _, options := range [][]string{{"--ttl", "25h"}, {"--can", "fly"}, {"--can", "publish"}, {"--room", "a b"}} {
		code, _, stderr := run(t, slices.Concat([]string{"credentials", "token"}, options, settings)...)
		if code == 0 || stderr == "" {
			t.Errorf("%v: exit %d, %q", options, code, stderr)
		}
	}
}

func TestTokenKeysThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "keys.json")
	code, _, stderr := run(t, append([]string{"serve", "--set", "signaling.token_keys=" + missing}, freePorts(t.TempDir())...)...)
	if code != 78 || !strings.Contains(stderr, "signaling.token_keys") || !strings.Contains(stderr, "JWK Set") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestTLS starts a server with a certificate: HTTPS, WSS and turns: have to be there.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	pool := makeCertificate(t, dir)
	s := start(t, nil, append(freePorts(dir), "--set", "tls.cert="+filepath.Join(dir, "cert.pem"), "--set", "tls.key="+filepath.Join(dir, "key.pem"),
		"--set", "turn.tls=[127.0.0.1:0]")...)
	defer s.stop(t, syscall.SIGTERM)
	base, isHTTPS := strings.CutSuffix(s.call, "/call/?room=demo")
	if !isHTTPS || !strings.HasPrefix(base, "https://localhost:") {
		t.Fatalf("the call link is %q, want https", s.call)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, strings.Replace(base, "https", "wss", 1)+"/ws", &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{"tourbillon.v1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"type":"join","room":"demo"}`)); err != nil {
		t.Fatal(err)
	}
	_, joined, err := ws.Read(ctx)
	if err != nil || !strings.Contains(string(joined), `"turns:127.0.0.1:`) {
		t.Errorf("joined is %s (%v), want a turns: URL in it", joined, err)
	}
}

// makeCertificate writes a fresh certificate for localhost and its key as PEM files, and returns what trusts it.
func makeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: certificate}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		data := pem.EncodeToMemory(block)
		pool.AppendCertsFromPEM(data)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

// TestStopWhileStarting signals at moments all over the start.
func TestStopWhileStarting(t *testing.T) {
	clock := timingtest.Real(timing.Runtime{})
	for i := range 20 {
		dir := t.TempDir()
		cmd := command(t, freePorts(dir)...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		clock.Pass(time.Duration(8+2*i) * time.Millisecond)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		err := cmd.Wait()
		// Before the program has asked for the signal, the signal's default ends it.
		defaultEnd := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled()
		if err != nil && !defaultEnd {
			t.Errorf("told to stop after %d ms: %v\n%s", 8+2*i, err, stderr.String())
		}
		if _, err := os.Stat(filepath.Join(dir, "admin-url")); err == nil {
			t.Errorf("told to stop after %d ms: admin-url was left behind", 8+2*i)
		}
	}
}

// TestIdleConnectionsDelayNoGoodbye keeps silent TCP connections to both HTTP listeners, as browsers do in advance. The
// HTTP servers give idle connections five seconds; the clients' farewell must not wait for them. One of several servers
// has to show it: a machine that stands still can delay a farewell, but not hurry one.
func TestIdleConnectionsDelayNoGoodbye(t *testing.T) {
	const tries, limit = 5, 2 * time.Second
	var took []time.Duration
	for range tries {
		took = append(took, farewell(t))
		if took[len(took)-1] <= limit {
			return
		}
	}
	t.Errorf("the farewells came after %v, want one within %v", took, limit)
}

// farewell joins a server with idle connections, has it stop, and returns after which time the farewell came.
func farewell(t *testing.T) time.Duration {
	t.Helper()
	s := start(t, nil, freePorts(t.TempDir())...)
	for _, at := range []string{s.call, s.admin} {
		address := strings.Replace(strings.Split(at, "/")[2], "localhost", "127.0.0.1", 1)
		idle, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, strings.Replace(strings.TrimSuffix(s.call, "/call/?room=demo"), "http", "ws", 1)+"/ws",
		&websocket.DialOptions{Subprotocols: []string{"tourbillon.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	for _, text := range []string{`{"type":"hello","heartbeat_ms":5000}`, `{"type":"join","room":"demo"}`} {
		if err := ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	awaitText(ctx, t, ws, `"joined"`)
	told := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitText(ctx, t, ws, `"bye"`)
	took := time.Since(told)
	_ = s.cmd.Wait()
	return took
}

// awaitText reads messages until one has a text in it.
func awaitText(ctx context.Context, t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	for {
		_, message, err := ws.Read(ctx)
		if err != nil {
			t.Fatalf("waiting for %s: %v", text, err)
		}
		if strings.Contains(string(message), text) {
			return
		}
	}
}
