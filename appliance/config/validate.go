package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of single settings.
const (
	// maxRealm keeps the 401 answer small: the realm is in each (reference: amplification).
	maxRealm = 12
	// minHeartbeat and maxHeartbeat bound signaling.heartbeat.
	minHeartbeat, maxHeartbeat = time.Millisecond, 5 * time.Second
	// turnsPort is the default port of TURN over TLS (RFC 8656 section 5).
	turnsPort = "5349"
	// minSecret is the least length of a secret that strangers could try to guess.
	minSecret = 16
	// leastTTL and mostTTL bound turn.credential_ttl.
	leastTTL, mostTTL = time.Minute, 48 * time.Hour
	// leastBytes is a short measurement of a call's path. leastChecks is what one agent sends at its default pace.
	leastBytes              = 64 << 10
	leastChecks, mostChecks = 20, 100_000
	// maxDrain leaves ten seconds for the rest of a stop before systemd's TimeoutStopSec=45s.
	maxDrain = 30 * time.Second
)

// Loopback reports whether every listener is on loopback.
func (c *Config) Loopback() bool {
	return !slices.ContainsFunc(c.listeners(), func(s setting) bool { return !isLoopback(s.value) })
}

// OpenRooms reports whether rooms need no token: said explicitly, or by default while only this machine reaches HTTP.
func (c *Config) OpenRooms() bool {
	if c.Signaling.OpenRooms != nil {
		return *c.Signaling.OpenRooms
	}
	return c.HTTPPrivate()
}

// HTTPPrivate reports whether only this machine reaches HTTP: it listens on loopback, and no proxy makes it public.
func (c *Config) HTTPPrivate() bool {
	public, err := url.Parse(c.HTTP.PublicURL)
	return c.HTTPLoopback() && (c.HTTP.PublicURL == "" || err == nil && isLoopback(net.JoinHostPort(public.Hostname(), "0")))
}

// HTTPLoopback reports whether HTTP listens on loopback.
func (c *Config) HTTPLoopback() bool { return isLoopback(c.HTTP.Listen) }

// LimitsOff reports whether limits are lifted.
func (c *Config) LimitsOff() bool { return c.Limits == "off" }

// TURNTLS lists the turns: listen addresses, derived from turn.tcp where only the certificate is given.
func (c *Config) TURNTLS() []string {
	if len(c.TURN.TLS) > 0 || c.TLS.Cert == "" {
		return c.TURN.TLS
	}
	var derived []string
	for _, address := range c.TURN.TCP {
		if host, _, err := net.SplitHostPort(address); err == nil {
			derived = append(derived, net.JoinHostPort(host, turnsPort))
		}
	}
	return derived
}

// RelayPortRange is turn.relay_ports as numbers. It is valid after Load.
func (c *Config) RelayPortRange() (first, last uint16) {
	first, last, _ = portRange(c.TURN.RelayPorts)
	return first, last
}

// Level is log.level. It is valid after Load.
func (c *Config) Level() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level))
	return level
}

// setting is one value under its key.
type setting struct{ key, value string }

func (c *Config) listeners() []setting {
	all := []setting{{"http.listen", c.HTTP.Listen}, {"admin.listen", c.Admin.Listen}}
	if c.Agents.On() {
		all = append(all, setting{"agents.listen", c.Agents.Listen})
	}
	if c.Agents.TCP != "" {
		all = append(all, setting{"agents.tcp", c.Agents.TCP})
	}
	all = append(all, keyed("turn.udp", c.TURN.UDP)...)
	all = append(all, keyed("turn.tcp", c.TURN.TCP)...)
	all = append(all, keyed("turn.tls", c.TURN.TLS)...)
	return append(all, keyed("turn.dtls", c.TURN.DTLS)...)
}

func keyed(key string, values []string) []setting {
	all := make([]setting, len(values))
	for i, value := range values {
		all[i] = setting{key, value}
	}
	return all
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// validate returns everything that is wrong with the values.
func (c *Config) validate() []Problem {
	v := validation{}
	for _, l := range c.listeners() {
		v.listenAddress(l.key, l.value)
	}
	v.webURLs(c)
	v.tls(c)
	v.turn(&c.TURN)
	v.agents(&c.Agents)
	v.relayReachable(c)
	v.peerJS(&c.PeerJS)
	v.oneOf("clock", c.Clock, "hrtimer", "runtime")
	v.oneOf("limits", c.Limits, "on", "off")
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "text", "json")
	v.signaling(&c.Signaling)
	v.check(!c.LimitsOff() || c.Loopback(), "limits",
		"off while a listener is not on loopback", "listen on 127.0.0.1 everywhere, or leave the limits on")
	return v.problems
}

