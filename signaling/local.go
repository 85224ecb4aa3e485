package signaling

import (
	"encoding/json"
	"net/netip"
)

// LocalPeerID is the peer that clients of any room address to call this very process. It is in no list of peers.
const LocalPeerID = "@appliance"

// LocalPeer is the peer within this process.
type LocalPeer interface {
	// Receive takes a message that a peer addressed to [LocalPeerID]. It is called on the connection's goroutine and
	// delays only that connection, one message of which is given after another. An error is told to the client, with its
	// remedy if it is an [Advised].
	Receive(m LocalMessage) error
	// Gone tells that a peer which has sent something to the local one is no more in the room: it has left, or its seat
	// was given up. It must not block, may be called again for the same stay, and may come after the first message of the
	// peer's next stay, whose number is higher.
	Gone(room, peer string, stay uint64)
}

// LocalMessage is an offer, answer, candidate, restart or message of a peer's for the local one. Kind is the message's
// type; each uses some of the fields.
type LocalMessage struct {
	Kind string
	// Room and Peer say who sent it, Address where the connection comes from.
	Room, Peer string
	Address    netip.Addr
	// Stay numbers the peer's presence in the room: a later join has a higher one. Gone names it.
	Stay uint64
	SDP  string
	// Candidate is an RTCIceCandidateInit, or null at the end of candidates.
	Candidate json.RawMessage
	Reason    string
	Data      json.RawMessage
}

// LocalReply is what the local peer tells a client: an answer, the wish for an ICE restart, or an error.
type LocalReply struct {
	// Kind is "answer", "restart" or "error".
	Kind   string
	SDP    string
	Reason string
	// Code and Err are an error's: [CodeCallRefused], [CodeCallEnded] or [CodeRateLimited], and why. An [Advised] carries
	// its remedy.
	Code Code
	Err  error
}

// Deliver sends a peer what the local one has to say; it does not block. A peer that is away gets it when it is back.
// False says that there is no such peer in the room.
func (s *Server) Deliver(room, peer string, m LocalReply) bool {
	if m.Kind == typeError {
		return s.hub.deliver(room, peer, errorMessage{Type: typeError, Error: errLocal(m.Code, m.Err)})
	}
	return s.hub.deliver(room, peer, relayMessage{Type: m.Kind, From: LocalPeerID, SDP: m.SDP, Reason: m.Reason})
}

func (h *hub) deliver(room, peer string, m any) bool {
	h.mu.Lock()
	defer h.unlock()
	to := h.findLocked(session{room: room, peer: peer})
	if to == nil || h.stopping {
		return false
	}
	for _, slow := range h.sendLocked(sendEffect{to: []seatID{to.id}, message: m}) {
		h.lostLocked(slow, ReasonSlow)
	}
	return true
}

// local gives a message to the local peer. One that was seen before is passed over.
func (c *conn) local(m inbound) *Error {
	to := c.srv.config.Local
	if to == nil {
		return errUnknownPeer(m.To)
	}
	if !c.srv.hub.passLocal(c, m.N) {
		return nil
	}
	stay := c.mine.id
	err := to.Receive(LocalMessage{
		Kind: m.Type, Room: c.room, Peer: c.peer, Address: c.addr.Addr(), Stay: uint64(stay),
		SDP: m.SDP, Candidate: m.Candidate, Reason: cleanName(m.Reason), Data: m.Data,
	})
	if !c.srv.hub.seated(stay) { // Its end may have been told while the message was on its way.
		to.Gone(c.room, c.peer, uint64(stay))
	}
	if err != nil {
		return errLocal(CodeCallRefused, err)
	}
	c.srv.counts.relayed.Add(1)
	return nil
}

// passLocal is pass for a message to the local peer, which from now on hears of the seat's end.
func (h *hub) passLocal(c *conn, n uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.seat == nil {
		return true // The seat's end has been told, or is about to be.
	}
	c.seat.local = true
	return c.seat.accept(n)
}

func (h *hub) seated(id seatID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seats[id] != nil
}

// tellLocalLocked tells the local peer, on a goroutine of its own, that a peer which had to do with it is gone.
func (h *hub) tellLocalLocked(s *seat) {
	if s.local {
		room, peer, stay := s.room.name, s.peer, uint64(s.id)
		h.tasks.Go(func() { h.local.Gone(room, peer, stay) })
	}
}
