package signaling

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Subprotocol is what a client names in Sec-WebSocket-Protocol.
const Subprotocol = "tourbillon.v1"

// The types of message, as in the package comment.
const (
	typeHello       = "hello"
	typeWelcome     = "welcome"
	typeJoin        = "join"
	typeJoined      = "joined"
	typeResume      = "resume"
	typeResumed     = "resumed"
	typePeerJoined  = "peer-joined"
	typePeerLeft    = "peer-left"
	typePeerAway    = "peer-away"
	typePeerBack    = "peer-back"
	typeUpdate      = "update"
	typePeerUpdated = "peer-updated"
	typeOffer       = "offer"
	typeAnswer      = "answer"
	typeCandidate   = "candidate"
	typeRestart     = "restart"
	typeMessage     = "message"
	typeICEServers  = "ice-servers"
	typeStats       = "stats"
	typePath        = "path"
	typeHeartbeat   = "heartbeat"
	typePing        = "ping"
	typePong        = "pong"
	typeLeave       = "leave"
	typeBye         = "bye"
	typeError       = "error"
)

// Reason says why a peer is gone or away, in "peer-left", "peer-away" and "bye" and as the reason of a close frame.
type Reason string

// The reasons of the protocol.
const (
	ReasonLeft     Reason = "left"
	ReasonClosed   Reason = "closed"
	ReasonTimeout  Reason = "timeout"
	ReasonReplaced Reason = "replaced"
	ReasonSlow     Reason = "slow"
	ReasonShutdown Reason = "shutdown"
)

// inbound is any message of a client; each type uses some of the fields.
type inbound struct {
	Type        string          `json:"type"`
	ID          string          `json:"id"`
	N           uint64          `json:"n"`
	Client      string          `json:"client"`
	Class       Class           `json:"class"`
	HeartbeatMS int64           `json:"heartbeat_ms"`
	Room        string          `json:"room"`
	Name        string          `json:"name"`
	Metadata    json.RawMessage `json:"metadata"`
	Token       string          `json:"token"`
	Session     string          `json:"session"`
	Last        uint64          `json:"last"`
	To          string          `json:"to"`
	SDP         string          `json:"sdp"`
	Candidate   json.RawMessage `json:"candidate"`
	Reason      string          `json:"reason"`
	Data        json.RawMessage `json:"data"`
	Stats       json.RawMessage `json:"stats"`
	State       string          `json:"state"`
	Via         string          `json:"via"`
	Transport   string          `json:"transport"`
	Seq         uint64          `json:"seq"`
}

// ICEServer is one entry of RTCConfiguration.iceServers (W3C WebRTC 1.0, section 4.2.2).
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// What the server sends of one connection and its session.
type (
	welcomeMessage struct {
		Type   string `json:"type"`
		Server string `json:"server"`
		paceMessage
		Limits limitsMessage `json:"limits"`
	}
	limitsMessage struct {
		MessageBytes int     `json:"message_bytes"`
		SDPBytes     int     `json:"sdp_bytes"`
		DataBytes    int     `json:"data_bytes"`
		PerSecond    float64 `json:"messages_per_s"`
		Burst        float64 `json:"burst"`
	}
	// paceMessage is the interval of the pings, and how long a seat outlives its socket.
	paceMessage struct {
		HeartbeatMS int64 `json:"heartbeat_ms"`
		SeatMS      int64 `json:"seat_ms"`
	}
	// seatMessage is what "joined" and "resumed" have in common.
	seatMessage struct {
		Room    string       `json:"room"`
		Peer    string       `json:"peer"`
		Session string       `json:"session"`
		Server  string       `json:"server"`
		Can     Capabilities `json:"can"`
		Paths   bool         `json:"paths,omitempty"`
		iceMessage
		paceMessage
	}
	joinedMessage struct {
		Type string `json:"type"`
		seatMessage
		Peers []peerMessage `json:"peers"`
	}
	resumedMessage struct {
		Type string `json:"type"`
		seatMessage
		Got      uint64 `json:"got"`
		Replayed int    `json:"replayed"`
	}
	iceMessage struct {
		ICEServers []ICEServer `json:"ice_servers"`
		ICETTLMS   int64       `json:"ice_ttl_ms"`
	}
	iceServersMessage struct {
		Type string `json:"type"`
		iceMessage
	}
	heartbeatMessage struct {
		Type        string `json:"type"`
		HeartbeatMS int64  `json:"heartbeat_ms"`
	}
	pingMessage struct {
		Type  string `json:"type"`
		Seq   uint64 `json:"seq"`
		RTTUS int64  `json:"rtt_us"`
		Got   uint64 `json:"got,omitempty"`
	}
	byeMessage struct {
		Type         string `json:"type"`
		Reason       Reason `json:"reason"`
		ClosingInMS  int64  `json:"closing_in_ms"`
		RetryAfterMS int64  `json:"retry_after_ms"`
	}
	errorMessage struct {
		Type string `json:"type"`
		// N numbers what the local peer says.
		N uint64 `json:"n,omitempty"`
		*Error
	}
)

