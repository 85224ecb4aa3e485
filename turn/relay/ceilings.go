package relay

import (
	"time"

	"tourbillon/turn/nonce"
)

// Refusal says which ceiling refused a packet.
type Refusal int

// The ceilings of an allocation and direction, and that of the whole plane.
const (
	Admitted Refusal = iota
	PacketRate
	Bandwidth
	Server
)

// Reply is a kind of reply that a spoofed source may have asked for. Each source has a share of each kind, which loops
// and Go take from.
type Reply int

// The kinds: Binding responses, and error responses to who has not authenticated.
const (
	BindingReply Reply = iota
	ChallengeReply
	replyKinds
)

// Challenge is what a loop needs to challenge whoever allocates without credentials: the realm, and key and period of the
// nonces, for so long.
type Challenge struct {
	Realm []byte
	Key   nonce.Key
	Step  uint32
	Good  time.Duration
}

// Direction is a packet's way through a relay.
type Direction int

// The two directions, each of which has ceilings of its own.
const (
	ToPeer Direction = iota
	FromPeer
)
