package turn

import (
	"crypto/tls"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"tourbillon/timing"
)

// Defaults of [Config].
const (
	DefaultRealm = "tourbillon"
	DefaultTTL   = 300 * time.Second
	// DefaultPortMin and DefaultPortMax are the dynamic port range (RFC 8656 7.2).
	DefaultPortMin = 49152
	DefaultPortMax = 65535
)

// maxRealmBytes bounds what is echoed in every 401, and so how much a spoofed request is amplified.
const maxRealmBytes = 12

// Config is everything a [Server] is told. The zero value of a field is its documented default.
type Config struct {
	// UDP, TCP, TLS and DTLS are the addresses to listen on, host:port with an IP address or nothing as host.
	UDP, TCP, TLS, DTLS []string
	// TLSConfig holds the certificate for TLS and DTLS. Versions below 1.2 are raised to 1.2.
	TLSConfig *tls.Config

	// Realm is the authentication realm, at most 12 bytes. Default "tourbillon".
	Realm string
	// Secrets are the shared secrets: the first issues credentials, all verify them. At least one.
	Secrets [][]byte
	// Users are static users with their passwords, beside the shared secrets; their allocations count by the name. A name
	// here outranks what it would say as a dated name.
	Users map[string]string
	// CredentialTTL is how long an issued credential allocates. Default 300 s.
	CredentialTTL time.Duration

	// RelayAddress is the address announced for relays and, unless RelayBind says otherwise, bound. Default 127.0.0.1.
	RelayAddress netip.Addr
	// RelayBind is the address that relay sockets bind where it differs from the announced one (1:1 NAT). One family
	// with RelayAddress.
	RelayBind netip.Addr
	// STUNServers, host:port, are asked for the outside address of RelayBind, at first and every minute; what they tell
	// is announced in place of RelayAddress. For a 1:1 NAT of IPv4 whose address is not known or changes.
	STUNServers []string
	// RelayAddress6 and RelayBind6 are the same for IPv6, beside a RelayAddress of IPv4. None by default: an Allocate for
	// the family that is not served is answered 440.
	RelayAddress6, RelayBind6 netip.Addr
	// PortMin and PortMax bound the relay ports, both inclusive. Default 49152 to 65535.
	PortMin, PortMax uint16

	// AllowPeers admits special-purpose prefixes, for LANs; what is never liftable stays denied (package doc).
	AllowPeers []netip.Prefix
	// DenyPeers denies prefixes and outranks AllowPeers.
	DenyPeers []netip.Prefix
	// MuxPorts are our own ICE agents' sockets, which relays may reach whatever their address.
	MuxPorts []netip.AddrPort

	// Limits are the quotas and rates.
	Limits Limits

	// Clock arms every timer. Default [timing.Runtime].
	Clock timing.Clock
	// Now is the wall clock, for the expiry of credentials. Default time.Now.
	Now func() time.Time
	// WithoutLoops relays every packet by goroutines, as where the data plane (package relay) cannot run.
	WithoutLoops bool
	// Log receives what happens. Default: nothing is logged.
	Log *slog.Logger
}

// withDefaults fills what was left zero.
func (c Config) withDefaults() Config {
	if c.Realm == "" {
		c.Realm = DefaultRealm
	}
	if c.CredentialTTL == 0 {
		c.CredentialTTL = DefaultTTL
	}
	if !c.RelayAddress.IsValid() {
		c.RelayAddress = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	c.RelayAddress = c.RelayAddress.Unmap()
	if !c.RelayBind.IsValid() {
		c.RelayBind = c.RelayAddress
	}
	c.RelayBind = c.RelayBind.Unmap()
	c.RelayAddress6 = c.RelayAddress6.Unmap()
	if !c.RelayBind6.IsValid() {
		c.RelayBind6 = c.RelayAddress6
	}
	if c.PortMin == 0 {
		c.PortMin = DefaultPortMin
	}
	if c.PortMax == 0 {
		c.PortMax = DefaultPortMax
	}
	if c.Clock == nil {
		c.Clock = timing.Runtime{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.WithDefaults(int(c.PortMax) - int(c.PortMin) + 1)
	if c.TLSConfig != nil && c.TLSConfig.MinVersion < tls.VersionTLS12 {
		c.TLSConfig = c.TLSConfig.Clone()
		c.TLSConfig.MinVersion = tls.VersionTLS12
	}
	return c
}

// Transport is how a client reaches the server.
type Transport string

// Transports of the control connection (RFC 8656 3.1).
const (
	UDP Transport = "udp"
	TCP Transport = "tcp"
	TLS Transport = "tls"
	// DTLS is DTLS 1.2 over UDP.
	DTLS Transport = "dtls"
)

func (t Transport) field() string { return "turn." + string(t) }

// network is the name that package net knows the transport by.
func (t Transport) network() string {
	if t == UDP || t == DTLS {
		return "udp"
	}
	return "tcp"
}

// listenAddress is one address to listen on.
type listenAddress struct {
	transport Transport
	address   string
	// alone6 says that an IPv6 wildcard leaves IPv4 to another listener on the port.
	alone6 bool
}

// listeners lists every address to listen on, UDP first.
func (c Config) listeners() []listenAddress {
	var all []listenAddress
	for _, of := range []struct {
		transport Transport
		addresses []string
	}{{UDP, c.UDP}, {TCP, c.TCP}, {TLS, c.TLS}, {DTLS, c.DTLS}} {
		for _, address := range of.addresses {
			all = append(all, listenAddress{of.transport, address, sharesPort(address, of.addresses)})
		}
	}
	return all
}

// sharesPort tells whether an IPv6 wildcard address has an IPv4 address of the same port beside it.
func sharesPort(address string, others []string) bool {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().Is6() || !at.Addr().IsUnspecified() || at.Port() == 0 {
		return false
	}
	return slices.ContainsFunc(others, func(other string) bool {
		o, err := netip.ParseAddrPort(other)
		return err == nil && o.Addr().Is4() && o.Port() == at.Port()
	})
}
