// Package config is the operator's manual as a Go struct: every setting with its default, read strictly from one YAML
// file and from --set options, all problems reported at once.
//
// It judges what can be judged without touching the machine; ports in use and unreadable files are reported by whoever
// opens them.
package config

import "time"

// Config is the whole configuration. The zero value is not useful; start from [Default].
type Config struct {
	// HTTP is the listener for the call page, the browser client and signaling.
	HTTP HTTP `yaml:"http"`
	// Admin is the listener for the admin page.
	Admin Admin `yaml:"admin"`
	// TLS makes the HTTP listener serve HTTPS and WSS, and adds turns: listeners.
	TLS TLS `yaml:"tls"`
	// TURN is the STUN/TURN server.
	TURN TURN `yaml:"turn"`
	// Signaling is what rooms allow.
	Signaling Signaling `yaml:"signaling"`
	// PeerJS serves the npm package peerjs, unchanged, on the HTTP listener.
	PeerJS PeerJS `yaml:"peerjs"`
	// Agents is the appliance as a peer that clients call.
	Agents Agents `yaml:"agents"`
	// Clock is what protocol timers run on: "hrtimer" (the engine; falls back to package time where the kernel gives
	// no timerfd, and says so) or "runtime" (package time).
	Clock string `yaml:"clock"`
	// Limits is "on", or "off" to lift quotas and rate limits for benchmarks, which is accepted only while every
	// listener is on loopback.
	Limits string `yaml:"limits"`
	// StateDir keeps the generated secrets. Empty means $STATE_DIRECTORY, else $XDG_STATE_HOME/tourbillon, else
	// ~/.local/state/tourbillon.
	StateDir string `yaml:"state_dir"`
	// Log is what is written to standard error.
	Log Log `yaml:"log"`
}

// HTTP configures the public listener.
type HTTP struct {
	// Listen is HOST:PORT. On another host than loopback, rooms need tokens unless signaling.open_rooms says otherwise.
	Listen string `yaml:"listen"`
	// PublicURL is how clients reach the listener ("https://call.example.org"), through a proxy perhaps, for the
	// printed links. Empty means that the listener's own address serves.
	PublicURL string `yaml:"public_url"`
	// TrustedProxies are the networks of reverse proxies whose X-Forwarded-For is believed (["127.0.0.1/32"]); without
	// them all clients behind a proxy share one address's limits.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// Origins are further web origins whose pages may open a signaling connection ("https://app.example.org").
	Origins []string `yaml:"origins"`
}

// Admin configures the admin listener.
type Admin struct {
	// Listen is HOST:PORT. The page opens by a link; /livez, /readyz and /metrics (for Prometheus) need none and name no
	// user, room or address.
	Listen string `yaml:"listen"`
}