// What the server tells of a room. N is set by numbered alone.
type (
	peerMessage struct {
		ID       string          `json:"id"`
		Name     string          `json:"name"`
		Metadata json.RawMessage `json:"metadata,omitempty"`
		// Polite is the receiver's role towards this peer.
		Polite bool `json:"polite"`
		Away   bool `json:"away,omitempty"`
	}
	peerJoinedMessage struct {
		Type string      `json:"type"`
		N    uint64      `json:"n,omitempty"`
		Peer peerMessage `json:"peer"`
	}
	peerLeftMessage struct {
		Type   string `json:"type"`
		N      uint64 `json:"n,omitempty"`
		Peer   string `json:"peer"`
		Reason Reason `json:"reason"`
	}
	peerAwayMessage struct {
		Type   string `json:"type"`
		N      uint64 `json:"n,omitempty"`
		Peer   string `json:"peer"`
		Reason Reason `json:"reason"`
		SeatMS int64  `json:"seat_ms"`
	}
	peerBackMessage struct {
		Type string `json:"type"`
		N    uint64 `json:"n,omitempty"`
		Peer string `json:"peer"`
	}
	peerUpdatedMessage struct {
		Type     string          `json:"type"`
		N        uint64          `json:"n,omitempty"`
		Peer     string          `json:"peer"`
		Name     string          `json:"name"`
		Metadata json.RawMessage `json:"metadata,omitempty"`
	}
	relayMessage struct {
		Type      string          `json:"type"`
		N         uint64          `json:"n,omitempty"`
		From      string          `json:"from"`
		SDP       string          `json:"sdp,omitempty"`
		Candidate json.RawMessage `json:"candidate,omitempty"`
		Reason    string          `json:"reason,omitempty"`
		Direct    bool            `json:"direct,omitempty"`
		Data      json.RawMessage `json:"data,omitempty"`
		// Route, ICEServers and ICETTLMS are of a restart that the server asks for.
		Route      string      `json:"route,omitempty"`
		ICEServers []ICEServer `json:"ice_servers,omitempty"`
		ICETTLMS   int64       `json:"ice_ttl_ms,omitempty"`
	}
	pathMessage struct {
		Type  string `json:"type"`
		N     uint64 `json:"n,omitempty"`
		Peer  string `json:"peer"`
		State string `json:"state"`
		Route string `json:"route"`
		// Attempt counts the restarts since the connection was last stable.
		Attempt int `json:"attempt,omitempty"`
		// NextMS is when the server goes on by itself.
		NextMS int64 `json:"next_ms,omitempty"`
		// Reason is why it does not any more.
		Reason string `json:"reason,omitempty"`
	}
)

func newICEMessage(servers []ICEServer, ttl time.Duration) iceMessage {
	if servers == nil {
		servers = []ICEServer{} // The client iterates over an array, never over null.
	}
	return iceMessage{ICEServers: servers, ICETTLMS: ttl.Milliseconds()}
}

// encode returns the JSON text of one of the messages above. It panics when given anything that is not JSON, which
// decode has ruled out for the foreign parts.
func encode(message any) []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(message); err != nil {
		panic(fmt.Errorf("encode %T: %w", message, err))
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// encodePing is encode for the most frequent message, a pingMessage.
func encodePing(seq uint64, rtt time.Duration, got uint64) []byte {
	text := append(make([]byte, 0, 64), `{"type":"ping","seq":`...)
	text = strconv.AppendUint(text, seq, 10)
	text = append(text, `,"rtt_us":`...)
	text = strconv.AppendInt(text, rtt.Microseconds(), 10)
	if got != 0 {
		text = strconv.AppendUint(append(text, `,"got":`...), got, 10)
	}
	return append(text, '}')
}

// number is the head that gives an encoded message of a room its number: number(n) and text[1:] are one JSON object.
func number(n uint64) []byte {
	head := strconv.AppendUint(append(make([]byte, 0, 32), `{"n":`...), n, 10)
	return append(head, ',')
}