type validation struct{ problems []Problem }

func (v *validation) check(ok bool, key, wrong, remedy string) {
	if !ok {
		v.problems = append(v.problems, Problem{Where: key, Wrong: wrong, Remedy: remedy})
	}
}

func (v *validation) add(problems []Problem) { v.problems = append(v.problems, problems...) }

func (v *validation) oneOf(key, value string, allowed ...string) {
	v.check(slices.Contains(allowed, value), key, fmt.Sprintf("%q is unknown", shortened(value)), "choose "+strings.Join(allowed, " or "))
}

func (v *validation) listenAddress(key, address string) {
	host, port, err := net.SplitHostPort(address)
	_, portErr := strconv.ParseUint(port, 10, 16)
	_, ipErr := netip.ParseAddr(host)
	hostFits := ipErr == nil || host == "localhost" && !strings.HasPrefix(key, "turn.") && !strings.HasPrefix(key, "agents.")
	v.check(err == nil && portErr == nil && hostFits, key, fmt.Sprintf("%q is no listen address", shortened(address)),
		"write IP:PORT, for example 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080")
}

func (v *validation) agents(c *Agents) {
	v.check(c.TCP == "" || c.On(), "agents.tcp", "there are no agents without agents.listen", "set agents.listen, too, or leave agents.tcp empty")
	v.count("agents.calls", float64(c.Calls), 10_000)
	v.count("agents.calls_per_address", float64(c.CallsPerAddress), 10_000)
	v.within("agents.lifetime", c.Lifetime, time.Minute, 24*time.Hour)
	v.within("agents.idle", c.Idle, 10*time.Second, 24*time.Hour)
	v.check(c.Bytes >= leastBytes, "agents.bytes", fmt.Sprintf("%d is out of bounds", c.Bytes), fmt.Sprintf("choose %d or more", leastBytes))
	v.count("agents.messages_per_second", float64(c.MessagesPerSecond), 100_000)
	v.within("agents.check_interval", c.CheckInterval, 5*time.Millisecond, 500*time.Millisecond)
	v.check(c.ChecksPerSecond >= leastChecks && c.ChecksPerSecond <= mostChecks, "agents.checks_per_second",
		fmt.Sprintf("%d is out of bounds", c.ChecksPerSecond), fmt.Sprintf("choose %d to %d", leastChecks, mostChecks))
	for _, a := range keyed("agents.announce", c.Announce) {
		address, err := netip.ParseAddr(a.value)
		v.check(err == nil && !address.IsUnspecified() && address.Zone() == "", a.key, fmt.Sprintf("%q is no IP address", shortened(a.value)),
			"write the address that peers reach, for example 192.0.2.10")
	}
}

func (v *validation) prefixes(values []setting) {
	for _, p := range values {
		_, err := netip.ParsePrefix(p.value)
		v.check(err == nil, p.key, fmt.Sprintf("%q is no CIDR prefix", shortened(p.value)), "write ADDRESS/BITS, for example 192.168.0.0/16 or fd00::/8")
	}
}

func (v *validation) webURLs(c *Config) {
	v.prefixes(keyed("http.trusted_proxies", c.HTTP.TrustedProxies))
	urls := keyed("http.origins", c.HTTP.Origins)
	urls = append(urls, c.PeerJS.namedOrigins()...)
	if c.HTTP.PublicURL != "" {
		urls = append(urls, setting{"http.public_url", c.HTTP.PublicURL})
	}
	for _, u := range urls {
		parsed, err := url.Parse(u.value)
		ok := err == nil && (parsed.Scheme == "https" || parsed.Scheme == "http") && parsed.Host != "" && strings.Trim(parsed.Path, "/") == ""
		v.check(ok, u.key, fmt.Sprintf("%q is no web origin", shortened(u.value)), "write https://HOST or https://HOST:PORT")
	}
}

