package relay

// Refusal says which ceiling refused a packet.
type Refusal int

// The ceilings of an allocation and direction, and that of the whole plane.
const (
	Admitted Refusal = iota
	PacketRate
	Bandwidth
	Server
)

// Direction is a packet's way through a relay.
type Direction int

// The two directions, each of which has ceilings of its own.
const (
	ToPeer Direction = iota
	FromPeer
)
