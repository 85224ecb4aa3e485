package peerjs

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
)

// Register mounts the service under its prefix. Where e has an IPExtractor, limits go by the address that it returns,
// which a server behind a trusted proxy needs; otherwise by that of the TCP connection.
func (s *Server) Register(e *echo.Echo) {
	base := strings.TrimSuffix(s.config.Prefix, "/") + "/"
	e.GET(base+"peerjs", s.serveSocket)
	for name, serve := range map[string]echo.HandlerFunc{"id": s.serveID, "peers": s.servePeers, "ice": s.serveICE} {
		e.GET(base+s.config.Key+"/"+name, s.forPages(serve))
	}
}

// forPages answers pages of the allowed origins, so that their scripts get to read the answer, and no others.
func (s *Server) forPages(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Add("Vary", "Origin")
		header.Set("Cache-Control", "no-store")
		if !s.config.pageAllowed(c.Request()) {
			return errOrigin()
		}
		if origin := c.Request().Header.Get("Origin"); origin != "" {
			header.Set("Access-Control-Allow-Origin", origin)
			header.Set("Cross-Origin-Resource-Policy", "cross-origin")
		}
		return next(c)
	}
}

func errOrigin() *echo.HTTPError {
	return echo.NewHTTPError(http.StatusForbidden, "pages of this origin may not connect: add it to the allowed origins")
}

func (s *Server) serveID(c echo.Context) error { return c.String(http.StatusOK, newID()) }

// newID is a UUID of version 4 (RFC 9562 section 5.4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // Never fails (crypto/rand).
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func (s *Server) servePeers(c echo.Context) error {
	if !s.config.Discovery {
		return echo.NewHTTPError(http.StatusUnauthorized, "the list of clients is off here")
	}
	return c.JSON(http.StatusOK, s.ids())
}

// serveICE gives the ICE servers that a page passes to the client as config.iceServers.
func (s *Server) serveICE(c echo.Context) error {
	if !s.gate.ask(networkOf(clientAddr(c)), s.clock.Now()) {
		s.counts.rejected.Add(1)
		return errTooMany()
	}
	if refused := s.judgeToken(c.QueryParam("token")); refused != "" {
		return echo.NewHTTPError(http.StatusUnauthorized, refused)
	}
	answer := struct {
		ICEServers []ICEServer `json:"iceServers"`
		TTL        int64       `json:"ttl"`
	}{ICEServers: []ICEServer{}}
	if s.config.Credentials != nil {
		servers, ttl := s.config.Credentials.ICEServers(newID(), hostOf(c.Request().Host))
		answer.ICEServers, answer.TTL = append(answer.ICEServers, servers...), int64(ttl.Seconds())
	}
	return c.JSON(http.StatusOK, answer)
}

func errTooMany() *echo.HTTPError {
	return echo.NewHTTPError(http.StatusTooManyRequests, "too many connections or requests from this address: try again later")
}

// serveSocket turns a request into a connection and returns: net/http then frees what it held for the request.
func (s *Server) serveSocket(c echo.Context) error {
	network := networkOf(clientAddr(c))
	if wrong := s.refuseRequest(c.Request()); wrong != nil {
		s.counts.rejected.Add(1)
		return wrong
	}
	if !s.gate.open(network, s.clock.Now()) {
		s.counts.rejected.Add(1)
		return errTooMany()
	}
	request := s.judge(c.QueryParams())
	tcp, err := upgrade(s.upgrader, c.Response(), c.Request())
	if err != nil {
		s.gate.close(network)
		s.counts.rejected.Add(1)
		s.config.Log.Debug("handshake failed", "network", network, "error", err)
		if errors.Is(err, http.ErrNotSupported) {
			return echo.NewHTTPError(http.StatusHTTPVersionNotSupported, "WebSockets need HTTP/1.1 here")
		}
		return nil // The connection is net/http's no longer; the library has answered.
	}
	s.serve(tcp, network, request)
	return nil
}

// refuseRequest judges a request before anything is spent on it; nil lets it pass.
func (s *Server) refuseRequest(r *http.Request) *echo.HTTPError {
	switch {
	case s.stopped():
		return echo.NewHTTPError(http.StatusServiceUnavailable, "the server is stopping")
	case !s.config.pageAllowed(r):
		return errOrigin()
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return echo.NewHTTPError(http.StatusBadRequest, "this is a WebSocket endpoint")
	}
	return nil
}

func (s *Server) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// opening is what a client asks for when it connects. A refusal is told on the WebSocket, where the client package
// looks for it.
type opening struct {
	id, token string
	refusal   []byte
}

func (s *Server) judge(query url.Values) opening {
	o := opening{id: strings.Clone(query.Get("id")), token: strings.Clone(query.Get("token"))} // Of the request's memory.
	limits := s.config.Limits
	switch key := query.Get("key"); {
	case o.id == "" || o.token == "" || key == "":
		o.refusal = textMissing
	case subtle.ConstantTimeCompare([]byte(key), []byte(s.config.Key)) == 0:
		o.refusal = textKey
	case !validID(o.id, limits.IDBytes):
		o.refusal = errorText(fmt.Sprintf("The id is not valid: use at most %d letters and digits, with single spaces, dashes or underscores between them", limits.IDBytes))
	case len(o.token) > limits.TokenBytes:
		o.refusal = errorText(fmt.Sprintf("The token has more than %d bytes", limits.TokenBytes))
	default:
		if refused := s.judgeToken(o.token); refused != "" {
			o.refusal = errorText(refused)
		}
	}
	return o
}

// judgeToken says why a token does not let its bearer in; "" when it does.
func (s *Server) judgeToken(token string) (refused string) {
	const need = "This server wants a token: pass the one it issued to you as the option token"
	switch {
	case s.config.Open:
		return ""
	case s.config.Tokens == nil || token == "" || len(token) > s.config.Limits.TokenBytes:
		return need
	}
	if err := s.config.Tokens.Admit(token, s.config.Now()); err != nil {
		return fmt.Sprintf("%s (%v)", need, err)
	}
	return ""
}

// clientAddr is the client's address; the zero value where it is not known, which is a network as well.
func clientAddr(c echo.Context) netip.Addr {
	if c.Echo().IPExtractor != nil {
		if real, err := netip.ParseAddr(c.RealIP()); err == nil {
			return real
		}
	}
	address, _ := netip.ParseAddrPort(c.Request().RemoteAddr) // net/http's own text.
	return address.Addr()
}
