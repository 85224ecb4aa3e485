package signaling

import (
	"crypto/rand"
	"log/slog"
	"time"

	"tourbillon/timing"
)

// Credentials issues what a peer needs to use the TURN server.
type Credentials interface {
	// ICEServers returns the ICE servers for a peer that reached this server by a host name (without port and
	// brackets; the client's own words), and how long their credentials last: 0 means for ever. It is called on the
	// connection's goroutines, concurrently, and delays only that connection.
	ICEServers(peer, host string) (servers []ICEServer, ttl time.Duration)
}

// Config is what a [Server] is made from. The zero value of a field takes the default that its comment states.
type Config struct {
	// Clock is what all timers run on. Default [timing.Runtime].
	Clock timing.Clock
	// Heartbeats is the clock of the pings, where their lateness is to be told apart. Default Clock.
	Heartbeats timing.Clock
	// Credentials issues ICE servers. Default none: clients get an empty list.
	Credentials Credentials
	// Orchestrator decides over the paths between clients. Default none: clients restart by themselves.
	Orchestrator Orchestrator
	// Local is the peer [LocalPeerID]. Default none.
	Local LocalPeer
	// Tokens judges join tokens. Without it and without OpenRooms nobody can join.
	Tokens *Verifier
	// OpenRooms lets everybody join every room; tokens are not looked at then.
	OpenRooms bool
	// Origins lists further origins whose pages may connect, such as "https://app.example". A page of the very host
	// that it connects to always may.
	Origins []string
	// LoopbackOnly demands that requests name a loopback host, against DNS rebinding. Set it when listening on
	// loopback only.
	LoopbackOnly bool
	// Heartbeat is the time between pings to browsers, HeartbeatNative to other clients, 1 ms to 5 s; what lies outside
	// is taken as the nearer end. Default 1 s and 100 ms.
	Heartbeat, HeartbeatNative time.Duration
	// HeartbeatMin is the shortest interval that a client is granted. Default 20 ms.
	HeartbeatMin time.Duration
	// BeatWritten, where set, is told after each ping's write how long after its deadline it returned, in the order of
	// one connection's pings. It is called on the goroutine that wrote it, the
	// waker's among them, and must not block.
	BeatWritten func(late time.Duration)
	// Limits bounds what clients may use.
	Limits Limits
	// DrainSpread is the time over which Shutdown spreads the ends of connections, and with them the clients' return.
	// Default 500 ms.
	DrainSpread time.Duration
	// SessionKey signs sessions. The same key after a restart lets peers keep their ids. Default random.
	SessionKey []byte
	// SessionTTL is how long a session stands for the token of the first join, from each time that it is renewed.
	// Default 24 h.
	SessionTTL time.Duration
	// ServerID names the running process to clients. Default random.
	ServerID string
	// Log gets joins, leaves and faults. Default none.
	Log *slog.Logger
	// Now tells the wall-clock time. Default [time.Now].
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	setDefault[timing.Clock](&c.Clock, timing.Runtime{})
	setDefault(&c.Heartbeats, c.Clock)
	setDefault(&c.Heartbeat, time.Second)
	setDefault(&c.HeartbeatNative, 100*time.Millisecond)
	setDefault(&c.HeartbeatMin, 20*time.Millisecond)
	for _, interval := range []*time.Duration{&c.Heartbeat, &c.HeartbeatNative, &c.HeartbeatMin} {
		*interval = min(max(*interval, minHeartbeat), maxHeartbeat)
	}
	c.Limits = c.Limits.withDefaults()
	setDefault(&c.DrainSpread, 500*time.Millisecond)
	setDefault(&c.SessionTTL, 24*time.Hour)
	if len(c.SessionKey) == 0 {
		c.SessionKey = []byte(rand.Text())
	}
	setDefault(&c.ServerID, rand.Text()[:12])
	setDefault(&c.Log, slog.New(slog.DiscardHandler))
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
