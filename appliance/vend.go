package appliance

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"tourbillon/appliance/config"
	"tourbillon/timing"
)

const (
	// vendPath is where programs that know the TURN REST draft ask (draft-uberti-behave-turn-rest-00 3).
	vendPath = "/turn/credentials"
	// maxVendForm bounds a POST body; every parameter is short.
	maxVendForm = 4 << 10
	// maxVendUser bounds the user id that a caller may choose.
	maxVendUser = 256
)

// vender answers programs that fetch TURN credentials over HTTP with an API key.
type vender struct {
	keys    [][sha256.Size]byte
	origins []string
	clock   timing.Clock
	issue   func(user, host string) vended
	calls   *limiter // all requests of a source
	misses  *limiter // its wrong keys
}

// vended is the answer: what the REST draft and Janus read, and beside it the form of a browser's configuration.
type vended struct {
	Username   string         `json:"username"`
	Password   string         `json:"password"`
	TTL        int            `json:"ttl"`
	URIs       []string       `json:"uris"`
	ICEServers []vendedServer `json:"iceServers"`
	// ICETransportPolicy is "all": a relay is offered, not required.
	ICETransportPolicy string `json:"iceTransportPolicy"`
}

type vendedServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username"`
	Credential string   `json:"credential"`
}

func newVender(keys []config.Secret, origins []string, clock timing.Clock, issue func(user, host string) vended) *vender {
	v := &vender{
		origins: origins, clock: clock, issue: issue,
		// Ten wrong keys in half an hour, as reference for guessing elsewhere; a busy gateway asks once for each call.
		calls: newLimiter(20, time.Second), misses: newLimiter(10, 30*time.Minute),
	}
	for _, key := range keys {
		v.keys = append(v.keys, sha256.Sum256([]byte(key)))
	}
	return v
}

// serve answers GET and POST. Parameters are read from the query and the form, since some callers send both.
func (v *vender) serve(c echo.Context) error {
	header := c.Response().Header()
	header.Set(echo.HeaderCacheControl, "no-store")
	header.Add(echo.HeaderVary, echo.HeaderOrigin)
	if origin := c.Request().Header.Get(echo.HeaderOrigin); slices.Contains(v.origins, origin) {
		header.Set(echo.HeaderAccessControlAllowOrigin, origin)
	}
	if len(v.keys) == 0 {
		return c.String(http.StatusNotFound, "no TURN credentials are vended here\n")
	}
	source := sourceOf(c)
	if wait := v.calls.take(source, v.clock.Now()); wait > 0 {
		return tooMany(c, wait)
	}
	c.Request().Body = http.MaxBytesReader(c.Response(), c.Request().Body, maxVendForm)
	if err := c.Request().ParseForm(); err != nil {
		return c.String(http.StatusBadRequest, "the parameters cannot be read\n")
	}
	form := c.Request().Form
	keys := slices.Concat(form["key"], form["api"])
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == "" })
	user := form.Get("username")
	switch {
	case form.Get("service") != "turn":
		return c.String(http.StatusBadRequest, "service must be turn\n")
	case len(keys) == 0:
		return c.String(http.StatusBadRequest, "key is missing\n")
	case len(user) > maxVendUser:
		return c.String(http.StatusBadRequest, fmt.Sprintf("username has more than %d bytes\n", maxVendUser))
	}
	if wait := v.misses.ask(source, v.clock.Now()); wait > 0 {
		return tooMany(c, wait)
	}
	if !slices.ContainsFunc(keys, v.knows) {
		v.misses.take(source, v.clock.Now())
		return c.String(http.StatusForbidden, "key is wrong\n")
	}
	if user == "" {
		user = randomUser()
	}
	return c.JSON(http.StatusOK, v.issue(user, c.Request().Host))
}

// knows compares in constant time, with every key, whatever the lengths.
func (v *vender) knows(key string) bool {
	sum, found := sha256.Sum256([]byte(key)), 0
	for i := range v.keys {
		found |= subtle.ConstantTimeCompare(sum[:], v.keys[i][:])
	}
	return found == 1
}

func tooMany(c echo.Context, wait time.Duration) error {
	seconds := int((wait + time.Second - 1) / time.Second)
	c.Response().Header().Set(echo.HeaderRetryAfter, fmt.Sprint(seconds))
	return c.String(http.StatusTooManyRequests, "too many requests\n")
}

func randomUser() string {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // Never fails (crypto/rand).
	return hex.EncodeToString(id)
}

// sourceOf is the source of a request. Headers tell it only behind a trusted proxy.
func sourceOf(c echo.Context) netip.Prefix {
	at, _ := netip.ParseAddrPort(c.Request().RemoteAddr) // net/http's own text.
	addr := at.Addr()
	if c.Echo().IPExtractor != nil {
		if told, err := netip.ParseAddr(c.RealIP()); err == nil {
			addr = told
		}
	}
	return sourceGroup(addr)
}

// sourceGroup is what is counted as one source: an IPv4 address, or the /64 that an IPv6 host owns whole.
func sourceGroup(addr netip.Addr) netip.Prefix {
	if !addr.IsValid() {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

// vend issues for one caller; host is the Host that it asked.
func (a *appliance) vend(user, host string) vended {
	urls, username, credential, ttl := a.turn.ICEServers(user, time.Now(), a.turnHost(hostName(host)))
	answer := vended{
		Username: username, Password: credential, TTL: int(ttl / time.Second), URIs: []string{},
		ICEServers:         []vendedServer{{URLs: urls, Username: username, Credential: credential}},
		ICETransportPolicy: "all",
	}
	for _, url := range urls { // Janus wants no stun: URI here.
		if strings.HasPrefix(url, "turn") {
			answer.URIs = append(answer.URIs, url)
		}
	}
	return answer
}

// hostName is a Host header without its port.
func hostName(host string) string {
	if at, err := netip.ParseAddrPort(host); err == nil {
		return at.Addr().String()
	}
	if name, _, ok := strings.Cut(host, ":"); ok && !strings.Contains(host, "[") {
		return name
	}
	return strings.Trim(host, "[]")
}
