package cli_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tourbillon/signaling/client"
	"tourbillon/timing/timingtest"
)

// signer is an Ed25519 key that follows from one letter.
type signer struct {
	kid string
	key ed25519.PrivateKey
}

func newSigner(letter string) signer {
	return signer{letter, ed25519.NewKeyFromSeed([]byte(strings.Repeat(letter, ed25519.SeedSize)))}
}

func (s signer) jwks() string {
	public := base64.RawURLEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}]}`, s.kid, public)
}

func (s signer) token(t *testing.T) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"aud": "tourbillon", "exp": time.Now().Add(5 * time.Minute).Unix(), "room": "demo", "can": []string{"join", "publish"},
	})
	token.Header["kid"] = s.kid
	text, err := token.SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func rewrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reload sends SIGHUP and waits until the server has told systemd that it is done.
func (s *server) reload(t *testing.T, notices net.PacketConn) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 256)
	n, _, err := notices.ReadFrom(buffer)
	if err != nil || !regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=\d+$`).Match(buffer[:n]) {
		t.Fatalf("%q, %v", buffer[:n], err)
	}
	awaitNotice(t, notices, "READY=1")
}

// TestReload rotates the key of join tokens and the TURN secret of a running process, then breaks both files: what was
// good stays good, and the log names the files. Who had joined by the key that was withdrawn stays, and comes back.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	socket, keys, file := filepath.Join(dir, "notify"), filepath.Join(dir, "keys.json"), filepath.Join(dir, "tourbillon.yaml")
	notices, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer notices.Close()
	if err := notices.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	const oldSecret, newSecret = "the-old-secret-of-turn", "the-new-secret-of-turn"
	first, second := newSigner("a"), newSigner("b")
	rewrite(t, keys, first.jwks())
	rewrite(t, file, "turn: {secrets: ["+oldSecret+"]}\n")
	at := netip.AddrPortFrom(timingtest.OwnLoopback(), 3478).String()
	s := start(t, []string{"NOTIFY_SOCKET=" + socket}, append(append([]string{"serve", "--config", file}, freePorts(filepath.Join(dir, "state"))...),
		"--set", "turn.udp=["+at+"]", "--set", "signaling.open_rooms=false", "--set", "signaling.token_keys="+keys)...)
	awaitNotice(t, notices, "READY=1")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	url := "ws" + strings.TrimPrefix(s.call[:strings.Index(s.call, "/call/")], "http") + "/ws"
	joins := func(by signer) error {
		room, err := client.Join(ctx, url, client.Options{Room: "demo", Token: by.token(t)})
		if err == nil {
			err = room.Leave(ctx)
		}
		return err
	}
	relays := func(secret string) bool {
		code, _, _ := run(t, "probe", "turn:"+at+"?transport=udp", "--secret", secret, "--count", "0")
		return code == 0
	}
	if err := joins(second); err == nil || !relays(oldSecret) || relays(newSecret) {
		t.Fatalf("before anything: %v", err)
	}
	early, err := client.Join(ctx, url, client.Options{Room: "demo", Token: first.token(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	id := early.ID()

	rewrite(t, keys, second.jwks())
	rewrite(t, file, "turn: {secrets: ["+newSecret+"], realm: other}\n")
	s.reload(t, notices)
	if err := joins(second); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if err := joins(first); err == nil || !strings.Contains(err.Error(), "bad-token") {
		t.Errorf("the withdrawn key: %v", err)
	}
	if !relays(newSecret) || relays(oldSecret) {
		t.Error("the TURN secret was not replaced")
	}
	early.Drop() // The socket alone: it comes back with its session.
	awaitResumed(ctx, t, early)
	if err := early.Send("", "still here"); err != nil || early.ID() != id {
		t.Errorf("who had joined before: %v, %s was %s", err, early.ID(), id)
	}

	rewrite(t, keys, `{"keys":[`)
	rewrite(t, file, "turn: {secrets: [short]}\n")
	s.reload(t, notices)
	if err := joins(second); err != nil || !relays(newSecret) {
		t.Errorf("after bad files: %v", err)
	}
	if status, metrics := get(t, s.admin[:strings.Index(s.admin, "/login")]+"/metrics"); status != 200 || !strings.Contains(metrics, "tourbillon_config_last_reload_successful 0\n") {
		t.Errorf("the metrics do not tell: %d", status)
	}
	s.stop(t, syscall.SIGTERM)
	for _, want := range []string{
		"keys and secrets were read again", "settings=turn.realm", "the token keys stay as they were", keys, "turn.secrets", "the configuration stays as it was",
	} {
		if !strings.Contains(s.stderr.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, s.stderr)
		}
	}
	if strings.Contains(s.stderr.String(), newSecret) || strings.Contains(s.stderr.String(), "[short]") {
		t.Errorf("a secret is in the log:\n%s", s.stderr)
	}
}

// awaitResumed returns when the room's connection is back.
func awaitResumed(ctx context.Context, t *testing.T, room *client.Room) {
	t.Helper()
	for {
		select {
		case e := <-room.Events():
			if _, ok := e.(client.Resumed); ok {
				return
			}
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
}
