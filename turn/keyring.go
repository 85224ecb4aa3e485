package turn

import (
	"slices"
	"time"

	"github.com/pion/stun/v4"
)

// authFailure is why a request was not authenticated; the value is the label in [Stats].
type authFailure string

const (
	authOK        authFailure = ""
	authMalformed authFailure = "malformed-username"
	authExpired   authFailure = "expired"
	authRealm     authFailure = "realm"
	authIntegrity authFailure = "integrity"
)

// keyring verifies credentials against every secret in force and the static users. It is immutable: rotation replaces
// the whole ring.
type keyring struct {
	realm   string
	secrets [][]byte
	users   map[string][]byte // long-term keys by user name
}

func newKeyring(realm string, secrets [][]byte, users map[string]string) *keyring {
	ring := &keyring{realm: realm, users: make(map[string][]byte, len(users))}
	for _, secret := range secrets {
		ring.secrets = append(ring.secrets, slices.Clone(secret))
	}
	for name, password := range users {
		ring.users[name] = longTermKey(name, realm, password)
	}
	return ring
}

// verify returns the long-term key under which the message's MESSAGE-INTEGRITY verifies, nil where none does.
func (k *keyring) verify(msg *stun.Message, username string) stun.MessageIntegrity {
	tries := len(k.secrets)
	if _, static := k.users[username]; static {
		tries = 1
	}
	for i := range tries {
		if key := stun.MessageIntegrity(k.key(i, username)); key.Check(msg) == nil { // Compares in constant time.
			return key
		}
	}
	return nil
}

// key returns the long-term key of a user name: a static user's own, or that of the password under one secret.
func (k *keyring) key(secret int, username string) []byte {
	if key, static := k.users[username]; static {
		return key
	}
	return longTermKey(username, k.realm, password(k.secrets[secret], username))
}

// judge decides on a request before its integrity is checked. Expiry binds Allocate only: a call outlives the
// credential that began it, and a refresh must not end it (RFC 8656 7.3; eturnal and LiveKit do the same).
func (k *keyring) judge(username, realm string, method stun.Method, now time.Time) (Username, authFailure) {
	if realm != k.realm {
		return Username{}, authRealm
	}
	if _, static := k.users[username]; static {
		return Username{User: username}, authOK
	}
	name, err := ParseUsername(username)
	if err != nil {
		return Username{}, authMalformed
	}
	if method == stun.MethodAllocate && name.expiredAt(now) {
		return Username{}, authExpired
	}
	return name, authOK
}

// keyCacheSize bounds what a keyCache keeps.
const keyCacheSize = 256

// keyCache keeps the keys of the users that have shown that they know theirs, since each of a client's requests is
// verified with the same. The zero value is empty. One goroutine owns it.
type keyCache struct {
	ring *keyring
	keys map[string]stun.MessageIntegrity
}

// verify is keyring.verify.
func (c *keyCache) verify(ring *keyring, username string, msg *stun.Message) stun.MessageIntegrity {
	if c.ring != ring || len(c.keys) >= keyCacheSize {
		c.ring, c.keys = ring, nil
	}
	if key, known := c.keys[username]; known && key.Check(msg) == nil {
		return key
	}
	key := ring.verify(msg, username)
	if key != nil {
		if c.keys == nil {
			c.keys = make(map[string]stun.MessageIntegrity)
		}
		c.keys[username] = key
	}
	return key
}
