package peerjs

import (
	"log/slog"
	"time"

	"tourbillon/timing"
)

// ICEServer is one entry of RTCConfiguration.iceServers (W3C WebRTC 1.0, section 4.2.2).
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Credentials issues what a client needs to use the TURN server.
type Credentials interface {
	// ICEServers returns the ICE servers for a client that reached this server by a host name (its own words, without
	// port and brackets), and how long their credentials last. It must not block for long.
	ICEServers(user, host string) (servers []ICEServer, ttl time.Duration)
}

// Tokens judges the tokens of clients where the service is not open.
type Tokens interface {
	// Admit returns nil when the token lets its bearer use the service at now, else why not in words for the client.
	Admit(token string, now time.Time) error
}

// Config is what a [Server] is made from. The zero value of a field takes the default that its comment states.
type Config struct {
	// Clock is what all timers run on. Default [timing.Runtime].
	Clock timing.Clock
	// Prefix is the path under which the service is, the client's option `path`. Default "/".
	Prefix string
	// Key is what clients name as their option `key`. Default "peerjs", which is the client's default.
	Key string
	// Open lets everybody in who names the key; tokens are only proofs of an id then.
	Open bool
	// Tokens judges tokens unless Open. Without it and without Open nobody is let in.
	Tokens Tokens
	// Credentials issues ICE servers. Default none: clients get an empty list.
	Credentials Credentials
	// Origins lists further web origins whose pages may connect ("https://app.example"); "*" stands for all. A page of
	// the very host that it connects to always may.
	Origins []string
	// LoopbackPages lets pages of any loopback host in, as a development server on another port serves them. Set it
	// only when listening on loopback.
	LoopbackPages bool
	// Discovery lets everybody list the ids of all clients.
	Discovery bool
	// Limits bounds what clients may use.
	Limits Limits
	// Log gets faults, and comings and goings at level debug. Default none.
	Log *slog.Logger
	// Now tells the wall-clock time. Default [time.Now].
	Now func() time.Time
}

// Limits bounds what one client and one address may use. A field of 0 takes its default.
type Limits struct {
	// MessageBytes bounds one message; beyond it the connection is closed with 1009. Default 64 KiB.
	MessageBytes int
	// IDBytes bounds an id, TokenBytes a token. Default 64 and 4 KiB.
	IDBytes, TokenBytes int
	// QueueBytes bounds what waits for a slow reader, frame headers included. Default 1 MiB.
	QueueBytes int
	// Wait is how long a message waits for a client that is not there (the reference server's expire_timeout).
	// Default 5 s.
	Wait time.Duration
	// WaitingMessages and WaitingBytes bound what waits for one absent client; the bytes also what waits of one sender.
	// Default 64 and 256 KiB.
	WaitingMessages, WaitingBytes int
	// Mailboxes bounds the absent clients for whom something waits. Default 4096.
	Mailboxes int
	// Silence is how long a client may go without a HEARTBEAT (the reference server's alive_timeout). Default 90 s.
	Silence time.Duration

	// Off lifts the limits below, for benchmarks on loopback. Those above hold: memory depends on them.
	Off bool
	// Clients bounds the ids in use. Default 5000, as with the reference server.
	Clients int
	// PerAddress bounds the connections of one IPv4 address or IPv6 /64. Default 100.
	PerAddress int
	// OpensPerSecond bounds how often one address connects or asks for ICE servers, ten seconds' worth at once.
	// Default 5.
	OpensPerSecond float64
	// MessagesPerSecond and MessageBurst bound what one connection sends, heartbeats included. A client that opens
	// connections to twenty peers at once sends some hundred candidates. Default 50 and 500.
	MessagesPerSecond, MessageBurst float64
}

func (c Config) withDefaults() Config {
	setDefault[timing.Clock](&c.Clock, timing.Runtime{})
	setDefault(&c.Prefix, "/")
	setDefault(&c.Key, "peerjs")
	c.Limits = c.Limits.withDefaults()
	setDefault(&c.Log, slog.New(slog.DiscardHandler))
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.MessageBytes, 64<<10)
	setDefault(&l.IDBytes, 64)
	setDefault(&l.TokenBytes, 4<<10)
	setDefault(&l.QueueBytes, 1<<20)
	setDefault(&l.Wait, 5*time.Second)
	setDefault(&l.WaitingMessages, 64)
	setDefault(&l.WaitingBytes, 256<<10)
	setDefault(&l.Mailboxes, 4096)
	setDefault(&l.Silence, 90*time.Second)
	setDefault(&l.Clients, 5000)
	setDefault(&l.PerAddress, 100)
	setDefault(&l.OpensPerSecond, 5)
	setDefault(&l.MessagesPerSecond, 50)
	setDefault(&l.MessageBurst, 500)
	return l
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
