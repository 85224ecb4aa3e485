package turn_test

import (
	"bytes"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/turn"
)

func TestStaticUsers(t *testing.T) {
	const name, password = "17:an old phone", "its password"
	server := listen(t, turn.Config{UDP: []string{"127.0.0.1:0"}, Users: map[string]string{name: password}})
	c := newRawClient(t, server, name, password)
	c.expectSigned("allocate", c.allocate(), 0) // The name reads as expired long ago; a static user's does not count.
	c.expectSigned("refresh", c.request(stun.MethodRefresh), 0)
	if shown := server.Allocations(); len(shown) != 1 || shown[0].User != name {
		t.Errorf("%+v", shown)
	}
	if code := errorCode(t, newRawClient(t, server, name, "wrong").allocate()); code != 401 {
		t.Errorf("a wrong password is answered %d", code)
	}
	dated, datedPassword := issued("alice", time.Now())
	if code := errorCode(t, newRawClient(t, server, dated, datedPassword).allocate()); code != 0 {
		t.Errorf("a dated name beside static users is answered %d", code)
	}
	if err := server.SetCredentials([][]byte{[]byte(testSecret)}, nil); err != nil {
		t.Fatal(err)
	}
	if code := errorCode(t, c.request(stun.MethodRefresh)); code != 401 {
		t.Errorf("a user that is gone is answered %d", code)
	}
	if err := server.SetCredentials([][]byte{[]byte(testSecret)}, map[string]string{"": "x"}); err == nil {
		t.Error("a user without a name was accepted")
	}
}

// lockedBuffer collects what several goroutines log.
type lockedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestNothingSecretIsLogged goes through good and bad requests with everything logged, and searches the log.
func TestNothingSecretIsLogged(t *testing.T) {
	const userPassword = "a static password"
	var log lockedBuffer
	server := listen(t, turn.Config{
		UDP: []string{"127.0.0.1:0"}, TCP: []string{"127.0.0.1:0"}, Users: map[string]string{"phone": userPassword},
		Secrets: [][]byte{[]byte("another secret"), []byte(testSecret)},
		Limits:  turn.Limits{ChallengesPerSecond: turn.Unlimited},
		Log:     slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 4})),
	})
	username, password := issued("alice", time.Now())
	secrets := []string{testSecret, "another secret", userPassword, password}
	for _, credential := range [][2]string{
		{username, password}, {username, "wrong"}, {"phone", userPassword}, {"phone", "wrong"}, {"nobody", "x"},
	} {
		c := newRawClient(t, server, credential[0], credential[1])
		c.allocate()
		c.request(stun.MethodRefresh)
		c.request(stun.MethodCreatePermission, peerAddress(netip.MustParseAddrPort("10.0.0.5:5")))
		key := stun.NewLongTermIntegrity(credential[0], turn.DefaultRealm, credential[1])
		secrets = append(secrets, hex.EncodeToString(key), string(key))
	}
	closeServer(t, server)
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log.String())
		}
	}
	if log.String() == "" {
		t.Error("nothing was logged at all: the search proves nothing")
	}
}
