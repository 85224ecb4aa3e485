package turn

import (
	"net"
	"slices"
	"strconv"
	"time"
)

// ICEServers returns what a client puts into its ICE configuration: a URL for each bound listener but DTLS (RFC 7064,
// RFC 7065), each once, and a fresh credential for user. host replaces the bound address where it is not empty; a
// wildcard listener without a host is named by the relay address of its family. IPv6 literals come in brackets.
func (s *Server) ICEServers(user string, now time.Time, host string) (
	urls []string, username, credential string, ttl time.Duration,
) {
	for _, l := range s.listeners {
		for _, url := range s.urls(l, host) {
			if !slices.Contains(urls, url) { // Wildcards of both families have one name.
				urls = append(urls, url)
			}
		}
	}
	issued := NewIssuer(s.core.ring.Load().secrets[0], s.ttl).Issue(user, now)
	return urls, issued.Username, issued.Password, issued.TTL
}

func (s *Server) urls(l *listener, host string) []string {
	if host == "" {
		addr := l.addr.Addr()
		if addr.IsUnspecified() {
			addr = s.core.relays.named(familyOfAddr(addr))
		}
		host = addr.String()
	}
	at := net.JoinHostPort(host, strconv.Itoa(int(l.addr.Port())))
	switch l.transport {
	case UDP:
		return []string{"stun:" + at, "turn:" + at + "?transport=udp"}
	case TCP:
		return []string{"turn:" + at + "?transport=tcp"}
	case TLS:
		return []string{"turns:" + at + "?transport=tcp"}
	}
	return nil // No browser speaks DTLS to a TURN server.
}
