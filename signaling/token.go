package signaling

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// tokenAudience is the "aud" that a join token names (RFC 7519 section 4.1.3).
	tokenAudience = "tourbillon"
	// anyRoom as a room grant opens every room.
	anyRoom = "*"
	// minTokenKey is the least length of a secret in bytes: that of the hash (RFC 7518 section 3.2).
	minTokenKey = 32
)

// grant is what a join token says: a JSON Web Token with the room that it opens.
type grant struct {
	Room string `json:"room"`
	jwt.RegisteredClaims
}

// IssueToken returns a join token for a room, or for every room with "*", that expires ttl after now. The key is a
// secret of at least 32 bytes.
func IssueToken(key []byte, room string, ttl time.Duration, now time.Time) (string, error) {
	switch {
	case len(key) < minTokenKey:
		return "", errShortKey(key)
	case room != anyRoom && !validRoom(room):
		return "", fmt.Errorf("issue token: %w", errBadRoom(room))
	case ttl <= 0:
		return "", fmt.Errorf("issue token: lifetime of %v, want more than 0", ttl)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, grant{
		Room: room,
		RegisteredClaims: jwt.RegisteredClaims{
			Audience:  jwt.ClaimStrings{tokenAudience},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
		},
	})
	signed, err := token.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// Verifier judges join tokens. It is safe for concurrent use.
type Verifier struct{ keys jwt.VerificationKeySet }

// NewVerifier returns a verifier for tokens signed with any of the keys, so that a secret can be changed while tokens
// of the old one are about. Each is at least 32 bytes long.
func NewVerifier(keys ...[]byte) (*Verifier, error) {
	if len(keys) == 0 {
		return nil, errors.New("verify tokens: no key given")
	}
	v := &Verifier{}
	for _, key := range keys {
		if len(key) < minTokenKey {
			return nil, errShortKey(key)
		}
		v.keys.Keys = append(v.keys.Keys, key)
	}
	return v, nil
}

func errShortKey(key []byte) error {
	return fmt.Errorf("token secret of %d bytes, want at least %d", len(key), minTokenKey)
}

// Verify returns nil when the token opens the room at now, else an [*Error]. Its text holds nothing of the token.
func (v *Verifier) Verify(token, room string, now time.Time) error {
	if refusal := v.judge(token, room, now); refusal != nil {
		return refusal
	}
	return nil
}

func (v *Verifier) judge(token, room string, now time.Time) *Error {
	var g grant
	_, err := jwt.ParseWithClaims(token, &g,
		func(*jwt.Token) (any, error) { return v.keys, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithAudience(tokenAudience),
		jwt.WithTimeFunc(func() time.Time { return now }),
	)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return errBadToken("the token has expired")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return errBadToken(`the token is for another audience than "` + tokenAudience + `"`)
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return errBadToken(`the token lacks "exp" or "aud"`)
	case err != nil:
		return errBadToken("the token is not one of this server")
	case g.Room != anyRoom && g.Room != room:
		return errBadToken("the token is for another room")
	}
	return nil
}
