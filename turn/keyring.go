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

// match returns the index of the secret under which the message's MESSAGE-INTEGRITY verifies, 0 where none does: the
// check that counts is pion's, with the key that this index picks. With a single secret there is nothing to find out.
func (k *keyring) match(msg *stun.Message, username string) int {
	if _, static := k.users[username]; static || len(k.secrets) < 2 || len(username) > maxUsernameBytes {
		return 0
	}
	for i := range k.secrets {
		if stun.MessageIntegrity(k.key(i, username)).Check(msg) == nil { // Compares in constant time.
			return i
		}
	}
	return 0
}

// key returns the long-term key of a user name: a static user's own, or that of the password under one secret.
func (k *keyring) key(secret int, username string) []byte {
	if key, static := k.users[username]; static {
		return key
	}
	if secret >= len(k.secrets) { // The ring was replaced by a shorter one since match.
		secret = 0
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
