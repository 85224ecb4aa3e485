package turn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
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
	// WithoutLoops has pion relay every packet, as where the data plane (package relay) cannot run.
	WithoutLoops bool
	// Log receives what happens. Default: nothing is logged.
	Log *slog.Logger
}

// Unlimited as the value of a limit turns it off.
const Unlimited = -1

// Limits are the quotas and rates. Zero is the default given with each field, [Unlimited] is none.
type Limits struct {
	// AllocationsPerUser counts by user id. Default 12.
	AllocationsPerUser int
	// AllocationsPerSource counts by client address, /32 or /64. Default 50.
	AllocationsPerSource int
	// Allocations counts all. Default 1000, or half the relay port range if that is less.
	Allocations int
	// PeersPerAllocation bounds the permissions of one allocation at a time. Default 32.
	PeersPerAllocation int
	// ChannelsPerAllocation bounds the channels of one allocation at a time. Default 32.
	ChannelsPerAllocation int
	// NewPeersPerSecond bounds how fast one allocation may add peer addresses; twice as many may come at once, since
	// ICE installs a permission for every candidate of a peer together. Default 5.
	NewPeersPerSecond int
	// ChallengesPerSecond bounds the unauthenticated error replies to one source over UDP. Default 10.
	ChallengesPerSecond int
	// BindingsPerSecond bounds the Binding responses to one source over UDP. Default 20.
	BindingsPerSecond int
	// UnauthenticatedConns bounds the TCP and TLS connections that have not authenticated yet. Default 1000.
	UnauthenticatedConns int
	// UnauthenticatedConnsPerSource is the same for one source. Default 20.
	UnauthenticatedConnsPerSource int
	// PacketsPerSecond bounds the packets that one allocation relays, each way; a quarter of a second's worth may come at
	// once, as with the next two. Default 10,000.
	PacketsPerSecond int
	// BytesPerSecond bounds the payload bytes that one allocation relays, each way. Default 6,250,000 (50 Mb/s).
	BytesPerSecond int
	// ServerBytesPerSecond bounds the payload bytes that all allocations together relay, both ways. Default
	// 125,000,000 (1 Gb/s).
	ServerBytesPerSecond int
}

// LimitsOff returns limits that limit nothing. It is for benchmarks on loopback.
func LimitsOff() Limits {
	var l Limits
	for field := range l.fields() {
		*field = Unlimited
	}
	return l
}

// fields iterates over every limit with its default.
func (l *Limits) fields() func(yield func(*int, int) bool) {
	return func(yield func(*int, int) bool) {
		_ = yield(&l.AllocationsPerUser, 12) &&
			yield(&l.AllocationsPerSource, 50) &&
			yield(&l.Allocations, 1000) &&
			yield(&l.PeersPerAllocation, 32) &&
			yield(&l.ChannelsPerAllocation, 32) &&
			yield(&l.NewPeersPerSecond, 5) &&
			yield(&l.ChallengesPerSecond, 10) &&
			yield(&l.BindingsPerSecond, 20) &&
			yield(&l.UnauthenticatedConns, 1000) &&
			yield(&l.UnauthenticatedConnsPerSource, 20) &&
			yield(&l.PacketsPerSecond, 10_000) &&
			yield(&l.BytesPerSecond, 50_000_000/8) &&
			yield(&l.ServerBytesPerSecond, 1_000_000_000/8)
	}
}

