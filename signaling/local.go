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
	// delays only that connection, one message of which is given after another. An error is told to the client.
	Receive(m LocalMessage) error
}

// LocalMessage is an offer, answer, candidate, restart or message of a peer's for the local one. Kind is the message's
// type; each uses some of the fields.
type LocalMessage struct {
	Kind string
	// Room and Peer say who sent it, Address where the connection comes from.
	Room, Peer string
	Address    netip.Addr
	SDP        string
	// Candidate is an RTCIceCandidateInit, or null at the end of candidates.
	Candidate json.RawMessage
	Reason    string
	Data      json.RawMessage
}

// LocalReply is what the local peer tells a client: an answer, or the wish for an ICE restart.
type LocalReply struct {
	// Kind is "answer" or "restart".
	Kind   string
	SDP    string
	Reason string
}

// Deliver sends a peer what the local one has to say; it does not block. A peer that is away gets it when it is back.
// False says that there is no such peer in the room.
func (s *Server) Deliver(room, peer string, m LocalReply) bool {
	return s.hub.deliver(room, peer, relayMessage{Type: m.Kind, From: LocalPeerID, SDP: m.SDP, Reason: m.Reason})
}

func (h *hub) deliver(room, peer string, m relayMessage) bool {
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
	if !c.srv.hub.pass(c, m.N) {
		return nil
	}
	err := to.Receive(LocalMessage{
		Kind: m.Type, Room: c.room, Peer: c.peer, Address: c.addr.Addr(),
		SDP: m.SDP, Candidate: m.Candidate, Reason: cleanName(m.Reason), Data: m.Data,
	})
	if err != nil {
		return errCallRefused(err)
	}
	c.srv.counts.relayed.Add(1)
	return nil
}
