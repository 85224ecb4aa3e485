package signaling

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"

	"tourbillon/signaling/socket"
)

// Register mounts the service at GET /ws. Where e has an IPExtractor, limits go by the address that it returns, which
// a server behind a trusted proxy needs; otherwise by that of the TCP connection.
func (s *Server) Register(e *echo.Echo) {
	e.GET("/ws", s.serve)
}

// serve turns a request into a connection and returns: net/http then frees what it held for the request.
func (s *Server) serve(c echo.Context) error {
	addr := clientAddr(c)
	if refusal := s.refuseRequest(c.Request()); refusal != nil {
		s.counts.refusedRequests.Add(1)
		return refusal
	}
	if !s.gate.open(addr.Addr(), s.clock.Now()) {
		s.counts.refusedRequests.Add(1)
		return echo.NewHTTPError(http.StatusTooManyRequests, "too many connections from this address, or too many of them wait to join a room")
	}
	tcp, err := s.upgrade(c.Response(), c.Request())
	if err != nil {
		s.giveUp(addr)
		s.counts.refusedRequests.Add(1)
		s.config.Log.Debug("handshake failed", "address", addr, "error", err)
		if errors.Is(err, http.ErrNotSupported) {
			return echo.NewHTTPError(http.StatusHTTPVersionNotSupported, "WebSockets need HTTP/1.1 here")
		}
		return nil // The connection is net/http's no longer; the library has answered.
	}
	s.start(tcp, addr, hostname(c.Request().Host))
	return nil
}

// giveUp ends the count of a request that became no connection.
func (s *Server) giveUp(addr netip.AddrPort) {
	s.gate.settle(addr.Addr())
	s.gate.close(addr.Addr())
}

func (s *Server) start(tcp net.Conn, addr netip.AddrPort, host string) {
	var sock *socket.Conn
	conn := s.attach(func() link { sock = s.sockets.Conn(tcp); return sock }, addr, host)
	if conn == nil {
		s.giveUp(addr)
		_, _ = tcp.Write(socket.AppendClose(nil, closeRestart, string(ReasonShutdown)))
		_ = tcp.Close()
		return
	}
	s.sockets.Serve(sock, conn)
}

// refuseRequest judges a request before anything is spent on it; nil lets it pass.
func (s *Server) refuseRequest(r *http.Request) *echo.HTTPError {
	switch {
	case s.hub.stopped():
		return echo.NewHTTPError(http.StatusServiceUnavailable, "the server is stopping")
	case s.config.LoopbackOnly && !loopbackHost(r.Host):
		return echo.NewHTTPError(http.StatusForbidden, "this server is for loopback: ask for it as localhost or 127.0.0.1")
	case !originAllowed(r, s.config.Origins):
		return echo.NewHTTPError(http.StatusForbidden, "pages of this origin may not connect: add it to the allowed origins")
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return echo.NewHTTPError(http.StatusBadRequest, "this is a WebSocket endpoint")
	case !offersSubprotocol(r):
		return echo.NewHTTPError(http.StatusBadRequest, "offer the WebSocket subprotocol "+Subprotocol)
	}
	return nil
}

func offersSubprotocol(r *http.Request) bool {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(name) == Subprotocol {
				return true
			}
		}
	}
	return false
}

// clientAddr returns the client's address, and port 0 where only the proxy in between is known by port.
func clientAddr(c echo.Context) netip.AddrPort {
	addr, _ := netip.ParseAddrPort(c.Request().RemoteAddr) // net/http's own text; the zero value is a network as well.
	if c.Echo().IPExtractor == nil {
		return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	real, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return addr
	}
	return netip.AddrPortFrom(real.Unmap(), 0)
}