// WithDefaults fills what was left zero. ports is the size of the relay port range.
func (l Limits) WithDefaults(ports int) Limits {
	if l.Allocations == 0 {
		l.Allocations = min(1000, max(1, ports/2))
	}
	for field, standard := range l.fields() {
		if *field == 0 {
			*field = standard
		}
	}
	return l
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

// validate returns every problem of a configuration whose defaults are filled, joined.
func (c Config) validate() error {
	var problems []error
	wrong := func(field, format string, args ...any) {
		problems = append(problems, &ConfigError{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	if len(c.listeners()) == 0 {
		wrong("turn.udp", "no listen address in turn.udp, turn.tcp, turn.tls or turn.dtls")
	}
	for _, secured := range []listenAddress{{TLS, strings.Join(c.TLS, "")}, {DTLS, strings.Join(c.DTLS, "")}} {
		if secured.address != "" && c.TLSConfig == nil {
			wrong(secured.transport.field(), "needs a certificate")
		}
	}
	if len(c.Realm) > maxRealmBytes {
		wrong("turn.realm", "%q has %d bytes; at most %d, since it is sent in answer to every unauthenticated request",
			c.Realm, len(c.Realm), maxRealmBytes)
	}
	if c.CredentialTTL < time.Second {
		wrong("turn.credential_ttl", "%v is less than a second", c.CredentialTTL)
	}
	if c.PortMin > c.PortMax {
		wrong("turn.port_min", "%d is above turn.port_max %d", c.PortMin, c.PortMax)
	}
	c.validateAddresses(wrong)
	problems = append(problems, validateSecrets(c.Secrets), validateUsers(c.Users))
	for field := range c.Limits.fields() {
		if *field < Unlimited {
			wrong("turn.limits", "%d is neither a limit nor %d for none", *field, Unlimited)
		}
	}
	return errors.Join(problems...)
}

func (c Config) validateAddresses(wrong func(field, format string, args ...any)) {
	if c.RelayAddress.IsUnspecified() || c.RelayAddress.IsMulticast() {
		wrong("turn.relay_address", "%v cannot be announced: give the address that peers reach", c.RelayAddress)
	}
	if c.RelayAddress.Is4() != c.RelayBind.Is4() {
		wrong("turn.relay_bind", "%v and turn.relay_address %v are of different families", c.RelayBind, c.RelayAddress)
	}
	c.validateSecondRelay(wrong)
	for _, server := range c.STUNServers {
		if host, port, err := net.SplitHostPort(server); err != nil || host == "" || port == "" {
			wrong("turn.stun_servers", "%q is not host:port", server)
		}
	}
	if len(c.STUNServers) > 0 && !c.RelayBind.Is4() {
		wrong("turn.stun_servers", "needs an IPv4 turn.relay_address")
	}
	for _, l := range c.listeners() {
		host, _, err := net.SplitHostPort(l.address)
		if err != nil {
			wrong(l.transport.field(), "%q is not host:port", l.address)
			continue
		}
		if _, err := netip.ParseAddr(host); host != "" && err != nil {
			wrong(l.transport.field(), "%q is not an IP address", host)
		}
	}
	for _, p := range c.AllowPeers {
		c.validateAllowed(p, wrong)
	}
	for _, p := range c.DenyPeers {
		if !p.IsValid() {
			wrong("turn.deny_peers", "an invalid prefix")
		}
	}
}

func (c Config) validateSecondRelay(wrong func(field, format string, args ...any)) {
	second := c.RelayAddress6
	switch {
	case !second.IsValid() && !c.RelayBind6.IsValid():
	case !second.Is6() || second.IsUnspecified() || second.IsMulticast():
		wrong("turn.relay_address6", "%v is no IPv6 address that peers reach", second)
	case !c.RelayBind6.Is6():
		wrong("turn.relay_bind6", "%v is no IPv6 address", c.RelayBind6)
	case c.RelayAddress.Is6():
		wrong("turn.relay_address6", "turn.relay_address %v is of IPv6 already", c.RelayAddress)
	}
}

// relayAddresses lists what relays are announced at, that of IPv4 first.
func (c Config) relayAddresses() []relayAddress {
	all := []relayAddress{{c.RelayAddress, c.RelayBind}}
	if c.RelayAddress6.IsValid() {
		all = append(all, relayAddress{c.RelayAddress6, c.RelayBind6})
	}
	return all
}

// validateAllowed refuses a prefix that could never take effect, so that an operator does not believe it does.
func (c Config) validateAllowed(p netip.Prefix, wrong func(field, format string, args ...any)) {
	if !p.IsValid() {
		wrong("turn.allow_peers", "an invalid prefix")
		return
	}
	p = canonicalPrefix(p)
	for _, r := range unliftable {
		if r.prefix.Contains(p.Addr()) && r.prefix.Bits() <= p.Bits() {
			wrong("turn.allow_peers", "%v is %s, which can never be a peer", p, r.reason)
			return
		}
	}
}

func validateSecrets(secrets [][]byte) error {
	if len(secrets) == 0 {
		return &ConfigError{Field: "turn.secrets", Problem: "no secret; without one nobody can authenticate"}
	}
	for _, s := range secrets {
		if len(s) == 0 {
			return &ConfigError{Field: "turn.secrets", Problem: "an empty secret"}
		}
	}
	return nil
}

func validateUsers(users map[string]string) error {
	for name, password := range users {
		if name == "" || len(name) > maxUsernameBytes || password == "" {
			problem := fmt.Sprintf("%q needs a name of 1 to %d bytes and a password", printable(name), maxUsernameBytes)
			return &ConfigError{Field: "turn.users", Problem: problem}
		}
	}
	return nil
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
}

// listeners lists every address to listen on, UDP first.
func (c Config) listeners() []listenAddress {
	var all []listenAddress
	for _, a := range c.UDP {
		all = append(all, listenAddress{UDP, a})
	}
	for _, a := range c.TCP {
		all = append(all, listenAddress{TCP, a})
	}
	for _, a := range c.TLS {
		all = append(all, listenAddress{TLS, a})
	}
	for _, a := range c.DTLS {
		all = append(all, listenAddress{DTLS, a})
	}
	return all
}
