package signaling

import (
	"time"

	"tourbillon/timing"
)

// Limits bounds what one client, one address and one room may use. A field of 0 takes its default.
type Limits struct {
	// MessageBytes bounds one message; beyond it the connection is closed with 1009. Default 64 KiB.
	MessageBytes int
	// SDPBytes bounds the session description of an offer or answer. Default 32 KiB.
	SDPBytes int
	// DataBytes bounds the "data" of a message. Default 16 KiB.
	DataBytes int
	// QueueMessages and QueueBytes bound what waits for a slow reader. Default 256 messages or 1 MiB.
	QueueMessages, QueueBytes int
	// ReplayMessages and ReplayBytes bound what is kept for a client to resume from. Default 200 messages or 256 KiB;
	// never more messages than QueueMessages.
	ReplayMessages, ReplayBytes int

	// Off lifts the limits below, for benchmarks on loopback. Those above hold: memory depends on them.
	Off bool
	// MessagesPerSecond and MessageBurst bound what one connection sends, pongs excepted. Default 20 and 60.
	MessagesPerSecond, MessageBurst float64
	// Candidates bounds the candidates from one peer to another since the last offer or answer between them.
	// Default 100.
	Candidates int
	// RoomPeers bounds the peers of one room. Default 64.
	RoomPeers int
	// RoomDeliveriesPerSecond bounds the copies that messages and updates to a whole room make. Default 4000, twice
	// that at once.
	RoomDeliveriesPerSecond float64
	// SeatHold is how long a seat outlives its socket, for a client that said hello. Default 30 s; below 0 it does not.
	SeatHold time.Duration
	// Paths bounds the pairs of peers whose paths are followed at a time, PathsPerAddress those of them that peers of one
	// address or /64 network began. Beyond them clients restart by themselves. Default 16384 and 4096: two full rooms.
	Paths, PathsPerAddress int
	// TokenPeers bounds the seats that one token opens at a time. Default 64.
	TokenPeers int
	// Connections bounds the connections of one address or /64 network. Default 1024.
	Connections int
	// JoinsPerSecond bounds the joins from one address (IPv4) or /64 network (IPv6). Default 5, twice that at once. To
	// come back with a session counts a twentieth.
	JoinsPerSecond float64
	// JoinTimeout is how long a connection may stay without a room. Default 5 s.
	JoinTimeout time.Duration
	// Unjoined bounds the connections of one address or /64 network that have not joined yet. Default 16.
	Unjoined int
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.MessageBytes, 64<<10)
	setDefault(&l.SDPBytes, 32<<10)
	setDefault(&l.DataBytes, 16<<10)
	setDefault(&l.QueueMessages, 256)
	setDefault(&l.QueueBytes, 1<<20)
	setDefault(&l.ReplayMessages, 200)
	l.ReplayMessages = min(l.ReplayMessages, l.QueueMessages)
	setDefault(&l.ReplayBytes, 256<<10)
	setDefault(&l.SeatHold, 30*time.Second)
	l.SeatHold = max(l.SeatHold, 0)
	setDefault(&l.RoomDeliveriesPerSecond, 4000)
	setDefault(&l.Paths, 16384)
	setDefault(&l.PathsPerAddress, 4096)
	setDefault(&l.TokenPeers, 64)
	setDefault(&l.Connections, 1024)
	setDefault(&l.MessagesPerSecond, 20)
	setDefault(&l.MessageBurst, 60)
	setDefault(&l.Candidates, 100)
	setDefault(&l.RoomPeers, 64)
	setDefault(&l.JoinsPerSecond, 5)
	setDefault(&l.JoinTimeout, 5*time.Second)
	setDefault(&l.Unjoined, 16)
	return l
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// bucket is a token bucket. The zero value is full. It is pure: its owner serialises calls and tells the time.
type bucket struct {
	used float64
	last timing.Instant
}

// take takes one token of burst, which come back at rate per second; false when none is left.
func (b *bucket) take(now timing.Instant, rate, burst float64) bool {
	return b.takeN(1, now, rate, burst)
}

// takeN takes n tokens, or none.
func (b *bucket) takeN(n float64, now timing.Instant, rate, burst float64) bool {
	b.refill(now, rate)
	if b.used+n > burst {
		return false
	}
	b.used += n
	return true
}

func (b *bucket) refill(now timing.Instant, rate float64) {
	b.used = max(0, b.used-now.Sub(b.last).Seconds()*rate)
	b.last = now
}
