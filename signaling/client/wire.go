package client

import "encoding/json"

// subprotocol is what the client names in Sec-WebSocket-Protocol.
const subprotocol = "tourbillon.v1"

// clientName is what the client says hello with.
const clientName = "tourbillon-go/1"

// inbound is any message of the server; each type uses some of the fields.
type inbound struct {
	Type         string          `json:"type"`
	N            uint64          `json:"n"`
	Room         string          `json:"room"`
	Peer         json.RawMessage `json:"peer"` // An object in "peer-joined", else an id.
	Session      string          `json:"session"`
	Server       string          `json:"server"`
	Can          []string        `json:"can"`
	Peers        []Peer          `json:"peers"`
	ICEServers   []ICEServer     `json:"ice_servers"`
	ICETTLMS     int64           `json:"ice_ttl_ms"`
	HeartbeatMS  int64           `json:"heartbeat_ms"`
	SeatMS       int64           `json:"seat_ms"`
	Got          uint64          `json:"got"`
	Replayed     int             `json:"replayed"`
	Name         string          `json:"name"`
	Metadata     json.RawMessage `json:"metadata"`
	From         string          `json:"from"`
	SDP          string          `json:"sdp"`
	Candidate    json.RawMessage `json:"candidate"`
	Reason       string          `json:"reason"`
	Direct       bool            `json:"direct"`
	Data         json.RawMessage `json:"data"`
	Seq          uint64          `json:"seq"`
	RTTUS        int64           `json:"rtt_us"`
	ClosingInMS  int64           `json:"closing_in_ms"`
	RetryAfterMS int64           `json:"retry_after_ms"`
	Paths        bool            `json:"paths"`
	State        string          `json:"state"`
	Route        string          `json:"route"`
	Attempt      int             `json:"attempt"`
	NextMS       int64           `json:"next_ms"`
	Limits       limits          `json:"limits"`
	Refusal
}

// limits are those of "welcome", in bytes.
type limits struct {
	MessageBytes int `json:"message_bytes"`
	SDPBytes     int `json:"sdp_bytes"`
	DataBytes    int `json:"data_bytes"`
}

// withDefaults takes the protocol's limits for what a server does not tell.
func (l limits) withDefaults() limits {
	setDefault(&l.MessageBytes, 64<<10)
	setDefault(&l.SDPBytes, 32<<10)
	setDefault(&l.DataBytes, 16<<10)
	return l
}

// check refuses a message that the server would, whose JSON text is of so many bytes.
func (l limits) check(m outbound, bytes int) error {
	for _, part := range []TooLarge{
		{"sdp", len(m.SDP), l.SDPBytes}, {"data", len(m.Data), l.DataBytes}, {"message", bytes, l.MessageBytes},
	} {
		if part.Bytes > part.Limit {
			return &part
		}
	}
	return nil
}

// peerID is "peer" where it is an id.
func (m *inbound) peerID() string {
	var id string
	_ = json.Unmarshal(m.Peer, &id) // What is no text is no id.
	return id
}

// outbound is any message of the client.
type outbound struct {
	Type        string          `json:"type"`
	ID          string          `json:"id,omitempty"`
	N           uint64          `json:"n,omitempty"`
	Client      string          `json:"client,omitempty"`
	Class       string          `json:"class,omitempty"`
	HeartbeatMS int64           `json:"heartbeat_ms,omitempty"`
	Room        string          `json:"room,omitempty"`
	Name        string          `json:"name,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	Token       string          `json:"token,omitempty"`
	Session     string          `json:"session,omitempty"`
	Last        uint64          `json:"last,omitempty"`
	To          string          `json:"to,omitempty"`
	SDP         string          `json:"sdp,omitempty"`
	Candidate   json.RawMessage `json:"candidate,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Stats       json.RawMessage `json:"stats,omitempty"`
	State       string          `json:"state,omitempty"`
	Via         string          `json:"via,omitempty"`
	Transport   string          `json:"transport,omitempty"`
}

// Peer is another participant of the room.
type Peer struct {
	ID string `json:"id"`
	// Name and Metadata are the peer's own words.
	Name     string          `json:"name"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	// Polite is this end's role towards the peer in perfect negotiation.
	Polite bool `json:"polite"`
	// Away is true while the peer has lost its connection to the server.
	Away bool `json:"away,omitempty"`
}

// ICEServer is one entry of RTCConfiguration.iceServers (W3C WebRTC 1.0, section 4.2.2).
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}