// TLS names the certificate; both files or neither.
type TLS struct {
	// Cert is a PEM file with the certificate chain, Key one with its private key.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// TURN configures the STUN/TURN server.
type TURN struct {
	// UDP, TCP and TLS are the listen addresses, HOST:PORT with an IP address as host. TLS needs tls.cert; when that
	// is set and TLS is empty, port 5349 of each TCP address is used (RFC 8656 section 5).
	UDP []string `yaml:"udp"`
	TCP []string `yaml:"tcp"`
	TLS []string `yaml:"tls"`
	// DTLS are the listen addresses for TURN over DTLS, which no browser speaks; it needs tls.cert.
	DTLS []string `yaml:"dtls"`
	// Host is the name or address that clients are given for this server. Empty means the host by which they
	// reached the HTTP listener.
	Host string `yaml:"host"`
	// RelayAddress is the IP address that relayed traffic comes from, as the peers see it.
	RelayAddress string `yaml:"relay_address"`
	// RelayBind is the local IP address for relay sockets where it differs from RelayAddress (1:1 NAT).
	RelayBind string `yaml:"relay_bind"`
	// RelayAddress6 and RelayBind6 are the same for IPv6. Without them relays are of RelayAddress's family alone.
	RelayAddress6 string `yaml:"relay_address6"`
	RelayBind6    string `yaml:"relay_bind6"`
	// STUNServers ("stun.example.org:3478") are asked for the outside IPv4 address of this host, at the start and every
	// minute; what they tell is announced in place of RelayAddress, which then is the local one.
	STUNServers []string `yaml:"stun_servers"`
	// RelayPorts is the range FIRST-LAST of relay ports.
	RelayPorts string `yaml:"relay_ports"`
	// Realm is the authentication realm, at most 12 bytes since it is echoed to everyone who asks.
	Realm string `yaml:"realm"`
	// Secrets are the shared secrets, 16 characters or more: the first signs, all verify, so that a secret can be replaced
	// while its credentials are in use. Empty means the generated one in the state folder. Read again on SIGHUP.
	Secrets []Secret `yaml:"secrets"`
	// Users are static users with their passwords, for clients that cannot have credentials issued. Read again on SIGHUP.
	Users map[string]Secret `yaml:"users"`
	// APIKeys admit other programs (Janus, nextcloud-spreed-signaling and their like) to /turn/credentials on the HTTP
	// listener; 16 characters or more. Empty turns that off.
	APIKeys []Secret `yaml:"api_keys"`
	// CredentialTTL is how long issued credentials open new allocations; running ones go on.
	CredentialTTL time.Duration `yaml:"credential_ttl"`
	// AllowPeers lifts private prefixes from the denial list (["192.168.0.0/16"]); loopback, link-local, metadata
	// and multicast addresses cannot be lifted. DenyPeers adds prefixes.
	AllowPeers []string `yaml:"allow_peers"`
	DenyPeers  []string `yaml:"deny_peers"`
	// Drain is how long a stop waits for the present allocations to end, 0s to 30s; none is made meanwhile.
	Drain time.Duration `yaml:"drain"`
	// Limits are the quotas and rates.
	Limits TURNLimits `yaml:"limits"`
}

// TURNLimits are the relay's quotas and rates; -1 is none.
type TURNLimits struct {
	// Allocations counts all of them; 0 means 1000, or half of the relay ports where that is less. A client makes two to
	// four for one call.
	Allocations          int `yaml:"allocations"`
	AllocationsPerUser   int `yaml:"allocations_per_user"`
	AllocationsPerSource int `yaml:"allocations_per_source"`
	// PeersPerAllocation and ChannelsPerAllocation are how many at a time; NewPeersPerSecond how fast, after the first 32.
	PeersPerAllocation    int `yaml:"peers_per_allocation"`
	ChannelsPerAllocation int `yaml:"channels_per_allocation"`
	NewPeersPerSecond     int `yaml:"new_peers_per_second"`
	// PacketsPerSecond and BytesPerSecond are for one allocation, each way; ServerBytesPerSecond for all, both ways.
	PacketsPerSecond     int `yaml:"packets_per_second"`
	BytesPerSecond       int `yaml:"bytes_per_second"`
	ServerBytesPerSecond int `yaml:"server_bytes_per_second"`
	// ChallengesPerSecond and BindingsPerSecond are replies to one source over UDP that has not authenticated; more are
	// not answered.
	ChallengesPerSecond int `yaml:"challenges_per_second"`
	BindingsPerSecond   int `yaml:"bindings_per_second"`
	// UnauthenticatedConns and UnauthenticatedConnsPerSource are TCP, TLS and DTLS connections.
	UnauthenticatedConns          int `yaml:"unauthenticated_conns"`
	UnauthenticatedConnsPerSource int `yaml:"unauthenticated_conns_per_source"`
}

// Secret is text that no log and no error shows.
type Secret string

// hidden stands for every secret.
const hidden = "(secret)"

// String hides the text.
func (Secret) String() string { return hidden }

// GoString hides the text.
func (Secret) GoString() string { return hidden }

// MarshalText hides the text.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Signaling configures rooms.
type Signaling struct {
	// OpenRooms lets anybody join any room without a token. Left out, rooms are open while http.listen is loopback and
	// http.public_url names no other host.
	OpenRooms *bool `yaml:"open_rooms"`
	// Heartbeat is the interval of the server's pings to browsers, HeartbeatNative to other clients, 1ms to 5s; a client
	// that misses three is away. HeartbeatMin is the shortest interval that a client is granted when it asks.
	Heartbeat       time.Duration `yaml:"heartbeat"`
	HeartbeatNative time.Duration `yaml:"heartbeat_native"`
	HeartbeatMin    time.Duration `yaml:"heartbeat_min"`
	// SeatHold is how long a peer whose connection dropped keeps its place in the room, at most 5m; 0 for not at all.
	SeatHold time.Duration `yaml:"seat_hold"`
	// SessionTTL is how long a client may come back without its token since it was last here, 1m to 168h.
	SessionTTL time.Duration `yaml:"session_ttl"`
	// Drain is the time over which a stopping server ends the connections one after another, at most 8s.
	Drain time.Duration `yaml:"drain"`
	// RoomPeers bounds the peers of a room, TokenPeers those that one token admits at a time.
	RoomPeers  int `yaml:"room_peers"`
	TokenPeers int `yaml:"token_peers"`
	// MessagesPerSecond is what one client may send on average; three times as much at once.
	MessagesPerSecond float64 `yaml:"messages_per_second"`
	// TokenKeys is a JWK Set file (RFC 7517) with further keys for join tokens, Ed25519 or secrets, besides the
	// generated one. It is read again when it changes, and on SIGHUP, which tells in the log what is wrong with it. Who has
	// joined by a key that is taken out stays, and may come back for SessionTTL. A set with secrets must be its owner's
	// alone, or one of systemd's credentials (LoadCredential=).
	TokenKeys string `yaml:"token_keys"`
	// TokenIssuer is the "iss" that join tokens must name. Empty means any. Our own tokens name it, too.
	TokenIssuer string `yaml:"token_issuer"`
	// InviteTTL is how long an invite may live, at most 720h; 0 for no invites. Other join tokens live at most 10m.
	InviteTTL time.Duration `yaml:"invite_ttl"`
}

// Agents configures the appliance as the peer "@appliance", which any client in a room may call for echo and path
// measurement. TURN clients may reach its port, too, so that it can be called over the relay alone.
type Agents struct {
	// Enabled is false where nobody is to call the appliance.
	Enabled bool `yaml:"enabled"`
	// Listen is the HOST:PORT of the one UDP socket, with an IP address as host; port 0 takes any. Empty means no agents,
	// too.
	Listen string `yaml:"listen"`
	// TCP is the HOST:PORT of a TCP listener for peers that UDP does not reach. Empty, the default, means UDP alone.
	TCP string `yaml:"tcp"`
	// Announce are the IP addresses by which peers reach the sockets, where they differ from the one in listen (1:1 NAT).
	// Left out, it is the address in listen, or turn.relay_address where that is 0.0.0.0 or [::]. Each is offered to callers,
	// and no other one: add the inside address where peers on the inside are to come the short way. It is not added by
	// itself, since everybody who may call would learn it.
	Announce []string `yaml:"announce"`
	// Calls is how many calls there may be at once, CallsPerAddress how many of them from one address, of IPv6 from one
	// /64.
	Calls           int `yaml:"calls"`
	CallsPerAddress int `yaml:"calls_per_address"`
	// Lifetime ends a call however it goes, 1m to 24h. Idle ends one whose data channels carry nothing, 10s to 24h.
	Lifetime time.Duration `yaml:"lifetime"`
	Idle     time.Duration `yaml:"idle"`
	// Bytes is what a call's data channels may carry both ways, from 65536. MessagesPerSecond is how many of the caller's
	// messages are taken; what comes on top is dropped.
	Bytes             int `yaml:"bytes"`
	MessagesPerSecond int `yaml:"messages_per_second"`
	// CheckInterval is the time between two connectivity checks of one agent (Ta of RFC 8445 section 14.2), 5ms to 500ms.
	CheckInterval time.Duration `yaml:"check_interval"`
	// ChecksPerSecond is how many checks all agents together send, 20 to 100000.
	ChecksPerSecond int `yaml:"checks_per_second"`
}

// On reports whether the appliance can be called.
func (a *Agents) On() bool { return a.Enabled && a.Listen != "" }

// Log configures logging.
type Log struct {
	// Level is "debug", "info", "warn" or "error".
	Level string `yaml:"level"`
	// Format is "text" for people or "json" for machines.
	Format string `yaml:"format"`
}

// Default is the configuration without any file or option: one machine, everything on loopback.
func Default() Config {
	return Config{
		HTTP:  HTTP{Listen: "127.0.0.1:8080"},
		Admin: Admin{Listen: "127.0.0.1:8081"},
		TURN: TURN{
			UDP:           []string{"127.0.0.1:3478"},
			TCP:           []string{"127.0.0.1:3478"},
			RelayAddress:  "127.0.0.1",
			RelayPorts:    "49152-65535",
			Realm:         "tourbillon",
			CredentialTTL: 5 * time.Minute,
			Drain:         5 * time.Second,
			Limits: TURNLimits{
				AllocationsPerUser: 12, AllocationsPerSource: 50, PeersPerAllocation: 32, ChannelsPerAllocation: 32,
				NewPeersPerSecond: 5, PacketsPerSecond: 10_000, BytesPerSecond: 6_250_000, ServerBytesPerSecond: 1_250_000_000,
				ChallengesPerSecond: 10, BindingsPerSecond: 20, UnauthenticatedConns: 1000, UnauthenticatedConnsPerSource: 20,
			},
		},
		Agents: Agents{
			Enabled: true, Listen: "127.0.0.1:0",
			Calls: 64, CallsPerAddress: 4, Lifetime: time.Hour, Idle: 2 * time.Minute,
			Bytes: 256 << 20, MessagesPerSecond: 1000, CheckInterval: 50 * time.Millisecond, ChecksPerSecond: 2000,
		},
		Signaling: Signaling{
			Heartbeat:         time.Second,
			HeartbeatNative:   100 * time.Millisecond,
			HeartbeatMin:      20 * time.Millisecond,
			SeatHold:          30 * time.Second,
			SessionTTL:        24 * time.Hour,
			Drain:             500 * time.Millisecond,
			RoomPeers:         64,
			TokenPeers:        64,
			MessagesPerSecond: 20,
			InviteTTL:         24 * time.Hour,
		},
		PeerJS: defaultPeerJS(),
		Clock:  "hrtimer",
		Limits: "on",
		Log:    Log{Level: "info", Format: "text"},
	}
}
