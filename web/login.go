package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"sync"
	"time"
)

const (
	// linkLifetime is how long a printed admin link can be opened, once.
	linkLifetime = 10 * time.Minute
	// sessionLifetime is how long a browser stays logged in.
	sessionLifetime = 12 * time.Hour
	cookieName      = "tourbillon_admin"
	nonceBytes      = 12
)

// AdminLink makes a login link for the admin page at base ("http://127.0.0.1:8081"). Whoever has the key can make
// one, so another process on this machine that reads the state folder can too. It opens the page once.
func AdminLink(key []byte, base string, now time.Time) string {
	return base + "/login?token=" + seal(key, "link", now.Add(linkLifetime))
}

// seal makes a token: expiry and nonce, authenticated together with its purpose.
func seal(key []byte, purpose string, expires time.Time) string {
	text := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	nonce := make([]byte, nonceBytes)
	_, _ = rand.Read(nonce) // Never fails (crypto/rand).
	text = append(text, nonce...)
	return base64.RawURLEncoding.EncodeToString(append(text, mac(key, purpose, text)...))
}

// unseal returns a token's text when it is genuine, for this purpose and not expired at now.
func unseal(key []byte, purpose, token string, now time.Time) (text []byte, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 8+nonceBytes+sha256.Size {
		return nil, false
	}
	text, sum := raw[:8+nonceBytes], raw[8+nonceBytes:]
	expires := time.Unix(int64(binary.BigEndian.Uint64(text)), 0)
	return text, hmac.Equal(sum, mac(key, purpose, text)) && now.Before(expires)
}

func mac(key []byte, purpose string, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write(text)
	return h.Sum(nil)
}

// door lets browsers in: a link once, then its cookie.
type door struct {
	key []byte
	now func() time.Time

	mu sync.Mutex
	// used holds the links that were opened, until they would have expired.
	used map[string]time.Time
}

// open spends a link's token.
func (d *door) open(token string) bool {
	now := d.now()
	text, ok := unseal(d.key, "link", token, now)
	if !ok {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for nonce, expires := range d.used {
		if now.After(expires) {
			delete(d.used, nonce)
		}
	}
	if _, spent := d.used[string(text)]; spent {
		return false
	}
	d.used[string(text)] = now.Add(linkLifetime)
	return true
}

func (d *door) cookie(secure bool) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: seal(d.key, "session", d.now().Add(sessionLifetime)),
		Path: "/", MaxAge: int(sessionLifetime / time.Second),
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
	}
}

func (d *door) admits(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	_, ok := unseal(d.key, "session", c.Value, d.now())
	return ok
}
