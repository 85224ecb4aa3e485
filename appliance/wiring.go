package appliance

import (
	"crypto/rand"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tourbillon/appliance/config"
	"tourbillon/signaling"
	"tourbillon/signaling/agent"
	"tourbillon/turn"
)

// inviteLifetime is how long the printed invite link can be used.
const inviteLifetime = 24 * time.Hour

// selfCallUser is whom the relay counts the call to ourselves by.
const selfCallUser = "self-call"

// demoRoom is the room of the printed link.
const demoRoom = "demo"

// turnConfig is the relay's configuration, as JudgeTURN has judged it, with what it needs to run.
func (a *appliance) turnConfig(certificate *tls.Config) turn.Config {
	c := turnSettings(a.config)
	c.TLSConfig, c.Secrets = certificate, TURNSecrets(a.config, a.secrets)
	c.MuxPorts, c.Clock, c.Log = a.muxPorts(), a.meter.Clock("turn.server", a.clock), a.log
	return c
}

// turnSettings is what the configuration alone says of the relay. The prefixes and addresses were validated when it was
// read; what is malformed is left out.
func turnSettings(all config.Config) turn.Config {
	c := all.TURN
	first, last := all.RelayPortRange()
	return turn.Config{
		UDP: c.UDP, TCP: c.TCP, TLS: all.TURNTLS(), DTLS: c.DTLS,
		Realm: c.Realm, Users: turnUsers(c.Users), CredentialTTL: c.CredentialTTL,
		RelayAddress: address(c.RelayAddress), RelayBind: address(c.RelayBind),
		RelayAddress6: address(c.RelayAddress6), RelayBind6: address(c.RelayBind6), STUNServers: c.STUNServers,
		PortMin: first, PortMax: last,
		AllowPeers: prefixes(c.AllowPeers), DenyPeers: prefixes(c.DenyPeers),
		Limits: turnLimitsOf(all),
	}
}

// turnLimitsOf are the limits in force, the defaults filled in.
func turnLimitsOf(c config.Config) turn.Limits {
	if c.LimitsOff() {
		return turn.LimitsOff()
	}
	first, last := c.RelayPortRange()
	return turnLimits(c.TURN.Limits).WithDefaults(int(last) - int(first) + 1)
}

// address is the zero value for an empty text.
func address(text string) netip.Addr {
	parsed, _ := netip.ParseAddr(text)
	return parsed
}

// TURNSecrets are the shared secrets in force, the one that signs first: the configured ones, or the generated one.
func TURNSecrets(c config.Config, generated Secrets) [][]byte {
	if len(c.TURN.Secrets) == 0 {
		return [][]byte{generated.TURN}
	}
	secrets := make([][]byte, len(c.TURN.Secrets))
	for i, secret := range c.TURN.Secrets {
		secrets[i] = []byte(secret)
	}
	return secrets
}

func turnLimits(l config.TURNLimits) turn.Limits {
	return turn.Limits{
		Allocations: l.Allocations, AllocationsPerUser: l.AllocationsPerUser, AllocationsPerSource: l.AllocationsPerSource,
		PeersPerAllocation: l.PeersPerAllocation, ChannelsPerAllocation: l.ChannelsPerAllocation,
		NewPeersPerSecond: l.NewPeersPerSecond, PacketsPerSecond: l.PacketsPerSecond, BytesPerSecond: l.BytesPerSecond,
		ServerBytesPerSecond: l.ServerBytesPerSecond, ChallengesPerSecond: l.ChallengesPerSecond,
		BindingsPerSecond: l.BindingsPerSecond, UnauthenticatedConns: l.UnauthenticatedConns,
		UnauthenticatedConnsPerSource: l.UnauthenticatedConnsPerSource,
	}
}

func turnUsers(users map[string]config.Secret) map[string]string {
	plain := make(map[string]string, len(users))
	for name, password := range users {
		plain[name] = string(password)
	}
	return plain
}

func prefixes(texts []string) []netip.Prefix {
	parsed := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil {
			parsed = append(parsed, p)
		}
	}
	return parsed
}

func (a *appliance) signalingConfig(verifier *signaling.Verifier) signaling.Config {
	c := a.config.Signaling
	return signaling.Config{
		Clock:       a.meter.Clock("signaling", a.clock),
		Heartbeats:  a.meter.Clock("signaling.heartbeat", a.clock),
		BeatWritten: a.beatWritten(),
		Credentials: iceServers{a}, Orchestrator: a.orchestrator(), Local: a.localPeer(), Tokens: verifier, OpenRooms: a.config.OpenRooms(),
		Origins: a.origins(), LoopbackOnly: a.config.HTTPPrivate(),
		Heartbeat: c.Heartbeat, HeartbeatNative: c.HeartbeatNative, HeartbeatMin: c.HeartbeatMin,
		DrainSpread: c.Drain, SessionTTL: c.SessionTTL,
		Limits: signaling.Limits{
			Off: a.config.LimitsOff(), SeatHold: orOff(c.SeatHold), RoomPeers: c.RoomPeers,
			MessagesPerSecond: c.MessagesPerSecond, MessageBurst: 3 * c.MessagesPerSecond, TokenPeers: c.TokenPeers,
		},
		SessionKey: a.secrets.Session, ServerID: a.id, Log: a.log,
	}
}

