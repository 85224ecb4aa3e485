package appliance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	"tourbillon/web"
)

// Bounds of an HTTP request before a handler sees it.
const (
	readHeaderLimit = 5 * time.Second
	idleLimit       = 60 * time.Second
	maxHeaderBytes  = 16 << 10
)

// ListenError says that an HTTP listener could not be bound, and what to do about it.
type ListenError struct {
	// Key is the setting with the address.
	Key, Address string
	Err          error
}

func (e *ListenError) Error() string {
	remedy := "choose another address"
	if errors.Is(e.Err, syscall.EADDRINUSE) {
		remedy = "stop the other program that listens there, or choose another port"
	}
	return fmt.Sprintf("%s: %v: %s, for example --set %s=127.0.0.1:9000", e.Key, e.Err, remedy, e.Key)
}

func (e *ListenError) Unwrap() error { return e.Err }

// httpServer is one HTTP listener with its serving goroutine.
type httpServer struct {
	server   *http.Server
	listener net.Listener
	serving  sync.WaitGroup
}

// listenHTTP serves handler on address until closed, over TLS where a certificate is given. What ends it early goes to
// failed.
func listenHTTP(key, address string, certificate *tls.Config, handler http.Handler, log *slog.Logger, failed chan<- error) (*httpServer, error) {
	listener, err := net.Listen(network(address), address)
	if err != nil {
		return nil, &ListenError{Key: key, Address: address, Err: err}
	}
	h := &httpServer{listener: listener, server: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderLimit,
		IdleTimeout:       idleLimit,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	if certificate != nil {
		certificate = certificate.Clone()
		certificate.NextProtos = []string{"http/1.1"} // A WebSocket upgrade needs HTTP/1.1.
		h.listener = tls.NewListener(listener, certificate)
	}
	h.serving.Go(func() {
		if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("%s stopped serving: %w", key, err)
		}
	})
	return h, nil
}

// network keeps an IPv4 wildcard from listening on IPv6 as well.
func network(address string) string {
	if bound, err := netip.ParseAddrPort(address); err == nil && bound.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

func (h *httpServer) address() string { return h.listener.Addr().String() }

// close lets running requests end until ctx does, then cuts them.
func (h *httpServer) close(ctx context.Context) error {
	err := h.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, h.server.Close())
	}
	h.serving.Wait()
	return err
}

// ask sends a request to this very listener.
func (h *httpServer) ask(request *http.Request) (*http.Response, error) {
	var dialer net.Dialer
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, h.address())
		},
		// It is our own certificate, for names that need not be this one.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	if _, plain := h.listener.(*net.TCPListener); !plain {
		request.URL.Scheme = "https"
	}
	return transport.RoundTrip(request)
}

func (a *appliance) openPublic() error {
	certificate, err := a.certificate()
	if err != nil {
		return err
	}
	a.public, err = listenHTTP("http.listen", a.config.HTTP.Listen, certificate, a.publicHandler(), a.log, a.failed)
	if err != nil {
		return err
	}
	check := a.publicURL() + "/check/"
	a.checkURL.Store(&check)
	a.onClose(a.public.close)
	// Told and closed before the listener: their connections are no longer the HTTP server's.
	a.onClose(a.signaling.Shutdown)
	if a.peerjs != nil {
		a.onClose(a.peerjs.Shutdown)
	}
	if !web.Built() {
		a.log.Warn("the pages are not part of this binary: build it with make build")
	}
	if !a.config.HTTPLoopback() && a.config.TLS.Cert == "" && a.config.HTTP.PublicURL == "" {
		a.log.Warn("HTTP without TLS: browsers give no camera to pages from another host; set tls.cert and tls.key, or put a TLS proxy in front")
	}
	return nil
}

// trusting takes a client's address from X-Forwarded-For only behind these proxies.
func trusting(proxies []netip.Prefix) []echo.TrustOption {
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		options = append(options, echo.TrustIPRange(ipNet(p)))
	}
	return options
}

func ipNet(p netip.Prefix) *net.IPNet {
	address := p.Addr()
	return &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(p.Bits(), address.BitLen())}
}

// publicHandler serves the public listener.
func (a *appliance) publicHandler() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	if proxies := prefixes(a.config.HTTP.TrustedProxies); len(proxies) > 0 {
		e.IPExtractor = echo.ExtractIPFromXFFHeader(trusting(proxies)...)
	}
	e.Use(echo.WrapMiddleware(web.SecureHeaders))
	if a.config.HTTPPrivate() {
		e.Use(echo.WrapMiddleware(web.LoopbackHosts))
	}
	a.publicRoutes(e)
	return e
}

// publicRoutes registers what openapi.yaml describes.
func (a *appliance) publicRoutes(e *echo.Echo) {
	reads := []string{http.MethodGet, http.MethodHead}
	e.Match(reads, "/", func(c echo.Context) error { return c.Redirect(http.StatusFound, "/call/") })
	e.Match(reads, "/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.Match(reads, "/openapi.yaml", serveOpenAPI)
	for prefix, pages := range map[string]http.Handler{"/call": web.Call(), "/check": web.Check(), "/sdk": web.SDK()} {
		e.Match(reads, prefix, func(c echo.Context) error { return c.Redirect(http.StatusFound, prefix+"/") })
		e.Match(reads, prefix+"/*", echo.WrapHandler(http.StripPrefix(prefix, pages)))
	}
	vender := newVender(a.config.TURN.APIKeys, a.origins(), a.clock, a.vend)
	e.Match([]string{http.MethodGet, http.MethodPost}, vendPath, vender.serve)
	a.signaling.Register(e)
	if a.peerjs != nil {
		a.peerjs.Register(e)
	}
}
