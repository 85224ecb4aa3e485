package signaling

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Subprotocol is what a client names in Sec-WebSocket-Protocol.
const Subprotocol = "tourbillon.v1"

// The types of message, as in the package comment.
const (
	typeJoin       = "join"
	typeJoined     = "joined"
	typePeerJoined = "peer-joined"
	typePeerLeft   = "peer-left"
	typeOffer      = "offer"
	typeAnswer     = "answer"
	typeCandidate  = "candidate"
	typeICEServers = "ice-servers"
	typePing       = "ping"
	typePong       = "pong"
	typeLeave      = "leave"
	typeBye        = "bye"
	typeError      = "error"
)

// Reason says why a peer is gone, in "peer-left" and "bye" and as the reason of a close frame.
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
	Type      string          `json:"type"`
	Room      string          `json:"room"`
	Name      string          `json:"name"`
	Token     string          `json:"token"`
	Session   string          `json:"session"`
	To        string          `json:"to"`
	SDP       string          `json:"sdp"`
	Candidate json.RawMessage `json:"candidate"`
	Seq       uint64          `json:"seq"`
}

// ICEServer is one entry of RTCConfiguration.iceServers (W3C WebRTC 1.0, section 4.2.2).
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// What the server sends.
type (
	joinedMessage struct {
		Type    string        `json:"type"`
		Room    string        `json:"room"`
		Peer    string        `json:"peer"`
		Session string        `json:"session"`
		Server  string        `json:"server"`
		Peers   []peerMessage `json:"peers"`
		iceMessage
		HeartbeatMS int64 `json:"heartbeat_ms"`
	}
	peerMessage struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		// Polite is the receiver's role towards this peer.
		Polite bool `json:"polite"`
	}
	iceMessage struct {
		ICEServers []ICEServer `json:"ice_servers"`
		ICETTLMS   int64       `json:"ice_ttl_ms"`
	}
	iceServersMessage struct {
		Type string `json:"type"`
		iceMessage
	}
	peerJoinedMessage struct {
		Type string      `json:"type"`
		Peer peerMessage `json:"peer"`
	}
	peerLeftMessage struct {
		Type   string `json:"type"`
		Peer   string `json:"peer"`
		Reason Reason `json:"reason"`
	}
	relayMessage struct {
		Type      string          `json:"type"`
		From      string          `json:"from"`
		SDP       string          `json:"sdp,omitempty"`
		Candidate json.RawMessage `json:"candidate,omitempty"`
	}
	pingMessage struct {
		Type  string `json:"type"`
		Seq   uint64 `json:"seq"`
		RTTUS int64  `json:"rtt_us"`
	}
	byeMessage struct {
		Type         string `json:"type"`
		Reason       Reason `json:"reason"`
		RetryAfterMS int64  `json:"retry_after_ms"`
	}
	errorMessage struct {
		Type string `json:"type"`
		*Error
	}
)

func newICEMessage(servers []ICEServer, ttl time.Duration) iceMessage {
	if servers == nil {
		servers = []ICEServer{} // The client iterates over an array, never over null.
	}
	return iceMessage{ICEServers: servers, ICETTLMS: ttl.Milliseconds()}
}

// encode returns the JSON text of one of the messages above. It panics when given anything that is not JSON, which
// decode has ruled out for the one foreign part, a candidate.
func encode(message any) []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(message); err != nil {
		panic(fmt.Errorf("encode %T: %w", message, err))
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// maxDepth bounds how deep a message nests; a candidate needs two levels.
const maxDepth = 16

// decode reads one message of a client. Size and depth are judged before anything is parsed.
func decode(text []byte, limits Limits) (inbound, *Error) {
	var m inbound
	if len(text) > limits.MessageBytes {
		return m, errTooLarge(len(text), limits.MessageBytes)
	}
	if depth(text) > maxDepth {
		return m, errBadMessage(fmt.Sprintf("nested deeper than %d levels", maxDepth), "send a flat JSON object")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return inbound{}, errNotJSON(err)
	}
	return m, m.check(limits)
}

// errNotJSON puts encoding/json's words into ours, which name no Go type and repeat no foreign text.
func errNotJSON(err error) *Error {
	const remedy = "send one JSON object per text frame, with the field types of tourbillon.v1"
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return errBadMessage(fmt.Sprintf("no valid JSON at byte %d", syntax.Offset), remedy)
	case errors.As(err, &kind) && kind.Field != "":
		return errBadMessage(fmt.Sprintf("field %q is of the wrong type", kind.Field), remedy)
	}
	return errBadMessage("no JSON object", remedy)
}

// Limits of single fields, in bytes. Tokens and sessions have fixed shapes, the rest of a candidate is one SDP line.
const (
	maxTokenBytes     = 4 << 10
	maxSessionBytes   = 256
	maxCandidateBytes = 4 << 10
)

// check judges the fields that m's type needs. An unknown type passes: it is answered where types are told apart.
func (m *inbound) check(limits Limits) *Error {
	switch m.Type {
	case "":
		return errBadMessage(`no "type"`, `give each message a "type"`)
	case typeJoin:
		return m.checkJoin()
	case typeOffer, typeAnswer:
		return m.checkDescription(limits)
	case typeCandidate:
		return m.checkCandidate()
	}
	return nil
}

func (m *inbound) checkJoin() *Error {
	switch {
	case len(m.Token) > maxTokenBytes:
		return errFieldTooLarge("token", len(m.Token), maxTokenBytes)
	case len(m.Session) > maxSessionBytes:
		return errFieldTooLarge("session", len(m.Session), maxSessionBytes)
	}
	return nil
}

func (m *inbound) checkDescription(limits Limits) *Error {
	switch {
	case m.To == "":
		return errNoAddressee()
	case m.SDP == "":
		return errBadMessage(`no "sdp"`, `put the session description into "sdp"`)
	case len(m.SDP) > limits.SDPBytes:
		return errFieldTooLarge("sdp", len(m.SDP), limits.SDPBytes)
	}
	return nil
}

func (m *inbound) checkCandidate() *Error {
	switch {
	case m.To == "":
		return errNoAddressee()
	case len(m.Candidate) > maxCandidateBytes:
		return errFieldTooLarge("candidate", len(m.Candidate), maxCandidateBytes)
	case len(m.Candidate) == 0 || m.Candidate[0] != '{' && string(m.Candidate) != "null":
		return errBadMessage(`"candidate" is no object`, `send an RTCIceCandidateInit, or null for the end of candidates`)
	}
	return nil
}

func errNoAddressee() *Error { return errBadMessage(`no "to"`, `name the peer in "to"`) }

// depth returns how deep the objects and arrays of a JSON text nest. It needs no valid JSON: brackets outside strings
// are counted.
func depth(text []byte) int {
	level, deepest, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			level++
			deepest = max(deepest, level)
		case b == '}' || b == ']':
			level--
		}
	}
	return deepest
}
