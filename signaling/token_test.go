package signaling

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var (
	tokenKey = []byte("0123456789abcdef0123456789abcdef")
	noon     = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
)

func signed(t *testing.T, method jwt.SigningMethod, key any, claims jwt.Claims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokens(t *testing.T) {
	verifier, err := NewVerifier(VerifierConfig{Secrets: [][]byte{[]byte(long(32)), tokenKey}})
	if err != nil {
		t.Fatal(err)
	}
	good, err := IssueToken(tokenKey, TokenRequest{Room: "demo", Can: CanAll, TTL: time.Minute}, noon)
	if err != nil {
		t.Fatal(err)
	}
	every, err := IssueToken(tokenKey, TokenRequest{Room: "*", Can: CanAll, TTL: time.Minute}, noon)
	if err != nil {
		t.Fatal(err)
	}
	claims := func(change func(*grant)) grant {
		g := grant{Room: "demo", RegisteredClaims: jwt.RegisteredClaims{
			Audience: jwt.ClaimStrings{tokenAudience}, ExpiresAt: jwt.NewNumericDate(noon.Add(time.Minute)),
		}}
		change(&g)
		return g
	}
	same := func(*grant) {}
	hs := jwt.SigningMethodHS256
	parts := strings.Split(good, ".")
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"room":"*","aud":"tourbillon","exp":99999999999}`))

	for name, test := range map[string]struct {
		token, room string
		at          time.Time
		ok          bool
	}{
		"good":            {good, "demo", noon, true},
		"every room":      {every, "other", noon, true},
		"old key":         {signed(t, hs, []byte(long(32)), claims(same)), "demo", noon, true},
		"other room":      {good, "other", noon, false},
		"expired":         {good, "demo", noon.Add(2 * time.Minute), false},
		"wrong key":       {signed(t, hs, []byte(long(33)), claims(same)), "demo", noon, false},
		"no algorithm":    {signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(same)), "demo", noon, false},
		"other algorithm": {signed(t, jwt.SigningMethodHS512, tokenKey, claims(same)), "demo", noon, false},
		"no expiry":       {signed(t, hs, tokenKey, claims(func(g *grant) { g.ExpiresAt = nil })), "demo", noon, false},
		"no audience":     {signed(t, hs, tokenKey, claims(func(g *grant) { g.Audience = nil })), "demo", noon, false},
		"wrong audience":  {signed(t, hs, tokenKey, claims(func(g *grant) { g.Audience[0] = "x" })), "demo", noon, false},
		"not yet valid":   {signed(t, hs, tokenKey, claims(func(g *grant) { g.NotBefore = g.ExpiresAt })), "demo", noon, false},
		"no room":         {signed(t, hs, tokenKey, claims(func(g *grant) { g.Room = "" })), "demo", noon, false},
		"forged claims":   {parts[0] + "." + forged + "." + parts[2], "demo", noon, false},
		"rubbish":         {"rubbish", "demo", noon, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := verifier.Verify(test.token, test.room, test.at)
			if test.ok != (err == nil) {
				t.Fatalf("got %v, want ok %v", err, test.ok)
			}
			var refusal *Error
			if err == nil {
				return
			}
			if !errors.As(err, &refusal) || refusal.Code != CodeBadToken || !refusal.Fatal {
				t.Errorf("got %#v, want a fatal bad-token", err)
			}
			if strings.Contains(err.Error(), test.token) {
				t.Error("the error repeats the token")
			}
		})
	}
}

func TestTokenKeysAndGrants(t *testing.T) {
	if _, err := NewVerifier(VerifierConfig{}); err == nil {
		t.Error("a verifier without keys was made")
	}
	if _, err := NewVerifier(VerifierConfig{Secrets: [][]byte{tokenKey[:31]}}); err == nil {
		t.Error("a key of 31 bytes was accepted")
	}
	if _, err := IssueToken(tokenKey[:31], TokenRequest{Room: "demo", Can: CanAll, TTL: time.Minute}, noon); err == nil {
		t.Error("a token was signed with 31 bytes")
	}
	if _, err := IssueToken(tokenKey, TokenRequest{Room: "no room", Can: CanAll, TTL: time.Minute}, noon); err == nil {
		t.Error("a token was issued for a name that is no room")
	}
	if _, err := IssueToken(tokenKey, TokenRequest{Room: "demo", Can: CanAll, TTL: 0}, noon); err == nil {
		t.Error("a token without a lifetime was issued")
	}
}
