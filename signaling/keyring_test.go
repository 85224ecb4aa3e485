package signaling

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keyPair is an Ed25519 key that follows from one letter.
func keyPair(letter string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(letter, ed25519.SeedSize)))
}

func okp(kid string, key ed25519.PrivateKey) string {
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q}`, kid,
		base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
}

func oct(kid string, key []byte) string {
	return fmt.Sprintf(`{"kty":"oct","kid":%q,"alg":"HS256","k":%q}`, kid, base64.RawURLEncoding.EncodeToString(key))
}

func keySet(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func writeKeys(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	fresh := file + ".new" // Replaced in one step, as an operator should.
	if err := os.WriteFile(fresh, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(fresh, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, file); err != nil {
		t.Fatal(err)
	}
}

// keyed signs a token for the room "demo" with a "kid".
func keyed(t *testing.T, method jwt.SigningMethod, key any, kid string, change func(*grant)) string {
	t.Helper()
	g := grant{Room: "demo", RegisteredClaims: jwt.RegisteredClaims{
		Audience: jwt.ClaimStrings{tokenAudience}, ExpiresAt: jwt.NewNumericDate(noon.Add(time.Minute)),
	}}
	if change != nil {
		change(&g)
	}
	token := jwt.NewWithClaims(method, g)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestKeysAreRotatedByFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	first, second := keyPair("a"), keyPair("b")
	writeKeys(t, file, keySet(okp("1", first), `{"kty":"RSA","n":"x","e":"AQAB"}`), 0o644)
	v, err := NewVerifier(VerifierConfig{Secrets: [][]byte{tokenKey}, KeyFile: file})
	if err != nil {
		t.Fatal(err)
	}
	good := func(token string) bool { return v.Verify(token, "demo", noon) == nil }
	one := keyed(t, jwt.SigningMethodEdDSA, first, "1", nil)
	two := keyed(t, jwt.SigningMethodEdDSA, second, "2", nil)
	own := keyed(t, jwt.SigningMethodHS256, tokenKey, "", nil)
	unnamed := keyed(t, jwt.SigningMethodEdDSA, first, "", nil)
	misnamed := keyed(t, jwt.SigningMethodEdDSA, first, "2", nil)
	if !good(one) || good(two) || !good(own) || !good(unnamed) || good(misnamed) {
		t.Errorf("at first: %v %v %v %v %v", good(one), good(two), good(own), good(unnamed), good(misnamed))
	}
	writeKeys(t, file, keySet(okp("1", first), okp("2", second)), 0o644)
	if !good(one) || !good(two) {
		t.Error("the file was not read again after it had changed")
	}
	writeKeys(t, file, keySet(okp("2", second)), 0o644)
	if good(one) || !good(two) || !good(own) {
		t.Error("a key that was taken out is still good")
	}
	writeKeys(t, file, `{"keys":`, 0o644)
	if err := v.Reload(); err == nil || !good(two) {
		t.Errorf("a broken file: %v, the keys before it: %v", err, good(two))
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := v.Reload(); err == nil || !good(two) {
		t.Errorf("no file: %v, the keys before it: %v", err, good(two))
	}
}

func TestAlgorithmsAreNotConfused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	key := keyPair("a")
	writeKeys(t, file, keySet(okp("1", key)), 0o644)
	v, err := NewVerifier(VerifierConfig{KeyFile: file})
	if err != nil {
		t.Fatal(err)
	}
	public := []byte(key.Public().(ed25519.PublicKey))
	for name, token := range map[string]string{
		"the public key as a secret": keyed(t, jwt.SigningMethodHS256, public, "1", nil),
		"the JWK's text as a secret": keyed(t, jwt.SigningMethodHS256, []byte(okp("1", key)), "1", nil),
		"no algorithm":               keyed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "1", nil),
		"another key":                keyed(t, jwt.SigningMethodEdDSA, keyPair("b"), "1", nil),
	} {
		if v.Verify(token, "demo", noon) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	secret := []byte(long(32))
	for name, test := range map[string]struct {
		text, want string
		mode       os.FileMode
	}{
		"no JSON":       {`keys`, "no JWK Set", 0o600},
		"no keys":       {`{"keys":[]}`, "no key of use", 0o600},
		"other kinds":   {keySet(`{"kty":"RSA"}`, `{"kty":"OKP","crv":"X25519"}`, `{"kty":"oct","alg":"HS512"}`), "no key of use", 0o600},
		"short secret":  {keySet(oct("1", secret[:31])), "at least 32 bytes", 0o600},
		"short public":  {keySet(`{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`), "no base64url of 32 bytes", 0o600},
		"open secrets":  {keySet(oct("1", secret)), "chmod 600", 0o644},
		"group secrets": {keySet(okp("2", keyPair("a")), oct("1", secret)), "chmod 600", 0o640},
	} {
		file := filepath.Join(t.TempDir(), "keys.json")
		writeKeys(t, file, test.text, test.mode)
		_, err := NewVerifier(VerifierConfig{KeyFile: file})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), string(secret)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	writeKeys(t, file, keySet(oct("1", secret)), 0o600)
	v, err := NewVerifier(VerifierConfig{KeyFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Verify(keyed(t, jwt.SigningMethodHS256, secret, "1", nil), "demo", noon); err != nil {
		t.Error(err)
	}
}

func TestLifetimesAndIssuers(t *testing.T) {
	verifier := func(c VerifierConfig) *Verifier {
		c.Secrets = [][]byte{tokenKey}
		v, err := NewVerifier(c)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	token := func(change func(*grant)) string { return keyed(t, jwt.SigningMethodHS256, tokenKey, "", change) }
	lives := func(d time.Duration, invite bool) string {
		return token(func(g *grant) { g.ExpiresAt, g.Invite = jwt.NewNumericDate(noon.Add(d)), invite })
	}
	plain, noInvites := verifier(VerifierConfig{}), verifier(VerifierConfig{MaxInvite: -1})
	issuer := verifier(VerifierConfig{Issuer: "app"})
	nothing := Capabilities(0)
	for name, test := range map[string]struct {
		v     *Verifier
		token string
		ok    bool
	}{
		"ten minutes":       {plain, lives(MaxJoinTTL, false), true},
		"an hour":           {plain, lives(time.Hour, false), false},
		"invite of a day":   {plain, lives(24*time.Hour, true), true},
		"invite of a week":  {plain, lives(7*24*time.Hour, true), false},
		"invite where none": {noInvites, lives(time.Minute, true), false},
		"within the leeway": {plain, lives(-20*time.Second, false), true},
		"beyond the leeway": {plain, lives(-40*time.Second, false), false},
		"early in leeway":   {plain, token(func(g *grant) { g.NotBefore = jwt.NewNumericDate(noon.Add(20 * time.Second)) }), true},
		"too early":         {plain, token(func(g *grant) { g.NotBefore = jwt.NewNumericDate(noon.Add(40 * time.Second)) }), false},
		"once, no jti":      {plain, token(func(g *grant) { g.Once = true }), false},
		"can nothing":       {plain, token(func(g *grant) { g.Can = &nothing }), false},
		"no issuer":         {issuer, token(nil), false},
		"another issuer":    {issuer, token(func(g *grant) { g.Issuer = "x" }), false},
		"the issuer":        {issuer, token(func(g *grant) { g.Issuer = "app" }), true},
	} {
		if err := test.v.Verify(test.token, "demo", noon); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, refusal := plain.judge(token(nil), "demo", noon)
	if refusal != nil || p.can != CanJoin {
		t.Errorf("a token that says nothing of it allows %v (%v), want join alone", p.can, refusal)
	}
}

func FuzzKeySet(f *testing.F) {
	f.Add([]byte(keySet(okp("1", keyPair("a")), oct("2", tokenKey))))
	f.Add([]byte(`{"keys":[null,{"kty":"oct","k":"="}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeySet(text, 0o600, 0o077)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and %v", len(keys), err)
		}
	})
}

// TestSecretsAmongSystemdsCredentials has the mode that systemd gives a credential of a service with DynamicUser=.
func TestSecretsAmongSystemdsCredentials(t *testing.T) {
	credentials, elsewhere := t.TempDir(), t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials+"/")
	for _, test := range []struct {
		dir  string
		mode os.FileMode
		good bool
	}{{credentials, 0o440, true}, {credentials, 0o444, false}, {elsewhere, 0o440, false}, {elsewhere, 0o400, true}} {
		file := filepath.Join(test.dir, "keys.json")
		writeKeys(t, file, keySet(oct("1", []byte(long(32)))), test.mode)
		if _, err := NewVerifier(VerifierConfig{KeyFile: file}); (err == nil) != test.good {
			t.Errorf("mode %04o, a credential %v: %v", test.mode, test.dir == credentials, err)
		}
	}
}
