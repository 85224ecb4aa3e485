package turn

// Unlimited as the value of a limit turns it off.
const Unlimited = -1

// Limits are the quotas and rates. Zero is the default given with each field, [Unlimited] is none.
type Limits struct {
	// AllocationsPerUser counts by user id, and apart from them the ports that EVEN-PORT has reserved. Default 12.
	AllocationsPerUser int
	// AllocationsPerSource counts by client address, /32 or /64. Default 50.
	AllocationsPerSource int
	// Allocations counts all. Default 1000, or half the relay port range if that is less.
	Allocations int
	// PeersPerAllocation bounds the permissions of one allocation at a time. Default 32.
	PeersPerAllocation int
	// ChannelsPerAllocation bounds the channels of one allocation at a time. Default 32.
	ChannelsPerAllocation int
	// NewPeersPerSecond bounds how fast one allocation may add peer addresses, once it has added those that may come at
	// once, which are 32 or PeersPerAllocation: ICE installs a permission for every candidate of a peer together, and a
	// meeting begins with many peers. Default 5.
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
	// 1,250,000,000 (10 Gb/s).
	ServerBytesPerSecond int
}

// peersAtOnce is how many peer addresses an allocation may add at once: as many permissions as it may have, or where that is
// unlimited as one request can name, so that no call meets the rate before it meets PeersPerAllocation.
func (l Limits) peersAtOnce() int {
	const least, inOneRequest = 32, maxFrameBytes / 12 // XOR-PEER-ADDRESS of IPv4 with its header
	if l.PeersPerAllocation == Unlimited {
		return inOneRequest
	}
	return max(least, l.PeersPerAllocation)
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
			yield(&l.ServerBytesPerSecond, 10_000_000_000/8)
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
