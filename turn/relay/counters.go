package relay

import "sync/atomic"

// Counters are what a loop counted. The loop writes them, anybody reads.
type Counters struct {
	// FromClients and ToClients count packets on the listeners that Go never saw, headers included, and ToClients what Go
	// wrote to streams as well, but for what a stream did not take.
	FromClients, FromClientBytes, ToClients, ToClientBytes uint64
	// Garbage counts packets that were neither STUN nor ChannelData, Strangers ChannelData and Send indications of
	// clients without an allocation.
	Garbage, Strangers uint64
	// Bindings and Challenges count Binding requests and Allocates without credentials answered, ThrottledBindings and
	// ThrottledChallenges those whose source had its share.
	Bindings, ThrottledBindings, Challenges, ThrottledChallenges uint64
	// Drops counts packets that were not passed on.
	Drops Drops
	// SocketFull and QueueFull count packets that were lost since a socket did not take them, being full as a rule, or the
	// queue to Go had no room.
	SocketFull, QueueFull uint64
	// Truncated counts packets longer than any path carries.
	Truncated uint64
	// Segments counts packets that left together with others.
	Segments uint64
	// Rounds counts waits, Packets what they brought.
	Rounds, Packets uint64
}

// Drops are packets that a ceiling took, of packets or bytes of one allocation and direction, or of the whole plane, and
// those of peers for a client whose stream did not take them.
type Drops struct{ PacketRate, Bandwidth, Server, SlowClient uint64 }

// each iterates over the counters.
func (c *Counters) each() []*uint64 {
	return []*uint64{
		&c.FromClients, &c.FromClientBytes, &c.ToClients, &c.ToClientBytes, &c.Garbage, &c.Strangers, &c.Bindings,
		&c.ThrottledBindings, &c.Challenges, &c.ThrottledChallenges, &c.Drops.PacketRate, &c.Drops.Bandwidth, &c.Drops.Server,
		&c.Drops.SlowClient,
		&c.SocketFull, &c.QueueFull, &c.Truncated, &c.Segments, &c.Rounds, &c.Packets,
	}
}

// read copies counters that a loop is writing.
func (c *Counters) read() (copied Counters) {
	for i, n := range copied.each() {
		*n = atomic.LoadUint64(c.each()[i])
	}
	return copied
}

func (c *Counters) add(other Counters) {
	for i, n := range c.each() {
		*n += *other.each()[i]
	}
}
