package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
)

const (
	// pagePolicy lets a page load its own files only and talk to its own server. Its %s is that server's WebSocket,
	// which older browsers do not count as 'self'.
	pagePolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
		"media-src 'self' blob: mediastream:; connect-src 'self'%s; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
	// adminPolicy is narrower and has scripts write no HTML from text.
	adminPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)

// SecureHeaders adds the headers that every answer of the public listener carries.
func SecureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		withHeaders(fmt.Sprintf(pagePolicy, ownWebSocket(r)), next).ServeHTTP(w, r)
	})
}

// hostSource is what may stand as a host in a policy; anything else a client sends as Host stays out of it.
var hostSource = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?$`)

func ownWebSocket(r *http.Request) string {
	if !hostSource.MatchString(r.Host) {
		return ""
	}
	return " ws://" + r.Host + " wss://" + r.Host
}

func withHeaders(policy string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// LoopbackHosts refuses requests whose Host header is no name of this machine's loopback. Without it a foreign page
// could reach a loopback listener under its own name by pointing that name at 127.0.0.1 (DNS rebinding).
func LoopbackHosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopbackHost(r.Host) {
			http.Error(w, "This server listens on loopback only: open it as http://localhost or http://127.0.0.1.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(trimBrackets(host))
	return err == nil && ip.Unmap().IsLoopback()
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}
