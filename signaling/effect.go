package signaling

import (
	"encoding/json"
	"net/netip"
	"time"

	"tourbillon/timing"
)

// What happens to a room. Each event comes from one seat.
type (
	// joinEvent brings a peer in. A peer id that is present already is taken over, its old seat closed.
	joinEvent struct {
		seat     seatID
		peer     string
		name     string
		metadata json.RawMessage
		// at is wall-clock time, for the operator to see.
		at time.Time
		// welcome is completed by the room and sent to the seat.
		welcome joinedMessage
	}
	// updateEvent changes what the others are shown of a peer; what is empty stays.
	updateEvent struct {
		seat     seatID
		name     string
		metadata json.RawMessage
	}
	// relayEvent carries an offer, answer, candidate, restart or message to one peer, or a message to all others.
	relayEvent struct {
		seat      seatID
		to        string
		kind      string
		sdp       string
		candidate json.RawMessage
		reason    string
		data      json.RawMessage
	}
	// reportEvent is a peer's word about its path to another. begin is the path to follow from here on where none is,
	// nil where there may be no more; origin is the network that it is counted by.
	reportEvent struct {
		seat   seatID
		to     string
		word   PathEvent
		begin  Path
		origin netip.Prefix
	}
	// wokenEvent says that the time of a path's next step has come.
	wokenEvent struct{ pair pairKey }
	// awayEvent says that a seat has lost its socket and is held for the peer to come back.
	awayEvent struct {
		seat   seatID
		reason Reason
	}
	// backEvent says that a held seat has a socket again.
	backEvent struct{ seat seatID }
	// goneEvent takes a peer out: it left, or its seat is given up.
	goneEvent struct {
		seat   seatID
		reason Reason
	}
)

type event interface{ isEvent() }

func (joinEvent) isEvent()   {}
func (updateEvent) isEvent() {}
func (relayEvent) isEvent()  {}
func (reportEvent) isEvent() {}
func (wokenEvent) isEvent()  {}
func (awayEvent) isEvent()   {}
func (backEvent) isEvent()   {}
func (goneEvent) isEvent()   {}

// What a room wants done, as values: nothing in them is of this process but the numbers of seats, and pairs that ended.
type (
	// welcomeEffect answers the seat that joined.
	welcomeEffect struct {
		to      seatID
		message joinedMessage
	}
	// sendEffect tells seats of the room.
	sendEffect struct {
		to      []seatID
		message any
	}
	// holdEffect keeps a seat without a socket for some time; a goneEvent with the reason follows.
	holdEffect struct {
		seat   seatID
		time   time.Duration
		reason Reason
	}
	// wakeEffect has a wokenEvent follow at an instant, in place of the one asked for before; Never for none.
	wakeEffect struct {
		pair pairKey
		at   timing.Instant
	}
	// askEffect asks a seat to restart its connection to the peer about over a route.
	askEffect struct {
		to     seatID
		about  string
		route  string
		reason string
	}
	// endPairEffect ends what belongs to a pair that the room has forgotten.
	endPairEffect struct{ pair *pair }
	// closeEffect ends a seat that is no longer of the room, and its connection.
	closeEffect struct {
		seat   seatID
		reason Reason
	}
)

type effect interface{ isEffect() }

func (welcomeEffect) isEffect() {}
func (sendEffect) isEffect()    {}
func (holdEffect) isEffect()    {}
func (wakeEffect) isEffect()    {}
func (askEffect) isEffect()     {}
func (endPairEffect) isEffect() {}
func (closeEffect) isEffect()   {}
