package signaling

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/golang-jwt/jwt/v5"
)

// verifyKey is one key that tokens may be signed with, for one algorithm only: the token's header chooses among keys,
// never how a key is used.
type verifyKey struct {
	id, algorithm string
	key           jwt.VerificationKey
}

// keyring holds the keys of a Verifier. Its methods are safe for concurrent use.
type keyring struct {
	fixed []verifyKey
	file  string
	keys  atomic.Pointer[[]verifyKey]

	// reading is held by whoever looks whether the file has changed since seen.
	reading sync.Mutex
	seen    fs.FileInfo
}

func newKeyring(secrets [][]byte, file string) (*keyring, error) {
	k := &keyring{file: file}
	for _, secret := range secrets {
		if len(secret) < minTokenKey {
			return nil, errShortKey(secret)
		}
		k.fixed = append(k.fixed, verifyKey{algorithm: jwt.SigningMethodHS256.Alg(), key: secret})
	}
	k.keys.Store(&k.fixed)
	return k, k.reload()
}

// forToken lists the keys that a token may be signed with (jwt.Keyfunc): those of its algorithm, and of its "kid" where
// it has one.
func (k *keyring) forToken(token *jwt.Token) (any, error) {
	k.refresh()
	id, named := token.Header["kid"].(string)
	var set jwt.VerificationKeySet
	for _, key := range *k.keys.Load() {
		if key.algorithm == token.Method.Alg() && (!named || key.id == "" || key.id == id) {
			set.Keys = append(set.Keys, key.key)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("no key for the token")
	}
	return set, nil
}

// refresh reads the file again if it has changed. A file that is broken changes nothing; Reload says why.
func (k *keyring) refresh() {
	if k.file == "" || !k.reading.TryLock() {
		return
	}
	defer k.reading.Unlock()
	if info, err := os.Stat(k.file); err == nil && !sameFile(info, k.seen) {
		_ = k.readLocked()
	}
}

func (k *keyring) reload() error {
	if k.file == "" {
		return nil
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	return k.readLocked()
}

// sameFile reports whether a file is as it was: not replaced and not written.
func sameFile(a, b fs.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func (k *keyring) readLocked() error {
	info, err := os.Stat(k.file)
	if err != nil {
		return fmt.Errorf("read token keys: %w", err)
	}
	k.seen = info
	text, err := os.ReadFile(k.file)
	if err != nil {
		return fmt.Errorf("read token keys: %w", err)
	}
	keys, err := parseKeySet(text, info.Mode().Perm(), SharedBits(k.file))
	if err != nil {
		return fmt.Errorf("read token keys of %s: %w", k.file, err)
	}
	keys = append(keys, k.fixed...)
	k.keys.Store(&keys)
	return nil
}

// jwk is one JSON Web Key, as far as it is read here (RFC 7517 section 4, RFC 7518 section 6.4, RFC 8037 section 2).
type jwk struct {
	Kty string `json:"kty"`
	Kid string `json:"kid"`
	Alg string `json:"alg"`
	Crv string `json:"crv"`
	K   string `json:"k"`
	X   string `json:"x"`
}

// SharedBits are the permission bits by which others could read the file of a secret: all but the owner's. systemd opens
// the files in $CREDENTIALS_DIRECTORY to a service's user by an access list, whose mask shows as the group's bits
// (systemd.exec(5), acl(5)), so that there they tell nothing.
func SharedBits(file string) fs.FileMode {
	const others, othersAndGroup = 0o007, 0o077
	credentials := os.Getenv("CREDENTIALS_DIRECTORY")
	if credentials != "" && filepath.Dir(file) == filepath.Clean(credentials) {
		return others
	}
	return othersAndGroup
}

// parseKeySet reads a JWK Set. Keys of other kinds are passed over, as RFC 7517 section 5 has it; the file of a set that
// holds secrets must have none of the shared bits.
func parseKeySet(text []byte, mode, shared fs.FileMode) ([]verifyKey, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New(`no JWK Set: write {"keys":[…]}`)
	}
	var keys []verifyKey
	for i, j := range set.Keys {
		key, err := j.parse()
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if key.algorithm == jwt.SigningMethodHS256.Alg() && mode&shared != 0 {
			return nil, fmt.Errorf("key %d is a secret and others can read the file (mode %04o): run chmod 600 on it", i+1, mode)
		}
		if key.key != nil {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New(`no key of use: give one with "kty":"OKP", "crv":"Ed25519", or "kty":"oct"`)
	}
	return keys, nil
}

// parse returns the key; the zero value for one of another kind.
func (j jwk) parse() (verifyKey, error) {
	hs256, eddsa := jwt.SigningMethodHS256.Alg(), jwt.SigningMethodEdDSA.Alg()
	switch {
	case j.Kty == "oct" && (j.Alg == "" || j.Alg == hs256):
		secret, err := base64.RawURLEncoding.DecodeString(j.K)
		if err != nil || len(secret) < minTokenKey {
			return verifyKey{}, fmt.Errorf(`"k" is no base64url of at least %d bytes`, minTokenKey)
		}
		return verifyKey{j.Kid, hs256, secret}, nil
	case j.Kty == "OKP" && j.Crv == "Ed25519" && (j.Alg == "" || j.Alg == eddsa || j.Alg == "Ed25519"):
		public, err := base64.RawURLEncoding.DecodeString(j.X)
		if err != nil || len(public) != ed25519.PublicKeySize {
			return verifyKey{}, fmt.Errorf(`"x" is no base64url of %d bytes`, ed25519.PublicKeySize)
		}
		return verifyKey{j.Kid, eddsa, ed25519.PublicKey(public)}, nil
	}
	return verifyKey{}, nil
}
