package turn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Validate returns what [Listen] would refuse a configuration for, every [ConfigError] joined; nil for nothing. It binds
// nothing and touches nothing of the machine.
func (c Config) Validate() error { return c.withDefaults().validate() }

// validate returns every problem of a configuration whose defaults are filled, joined.
func (c Config) validate() error {
	var problems []error
	wrong := func(field, format string, args ...any) {
		problems = append(problems, &ConfigError{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	if len(c.listeners()) == 0 {
		wrong("turn.udp", "no listen address in turn.udp, turn.tcp, turn.tls or turn.dtls")
	}
	for _, secured := range []listenAddress{
		{transport: TLS, address: strings.Join(c.TLS, "")}, {transport: DTLS, address: strings.Join(c.DTLS, "")},
	} {
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
