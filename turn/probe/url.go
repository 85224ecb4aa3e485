package probe

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Scheme is the first part of a server's URL.
type Scheme string

// The schemes of RFC 7064 and RFC 7065.
const (
	STUN  Scheme = "stun"
	STUNS Scheme = "stuns"
	TURN  Scheme = "turn"
	TURNS Scheme = "turns"
)

// Transport is what a server is reached over.
type Transport string

// The transports.
const (
	UDP Transport = "udp"
	TCP Transport = "tcp"
	TLS Transport = "tls"
)

// The default ports (RFC 8489 section 8.1).
const (
	DefaultPort    = 3478
	DefaultTLSPort = 5349
)

// maxHostBytes is the longest name that DNS knows (RFC 1035 section 2.3.4).
const maxHostBytes = 255

// Target is a server to probe.
type Target struct {
	Scheme Scheme
	// Host is a name or an IP address without brackets.
	Host      string
	Port      uint16
	Transport Transport
}

// Relays tells whether the server is asked to relay.
func (t Target) Relays() bool { return t.Scheme == TURN || t.Scheme == TURNS }

// Address is host:port.
func (t Target) Address() string { return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) }

// String is the URL in full.
func (t Target) String() string {
	url := string(t.Scheme) + ":" + t.Address()
	if !t.Relays() {
		return url
	}
	if t.Transport == UDP {
		return url + "?transport=udp"
	}
	return url + "?transport=tcp"
}

// URLError is a URL that names no server.
type URLError struct{ URL, Wrong, Remedy string }

func (e *URLError) Error() string { return fmt.Sprintf("%q: %s: %s", e.URL, e.Wrong, e.Remedy) }

// ParseURL reads the URL of a STUN or TURN server. Its error is a [*URLError].
func ParseURL(raw string) (Target, error) {
	t, wrong, remedy := parseURL(raw)
	if wrong != "" {
		return Target{}, &URLError{raw, wrong, remedy}
	}
	return t, nil
}

const urlForms = "write stun:HOST[:PORT], turn:HOST[:PORT][?transport=udp|tcp] or turns:HOST[:PORT]"

func parseURL(raw string) (t Target, wrong, remedy string) {
	scheme, rest, found := strings.Cut(raw, ":")
	t.Scheme = Scheme(strings.ToLower(scheme))
	secure := t.Scheme == STUNS || t.Scheme == TURNS
	switch {
	case !found || t.Scheme != STUN && t.Scheme != TURN && !secure:
		return t, "no STUN or TURN scheme", urlForms
	case strings.HasPrefix(rest, "//"):
		return t, "slashes behind the scheme", "leave them out: these URLs have none (RFC 7064)"
	}
	rest, query, asks := strings.Cut(rest, "?")
	t.Transport, t.Port = UDP, DefaultPort
	if secure {
		t.Transport, t.Port = TLS, DefaultTLSPort
	}
	if asks {
		if wrong, remedy = t.setTransport(query); wrong != "" {
			return t, wrong, remedy
		}
	}
	wrong, remedy = t.setAddress(rest)
	return t, wrong, remedy
}

func (t *Target) setTransport(query string) (wrong, remedy string) {
	transport, ok := strings.CutPrefix(query, "transport=")
	switch {
	case !t.Relays():
		return "a query", "leave it out: stun: and stuns: have none (RFC 7064)"
	case !ok || transport != "udp" && transport != "tcp":
		return fmt.Sprintf("query %q", query), "transport=udp or transport=tcp"
	case t.Scheme == TURNS && transport == "udp":
		return "TURN over DTLS", "probe turns: over TCP; DTLS is not supported by this command"
	case t.Scheme == TURN:
		t.Transport = Transport(transport)
	}
	return "", ""
}

func (t *Target) setAddress(text string) (wrong, remedy string) {
	var port string
	var hasPort bool
	if inner, bracketed := strings.CutPrefix(text, "["); bracketed {
		host, after, closed := strings.Cut(inner, "]")
		if at, err := netip.ParseAddr(host); !closed || err != nil || !at.Is6() {
			return "no IPv6 address in the brackets", "write [2001:db8::1]:3478"
		}
		if port, hasPort = strings.CutPrefix(after, ":"); after != "" && !hasPort {
			return fmt.Sprintf("%q behind the brackets", after), "write [2001:db8::1]:3478"
		}
		t.Host = host
	} else {
		t.Host, port, hasPort = strings.Cut(text, ":")
		if strings.Contains(port, ":") {
			return "more than one colon in the address", "write an IPv6 address in brackets: [2001:db8::1]:3478"
		}
		if !isHost(t.Host) {
			return fmt.Sprintf("no host name %q", t.Host), urlForms
		}
	}
	if !hasPort {
		return "", ""
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return fmt.Sprintf("no port %q", port), "from 1 to 65535"
	}
	t.Port = uint16(number)
	return "", ""
}

// isHost admits the letters of host names and IPv4 addresses (RFC 3986's unreserved ones).
func isHost(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
	return s != "" && len(s) <= maxHostBytes && strings.Trim(s, letters) == ""
}
