package signaling

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
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
	// MaxJoinTTL is how long a join token may live that is no invite: a stolen one is of use until then.
	MaxJoinTTL = 10 * time.Minute
	// tokenLeeway is how far the clocks of the issuer and this server may differ.
	tokenLeeway = 30 * time.Second
)

// tokenID tells tokens apart, for counting the seats of each: the head of the SHA-256 of the signed text.
type tokenID uint64

func newTokenID(token string) tokenID {
	sum := sha256.Sum256([]byte(token))
	return tokenID(binary.BigEndian.Uint64(sum[:]) | 1) // Never 0, which is none.
}

// grant is what a join token says: a JSON Web Token with the room that it opens.
type grant struct {
	Room string `json:"room"`
	// Can is nil where the token does not say.
	Can *Capabilities `json:"can,omitempty"`
	// Invite lets the token live for longer than MaxJoinTTL, Once lets it serve a single join.
	Invite bool `json:"invite,omitempty"`
	Once   bool `json:"once,omitempty"`
	jwt.RegisteredClaims
}

// TokenRequest is what a token is to say.
type TokenRequest struct {
	// Room is the name of a room, or "*" for every room.
	Room string
	// Can is what the token allows; CanJoin at least.
	Can Capabilities
	// TTL is how long the token opens the room. Beyond MaxJoinTTL it becomes an invite, which the server has to accept.
	TTL time.Duration
	// Once lets it serve a single join.
	Once bool
	// Issuer is the "iss"; empty for none.
	Issuer string
}

func (r TokenRequest) check() error {
	switch {
	case r.Room != anyRoom && !validRoom(r.Room):
		return fmt.Errorf("issue token: %w", errBadRoom(r.Room))
	case r.TTL <= 0:
		return fmt.Errorf("issue token: lifetime of %v, want more than 0", r.TTL)
	case !r.Can.has(CanJoin):
		return fmt.Errorf("issue token: it would open nothing without %q", CanJoin)
	}
	return nil
}

// IssueToken returns a join token, signed with HS256 by a secret of at least 32 bytes.
func IssueToken(key []byte, r TokenRequest, now time.Time) (string, error) {
	if len(key) < minTokenKey {
		return "", errShortKey(key)
	}
	if err := r.check(); err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, grant{
		Room: r.Room, Can: &r.Can, Invite: r.TTL > MaxJoinTTL, Once: r.Once,
		RegisteredClaims: jwt.RegisteredClaims{
			ID:        rand.Text(),
			Issuer:    r.Issuer,
			Audience:  jwt.ClaimStrings{tokenAudience},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(r.TTL)),
		},
	})
	signed, err := token.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// VerifierConfig says which tokens are good.
type VerifierConfig struct {
	// Secrets are HS256 secrets of at least 32 bytes. With several, one can be changed while tokens of the old one are
	// about.
	Secrets [][]byte
	// KeyFile is a JWK Set file (RFC 7517) with further keys: "oct" for HS256 and "OKP" with Ed25519 for EdDSA. It is
	// read again when it has changed. Empty for none.
	KeyFile string
	// Issuer, where set, is the "iss" that tokens must name.
	Issuer string
	// MaxInvite is how long an invite may live. Default 24 h; below 0 there are no invites.
	MaxInvite time.Duration
}

// Verifier judges join tokens. It is safe for concurrent use.
type Verifier struct {
	config VerifierConfig
	keys   *keyring
	once   spent
}

// NewVerifier returns a verifier; it fails where the keys are missing, too short or unreadable.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	if len(c.Secrets) == 0 && c.KeyFile == "" {
		return nil, errors.New("verify tokens: no key given")
	}
	setDefault(&c.MaxInvite, 24*time.Hour)
	keys, err := newKeyring(c.Secrets, c.KeyFile)
	if err != nil {
		return nil, err
	}
	return &Verifier{config: c, keys: keys}, nil
}

// Reload reads the key file again. After an error the keys stay as they were.
func (v *Verifier) Reload() error { return v.keys.reload() }

func errShortKey(key []byte) error {
	return fmt.Errorf("token secret of %d bytes, want at least %d", len(key), minTokenKey)
}

// Verify returns nil when the token opens the room at now, else an [*Error]. Its text holds nothing of the token. A
// token that serves once is not used up by it.
func (v *Verifier) Verify(token, room string, now time.Time) error {
	if _, refusal := v.judge(token, room, now); refusal != nil {
		return refusal
	}
	return nil
}

// pass is what a good token is worth.
type pass struct {
	token tokenID
	can   Capabilities
	// once is the "jti" of a token that serves a single join, until it expires.
	once    string
	expires time.Time
}

func (v *Verifier) judge(token, room string, now time.Time) (pass, *Error) {
	var g grant
	_, err := jwt.ParseWithClaims(token, &g, v.keys.forToken, v.options(now)...)
	if err != nil {
		return pass{}, errTokenInvalid(err)
	}
	p := pass{token: newTokenID(token), can: CanJoin, expires: g.ExpiresAt.Time}
	if g.Can != nil {
		p.can = *g.Can
	}
	if g.Once {
		p.once = g.ID
	}
	return p, v.judgeGrant(g, p, room, now)
}

func (v *Verifier) options(now time.Time) []jwt.ParserOption {
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg(), jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithAudience(tokenAudience),
		jwt.WithLeeway(tokenLeeway),
		jwt.WithTimeFunc(func() time.Time { return now }),
	}
	if v.config.Issuer != "" {
		options = append(options, jwt.WithIssuer(v.config.Issuer))
	}
	return options
}

func errTokenInvalid(err error) *Error {
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return errBadToken("the token has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return errBadToken("the token is not valid yet")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return errBadToken(`the token is for another audience than "` + tokenAudience + `"`)
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return errBadToken("the token is by another issuer than this server trusts")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return errBadToken(`the token lacks "exp", "aud" or "iss"`)
	}
	return errBadToken("the token is not one of this server")
}

func (v *Verifier) judgeGrant(g grant, p pass, room string, now time.Time) *Error {
	longest := MaxJoinTTL
	if g.Invite {
		longest = max(v.config.MaxInvite, 0)
	}
	switch {
	case g.Room != anyRoom && g.Room != room:
		return errBadToken("the token is for another room")
	case !p.can.has(CanJoin):
		return errBadToken(`the token does not allow to "join"`)
	case p.expires.Sub(now) > longest+tokenLeeway:
		return errBadToken(fmt.Sprintf("the token lives for longer than %v", longest))
	case g.Once && g.ID == "":
		return errBadToken(`the token serves once, and lacks the "jti" to tell it by`)
	}
	return nil
}