func (v *validation) tls(c *Config) {
	v.check((c.TLS.Cert == "") == (c.TLS.Key == ""), "tls", "only one of tls.cert and tls.key is set", "set both PEM files or neither")
	v.check(len(c.TURN.TLS) == 0 || c.TLS.Cert != "", "turn.tls", "needs a certificate", "set tls.cert and tls.key")
	v.check(len(c.TURN.DTLS) == 0 || c.TLS.Cert != "", "turn.dtls", "needs a certificate", "set tls.cert and tls.key")
}

func (v *validation) turn(t *TURN) {
	v.check(len(t.UDP)+len(t.TCP) > 0, "turn", "no listener", "give turn.udp or turn.tcp at least one address")
	v.address("turn.relay_address", t.RelayAddress)
	for _, s := range []setting{
		{"turn.relay_bind", t.RelayBind}, {"turn.relay_address6", t.RelayAddress6}, {"turn.relay_bind6", t.RelayBind6},
	} {
		if s.value != "" {
			v.address(s.key, s.value)
		}
	}
	v.turnFamilies(t)
	v.turnSecrets(t)
	v.check(t.Drain >= 0 && t.Drain <= maxDrain, "turn.drain", fmt.Sprintf("%v is out of bounds", t.Drain), fmt.Sprintf("choose 0s to %v", maxDrain))
	limits := reflect.ValueOf(t.Limits)
	for i := range limits.NumField() {
		key := "turn.limits." + limits.Type().Field(i).Tag.Get("yaml")
		n := limits.Field(i).Int()
		v.check(n > 0 || n == -1 || n == 0 && key == "turn.limits.allocations", key, fmt.Sprintf("%d is no limit", n), "give a number above 0, or -1 for none")
	}
	_, _, err := portRange(t.RelayPorts)
	v.check(err == nil, "turn.relay_ports", fmt.Sprintf("%q is no port range", shortened(t.RelayPorts)), "write FIRST-LAST between 1024 and 65535, for example 49152-65535")
	v.check(t.Realm != "" && len(t.Realm) <= maxRealm, "turn.realm", fmt.Sprintf("%q has %d bytes", shortened(t.Realm), len(t.Realm)), fmt.Sprintf("use 1 to %d bytes", maxRealm))
	v.add(JudgeCredentialTTL("turn.credential_ttl", t.CredentialTTL))
	v.turnHost(t.Host)
	v.prefixes(append(keyed("turn.allow_peers", t.AllowPeers), keyed("turn.deny_peers", t.DenyPeers)...))
}

// JudgeCredentialTTL returns what is wrong with how long TURN credentials are to live, as said at where; nothing if all is well.
func JudgeCredentialTTL(where string, ttl time.Duration) []Problem {
	v := validation{}
	v.check(ttl >= leastTTL && ttl <= mostTTL, where, fmt.Sprintf("%v is out of bounds", ttl), "choose 1m to 48h")
	return v.problems
}

// turnHost judges what goes into URIs (RFC 7065 section 3.1) as it stands.
func (v *validation) turnHost(host string) {
	ip, err := netip.ParseAddr(host)
	fits := host == "" || isHostName(host) || err == nil && ip.Zone() == "" && !ip.IsUnspecified() && !ip.IsMulticast()
	v.check(fits, "turn.host", fmt.Sprintf("%q is neither a host name nor an IP address", shortened(host)),
		"write the name or address alone, without scheme, port or brackets, for example turn.example.org")
}

// isHostName reports whether a text is a host name of RFC 1123 section 2.1: labels of letters, digits and hyphens, the
// last of which is no number, since that would be a bad IPv4 address.
func isHostName(text string) bool {
	const longest, longestLabel = 253, 63
	labels := strings.Split(strings.TrimSuffix(text, "."), ".")
	for _, label := range labels {
		strange := strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
		})
		if strange || label == "" || len(label) > longestLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return len(text) <= longest && strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// turnFamilies holds the addresses of each family together.
