package signaling

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// originAllowed reports whether a page may connect: one of the host that it asks, or of an allowed origin such as
// "https://app.example". A request without Origin (RFC 6454) comes from no browser and passes.
func originAllowed(r *http.Request, allowed []string) bool {
	origins := r.Header.Values("Origin")
	switch len(origins) {
	case 0:
		return true
	case 1:
	default:
		return false
	}
	for _, a := range allowed {
		if strings.EqualFold(origins[0], strings.TrimSuffix(a, "/")) {
			return true
		}
	}
	origin, err := url.Parse(origins[0])
	return err == nil && origin.Host != "" && strings.EqualFold(origin.Host, r.Host)
}

// loopbackHost reports whether a Host header names this machine to itself. A page that rebinds its own domain name to
// 127.0.0.1 is of the same origin as the server then, and only its Host header gives it away.
func loopbackHost(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(hostname(host), "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") { // RFC 6761 section 6.3
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

// hostname returns a Host header without port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