// verifierConfig says which tokens open rooms: our own, and those signed with the keys of signaling.token_keys.
func verifierConfig(all config.Config, own []byte) signaling.VerifierConfig {
	c := all.Signaling
	return signaling.VerifierConfig{
		Secrets: [][]byte{own}, KeyFile: c.TokenKeys, Issuer: c.TokenIssuer, MaxInvite: orOff(c.InviteTTL),
	}
}

// orOff turns a configured 0, which is off, into what packages take for it: they take 0 for their default.
func orOff(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// beatWritten records how late heartbeats were written, where somebody asked for it; nil where nobody did.
func (a *appliance) beatWritten() func(time.Duration) {
	if a.beats == nil {
		return nil
	}
	return a.beats.Record
}

// origins are the web origins whose pages may connect: the configured ones, and our own as a proxy shows it.
func (a *appliance) origins() []string {
	if a.config.HTTP.PublicURL == "" {
		return a.config.HTTP.Origins
	}
	return append([]string{strings.TrimSuffix(a.config.HTTP.PublicURL, "/")}, a.config.HTTP.Origins...)
}

// iceServers is what signaling asks of the relay: servers with credentials for one peer.
type iceServers struct{ a *appliance }

func (i iceServers) ICEServers(peer, host string) (servers []signaling.ICEServer, ttl time.Duration) {
	urls, username, credential, ttl := i.a.turn.ICEServers(peer, time.Now(), i.a.turnHost(host))
	return []signaling.ICEServer{{URLs: urls, Username: username, Credential: credential}}, ttl
}

// turnHost is the host in the ICE URLs of a client that reached the HTTP listener by the given host: turn.host where
// it is set, the bound addresses on one machine, since "localhost" may mean ::1 there, else the client's own word.
func (a *appliance) turnHost(host string) string {
	switch {
	case a.config.TURN.Host != "":
		return a.config.TURN.Host
	case a.config.Loopback():
		return ""
	}
	return host
}

// selfRelay is our own relay for the self-call, over the first transport that is bound.
func (a *appliance) selfRelay() agent.Relay {
	urls, username, credential, _ := a.turn.ICEServers(selfCallUser, time.Now(), "")
	for _, u := range urls {
		if strings.HasPrefix(u, "turn:") {
			return agent.Relay{URL: u, Username: username, Credential: credential}
		}
	}
	return agent.Relay{}
}

// scheme of the public listener.
func (a *appliance) scheme() string {
	if a.config.TLS.Cert != "" {
		return "https"
	}
	return "http"
}

// publicURL is how clients reach the public listener.
func (a *appliance) publicURL() string {
	if a.config.HTTP.PublicURL != "" {
		return strings.TrimSuffix(a.config.HTTP.PublicURL, "/")
	}
	address := a.named(a.public.address())
	if a.config.HTTPLoopback() {
		_, port, _ := net.SplitHostPort(address)
		address = net.JoinHostPort("localhost", port) // A secure context in every browser, and kinder to read.
	}
	return a.scheme() + "://" + address
}

// named turns a wildcard listen address into one that can be opened: that of the relay, which peers can reach.
func (a *appliance) named(address string) string {
	bound, err := netip.ParseAddrPort(address)
	if err != nil || !bound.Addr().IsUnspecified() {
		return address
	}
	return net.JoinHostPort(a.config.TURN.RelayAddress, strconv.Itoa(int(bound.Port())))
}

// inviteTTL is how long the printed link can be used: a day, where the operator accepts invites of that age.
func (a *appliance) inviteTTL() time.Duration {
	return min(inviteLifetime, max(a.config.Signaling.InviteTTL, signaling.MaxJoinTTL))
}

// inviteLink opens the call page in the demo room.
func (a *appliance) inviteLink() string {
	return a.admitting(a.publicURL()+"/call/", demoRoom, signaling.CanAll, a.inviteTTL())
}

// checkLink opens the pre-call test, at the given address of its page. Where rooms want a token it has a room of its
// own: a token for a room that people meet in would open that to whoever is handed the link.
func (a *appliance) checkLink(page string) string {
	if a.config.OpenRooms() {
		return page // The page makes a room up.
	}
	return a.admitting(page, "check-"+strings.ToLower(rand.Text()), signaling.CanJoin, signaling.MaxJoinTTL)
}

// admitting is a page's address with a room; with a token where rooms want one, in the fragment, which browsers do not
// send and logs do not hold.
func (a *appliance) admitting(page, room string, can signaling.Capabilities, ttl time.Duration) string {
	link := page + "?room=" + room
	if a.config.OpenRooms() {
		return link
	}
	wanted := signaling.TokenRequest{Room: room, Can: can, TTL: ttl, Issuer: a.config.Signaling.TokenIssuer}
	token, err := signaling.IssueToken(a.secrets.Token, wanted, time.Now())
	if err != nil {
		a.log.Error("no token for a link", "room", room, "error", err)
		return link
	}
	return link + "#token=" + url.QueryEscape(token)
}