func (v *validation) turnFamilies(t *TURN) {
	first, _ := netip.ParseAddr(t.RelayAddress)
	second, err := netip.ParseAddr(t.RelayAddress6)
	if t.RelayAddress6 != "" && err == nil {
		v.check(second.Is6() && !second.Is4In6() && first.Is4(), "turn.relay_address6", "is no IPv6 address beside one of IPv4",
			"give turn.relay_address the IPv4 address and turn.relay_address6 the IPv6 address")
	}
	v.check(t.RelayBind6 == "" || t.RelayAddress6 != "", "turn.relay_bind6", "has no turn.relay_address6", "set both or neither")
	v.check(len(t.STUNServers) == 0 || first.Is4(), "turn.stun_servers", "turn.relay_address is not of IPv4", "set turn.relay_address to the local IPv4 address")
	for _, server := range t.STUNServers {
		host, port, err := net.SplitHostPort(server)
		v.check(err == nil && host != "" && port != "", "turn.stun_servers", fmt.Sprintf("%q is no server", shortened(server)), "write HOST:PORT, for example stun.example.org:3478")
	}
}

// turnSecrets judges what must not be shown; no problem does.
func (v *validation) turnSecrets(t *TURN) {
	for key, secrets := range map[string][]Secret{"turn.secrets": t.Secrets, "turn.api_keys": t.APIKeys} {
		for i, secret := range secrets {
			v.check(len(secret) >= minSecret, key, fmt.Sprintf("entry %d has %d characters", i+1, len(secret)),
				fmt.Sprintf("use at least %d, for example from: openssl rand -hex 32", minSecret))
		}
	}
	for name, password := range t.Users {
		v.check(name != "" && len(name) <= 508 && password != "", "turn.users", fmt.Sprintf("%q lacks a name or a password", shortened(name)), "write {NAME: PASSWORD}")
	}
}

func (v *validation) signaling(s *Signaling) {
	v.within("signaling.heartbeat", s.Heartbeat, minHeartbeat, maxHeartbeat)
	v.within("signaling.heartbeat_native", s.HeartbeatNative, minHeartbeat, maxHeartbeat)
	v.within("signaling.heartbeat_min", s.HeartbeatMin, minHeartbeat, maxHeartbeat)
	v.within("signaling.seat_hold", s.SeatHold, 0, 5*time.Minute)
	v.within("signaling.session_ttl", s.SessionTTL, time.Minute, 7*24*time.Hour)
	v.within("signaling.drain", s.Drain, time.Millisecond, 8*time.Second)
	v.within("signaling.invite_ttl", s.InviteTTL, 0, 30*24*time.Hour)
	v.count("signaling.room_peers", float64(s.RoomPeers), 1000)
	v.count("signaling.token_peers", float64(s.TokenPeers), 100_000)
	v.count("signaling.messages_per_second", s.MessagesPerSecond, 10_000)
}

func (v *validation) within(key string, value, least, most time.Duration) {
	v.check(value >= least && value <= most, key, fmt.Sprintf("%v is out of bounds", value), fmt.Sprintf("choose %v to %v", least, most))
}

func (v *validation) count(key string, value, most float64) {
	v.check(value >= 1 && value <= most, key, fmt.Sprintf("%g is out of bounds", value), fmt.Sprintf("choose 1 to %g", most))
}

func (v *validation) address(key, value string) {
	ip, err := netip.ParseAddr(value)
	v.check(err == nil && !ip.IsUnspecified(), key, fmt.Sprintf("%q is no usable IP address", shortened(value)), "write the address that peers see, for example 203.0.113.7")
}

// relayReachable catches the likeliest slip of an operator who opens the server: a relay address of one machine only.
func (v *validation) relayReachable(c *Config) {
	relay, err := netip.ParseAddr(c.TURN.RelayAddress)
	if err != nil || !relay.IsLoopback() {
		return
	}
	for _, address := range slices.Concat(c.TURN.UDP, c.TURN.TCP, c.TURN.TLS, c.TURN.DTLS) {
		if _, err := netip.ParseAddrPort(address); err == nil && !isLoopback(address) {
			v.check(false, "turn.relay_address", fmt.Sprintf("%s reaches nobody while TURN listens on %s", relay, shortened(address)),
				"set it to this host's address as clients see it")
			return
		}
	}
}

func portRange(s string) (first, last uint16, err error) {
	a, b, _ := strings.Cut(s, "-")
	low, errLow := strconv.ParseUint(a, 10, 16)
	high, errHigh := strconv.ParseUint(b, 10, 16)
	if errLow != nil || errHigh != nil || low < 1024 || high < low {
		return 0, 0, fmt.Errorf("%q is no port range", s)
	}
	return uint16(low), uint16(high), nil
}
