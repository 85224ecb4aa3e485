package turn

import (
	"crypto/hmac"
	"crypto/md5"  // RFC 8489 9.2.2 fixes the digest of the long-term key.
	"crypto/sha1" // The TURN REST draft fixes the digest of the password.
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxUsernameBytes is the longest USERNAME that is looked at (RFC 8489 14.3: fewer than 509 bytes).
const maxUsernameBytes = 508

// maxIssuedUserBytes leaves room for the expiry and the separator before the user id.
const maxIssuedUserBytes = maxUsernameBytes - len("9223372036854775807:")

var (
	errUsernameEmpty    = errors.New("empty user name")
	errUsernameLong     = errors.New("user name of more than 508 bytes")
	errUsernameUndated  = errors.New("user name without an expiry time")
	errUsernameOverflow = errors.New("user name with an expiry time beyond 64 bits")
)

// Username is what a TURN REST user name says (draft-uberti-behave-turn-rest-00).
type Username struct {
	// User is the id that quotas count by. It is never empty.
	User string
	// Expires is the last second in which an allocation may be made, in Unix seconds.
	Expires int64
}

// ParseUsername reads the forms in use: "ts", "ts:user" (user may hold colons) and "user:ts", where ts is all digits.
// The first field decides: if it is a time, the rest is the user; if not, the first field that is a time counts and
// the user is the whole name.
func ParseUsername(name string) (Username, error) {
	switch {
	case name == "":
		return Username{}, errUsernameEmpty
	case len(name) > maxUsernameBytes:
		return Username{}, errUsernameLong
	}
	first, rest, _ := strings.Cut(name, ":")
	if allDigits(first) {
		if rest == "" {
			rest = name
		}
		return datedUsername(rest, first)
	}
	for field := range strings.SplitSeq(rest, ":") {
		if allDigits(field) {
			return datedUsername(name, field)
		}
	}
	return Username{}, errUsernameUndated
}

func datedUsername(user, stamp string) (Username, error) {
	expires, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return Username{}, errUsernameOverflow
	}
	return Username{User: user, Expires: expires}, nil
}

// expiredAt tells whether the last valid second has passed.
func (u Username) expiredAt(now time.Time) bool { return now.Unix() > u.Expires }

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// password is base64(HMAC-SHA1(secret, user name exactly as sent)), standard alphabet with padding.
func password(secret []byte, username string) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// longTermKey is MD5(username ":" realm ":" password) (RFC 8489 9.2.2).
func longTermKey(username, realm, password string) []byte {
	sum := md5.Sum([]byte(username + ":" + realm + ":" + password))
	return sum[:]
}

// Credential is one user name with its password, as a client presents it.
type Credential struct {
	Username, Password string
	// TTL is how long from the issue a client may allocate; refreshes of what it allocated are not bound by it.
	TTL     time.Duration
	Expires time.Time
}

// Issuer vends credentials under one secret. It is pure: the caller says what time it is.
type Issuer struct {
	secret []byte
	ttl    time.Duration
}

// NewIssuer returns an issuer whose credentials allocate for ttl.
func NewIssuer(secret []byte, ttl time.Duration) Issuer { return Issuer{secret: secret, ttl: ttl} }

// Issue makes a credential of the form "ts:user", or "ts" for no user. A user id of more than 488 bytes is cut, at a
// character, so that the name stays within RFC 8489 14.3. Ids should be given without ":"; other servers misread them.
func (i Issuer) Issue(user string, now time.Time) Credential {
	expires := now.Add(i.ttl)
	name := strconv.FormatInt(expires.Unix(), 10)
	if user != "" {
		name += ":" + cutAtRune(user, maxIssuedUserBytes)
	}
	return Credential{Username: name, Password: password(i.secret, name), TTL: i.ttl, Expires: expires}
}

// cutAtRune returns at most limit bytes of s without splitting a character.
func cutAtRune(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
