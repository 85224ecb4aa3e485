package client

import (
	"encoding/json"
	"time"
)

// Event is what happened in a room: one of the types below.
type Event interface{ isEvent() }

type (
	// Joined says that the room was joined, at first or anew: Peers are those who are there, all that was known before
	// is void. Restarted is true where the server is another process than the one before.
	Joined struct {
		ID        string
		Server    string
		Restarted bool
		Can       []string
		Peers     []Peer
	}
	// Resumed says that the connection is back and nothing was missed: Replayed events follow that happened meanwhile.
	Resumed struct{ Replayed int }
	// Lost says that the connection is gone for now. The client comes back by itself.
	Lost struct{ Err error }
	// PeerJoined says that a peer is there, PeerLeft that it is not any more.
	PeerJoined struct{ Peer Peer }
	// PeerLeft has one of the protocol's reasons.
	PeerLeft struct{ ID, Reason string }
	// PeerAway says that a peer has lost its connection to the server, PeerBack that it has one again.
	PeerAway struct{ ID, Reason string }
	// PeerBack follows PeerAway, unless PeerLeft does.
	PeerBack struct{ ID string }
	// PeerUpdated has the peer as it shows itself from here on.
	PeerUpdated struct {
		ID, Name string
		Metadata json.RawMessage
	}
	// Signal is an offer, answer or candidate, by its Kind. Candidate is null for the end of candidates.
	Signal struct {
		From, Kind, SDP string
		Candidate       json.RawMessage
	}
	// Restart asks for an offer with an ICE restart. With a Route it is the server that asks: "direct" is any way, and
	// "relay/udp", "relay/tcp" and "relay/tls" are by a relay over that transport alone, with these fresh ICEServers.
	Restart struct {
		From, Reason, Route string
		ICEServers          ICEServers
	}
	// PathState is what the server makes of the connection to a peer, for a client that reports its own: see
	// Room.ReportPath. Attempt counts the restarts since it was last stable, Next is when the server goes on by itself; 0
	// where it waits. Reason is why it has given up.
	PathState struct {
		ID, State, Route, Reason string
		Attempt                  int
		Next                     time.Duration
	}
	// Message is what a peer sent to the room, or to this end alone.
	Message struct {
		From   string
		Direct bool
		Data   json.RawMessage
	}
	// ICEServers are fresh ones, which last TTL; 0 means for ever.
	ICEServers struct {
		Servers []ICEServer
		TTL     time.Duration
	}
	// Stopping says that the server ends this connection so long from here, and when it wants the client back.
	Stopping struct{ In, RetryAfter time.Duration }
	// Refused says that the server did not do what a message asked. It is not sent again: Lost follows a fatal refusal,
	// after which the client comes back with all that waits but that message.
	Refused struct{ Refusal *Refusal }
)

func (Joined) isEvent()      {}
func (Resumed) isEvent()     {}
func (Lost) isEvent()        {}
func (PeerJoined) isEvent()  {}
func (PeerLeft) isEvent()    {}
func (PeerAway) isEvent()    {}
func (PeerBack) isEvent()    {}
func (PeerUpdated) isEvent() {}
func (Signal) isEvent()      {}
func (Restart) isEvent()     {}
func (PathState) isEvent()   {}
func (Message) isEvent()     {}
func (ICEServers) isEvent()  {}
func (Stopping) isEvent()    {}
func (Refused) isEvent()     {}

// events turns a numbered message of the server into what the room is to hand out; nil for one that it does not know.
func (m *inbound) event() Event {
	switch m.Type {
	case "peer-joined":
		var peer Peer
		_ = json.Unmarshal(m.Peer, &peer) // Ours, or empty.
		return PeerJoined{peer}
	case "peer-left":
		return PeerLeft{m.peerID(), m.Reason}
	case "peer-away":
		return PeerAway{m.peerID(), m.Reason}
	case "peer-back":
		return PeerBack{m.peerID()}
	case "peer-updated":
		return PeerUpdated{m.peerID(), m.Name, m.Metadata}
	case "offer", "answer", "candidate":
		return Signal{m.From, m.Type, m.SDP, m.Candidate}
	case "restart":
		return Restart{m.From, m.Reason, m.Route, m.servers()}
	case "path":
		return PathState{m.peerID(), m.State, m.Route, m.Reason, m.Attempt, time.Duration(m.NextMS) * time.Millisecond}
	case "message":
		return Message{m.From, m.Direct, m.Data}
	}
	return nil
}

func (m *inbound) servers() ICEServers {
	return ICEServers{Servers: m.ICEServers, TTL: time.Duration(m.ICETTLMS) * time.Millisecond}
}
