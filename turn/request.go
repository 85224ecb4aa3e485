package turn

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// stage is how far pion has come with a request, as its callbacks tell.
type stage uint8

const (
	// stageNone: not asked for yet. What pion answers on its own (401 without credentials, 438, 420, 400) is right.
	stageNone stage = iota
	// stageRefused: the nonce is good, the credential is not.
	stageRefused
	// stageVerified: MESSAGE-INTEGRITY verifies.
	stageVerified
)

// request is a request with MESSAGE-INTEGRITY that pion handles now: what its listener noted for the callbacks, which
// are not told it, and what the callbacks decided for the answer, which pion may word otherwise. The goroutine that
// reads the listener (the connection, for a stream) owns it; the zero value is no request.
type request struct {
	method    stun.Method
	id        [stun.TransactionIDSize]byte
	username  string
	nonce     string
	secret    int    // index of the secret that MESSAGE-INTEGRITY verifies with
	channel   uint16 // CHANNEL-NUMBER, 0 for none
	transport byte   // REQUESTED-TRANSPORT, 0 for none
	family    byte   // REQUESTED-ADDRESS-FAMILY, 0 for none
	// peers are every XOR-PEER-ADDRESS; malformed means that one of them is none.
	peers     []netip.Addr
	malformed bool

	stage stage
	user  string // the user id, from stageVerified
	key   []byte
	// code is the answer that a callback decided on, 0 while pion's own stands.
	code     stun.ErrorCode
	answered bool
	// judged and admitted are the verdict on all peers together.
	judged, admitted bool
}

// noteRequest reads a request that carries MESSAGE-INTEGRITY; all others have no note. The packet is copied, since
// verifying writes into the message's header.
func noteRequest(packet []byte, ring *keyring) request {
	var class stun.MessageType
	class.ReadValue(binary.BigEndian.Uint16(packet))
	if class.Class != stun.ClassRequest || class.Method == stun.MethodBinding {
		return request{}
	}
	msg := stun.New()
	if stun.Decode(packet, msg) != nil || !msg.Contains(stun.AttrMessageIntegrity) {
		return request{}
	}
	var username stun.Username
	var nonce stun.Nonce
	if username.GetFrom(msg) != nil || nonce.GetFrom(msg) != nil {
		return request{}
	}
	r := request{
		method: msg.Type.Method, id: msg.TransactionID, username: username.String(), nonce: nonce.String(),
		channel:   binary.BigEndian.Uint16(head(msg, stun.AttrChannelNumber)),
		transport: head(msg, stun.AttrRequestedTransport)[0],
		family:    head(msg, stun.AttrRequestedAddressFamily)[0],
	}
	r.secret = ring.match(msg, r.username)
	r.notePeers(msg)
	return r
}

// head is the first four bytes of an attribute, zero where it is shorter or missing.
func head(msg *stun.Message, attribute stun.AttrType) []byte {
	value, _ := msg.Get(attribute)
	first := make([]byte, 4)
	copy(first, value)
	return first
}

func (r *request) notePeers(msg *stun.Message) {
	for _, a := range msg.Attributes {
		if a.Type != stun.AttrXORPeerAddress {
			continue
		}
		one := &stun.Message{TransactionID: msg.TransactionID, Attributes: stun.Attributes{a}}
		var peer stun.XORMappedAddress
		err := peer.GetFromAs(one, stun.AttrXORPeerAddress)
		addr, ok := netip.AddrFromSlice(peer.IP)
		if err != nil || !ok {
			r.malformed = true
			continue
		}
		r.peers = append(r.peers, addr.Unmap())
	}
}

// pending tells whether pion owes an answer to a request that it authenticated.
func (r *request) pending() bool { return r.stage == stageVerified && !r.answered }

// isResponse tells whether a packet to a client is a success or error response. Data indications and ChannelData,
// which the relays' goroutines send, are not.
func isResponse(p []byte) bool {
	const response = 0x0100 // The upper bit of the class (RFC 8489 5).
	return len(p) >= stunHeaderBytes && p[0] < 0x40 && binary.BigEndian.Uint16(p)&response != 0
}

// correct returns the answer that leaves instead of pion's p: the RFC's code where pion has another, a challenge for
// credentials that were refused (RFC 8489 9.2.4), and MESSAGE-INTEGRITY on errors, where pion leaves it out. p stays as
// it is when nothing is wrong with it. It is called for responses only.
func (r *request) correct(p []byte, realm string) []byte {
	if r.username == "" || [stun.TransactionIDSize]byte(p[8:stunHeaderBytes]) != r.id {
		return p
	}
	r.answered = true
	answer := stun.New()
	if stun.Decode(p, answer) != nil || answer.Type.Class != stun.ClassErrorResponse {
		return p
	}
	var code stun.ErrorCodeAttribute
	if code.GetFrom(answer) != nil {
		return p
	}
	switch {
	case r.stage == stageRefused && code.Code == stun.CodeBadRequest:
		// The nonce is the client's own, which pion has found good.
		return r.answer(stun.CodeUnauthorized, stun.NewRealm(realm), stun.NewNonce(r.nonce))
	case r.stage == stageVerified && r.code != 0:
		return r.signed(r.code)
	case r.stage == stageVerified && !answer.Contains(stun.AttrMessageIntegrity):
		return r.signed(code.Code, carried(answer)...)
	}
	return p
}

// grant tells whether p is the success response to this request, and the LIFETIME in it.
func (r *request) grant(p []byte) (lifetime time.Duration, ok bool) {
	const success = 0x0100 // The class of a success response within the type's two bytes (RFC 8489 5).
	if r.stage != stageVerified || !r.answered || binary.BigEndian.Uint16(p)&0x0110 != success {
		return 0, false
	}
	answer := stun.New()
	if stun.Decode(p, answer) != nil || answer.TransactionID != r.id {
		return 0, false
	}
	seconds := binary.BigEndian.Uint32(head(answer, stun.AttrLifetime))
	return time.Duration(seconds) * time.Second, true
}

// attribute sets one attribute as it is.
type attribute stun.RawAttribute

// AddTo implements [stun.Setter].
func (a attribute) AddTo(m *stun.Message) error {
	m.Add(a.Type, a.Value)
	return nil
}

// carried are the attributes of an answer besides its code.
func carried(answer *stun.Message) (setters []stun.Setter) {
	for _, a := range answer.Attributes {
		if a.Type != stun.AttrErrorCode && a.Type != stun.AttrFingerprint {
			setters = append(setters, attribute(a))
		}
	}
	return setters
}

// overdue is the answer to an authenticated request that pion left in silence, since it knows no allocation of this
// user's on the 5-tuple: 441 if another user has one there, else 437 (RFC 8656 5).
func (r *request) overdue(owner string, taken bool) []byte {
	r.answered = true
	if taken && owner != r.user {
		return r.signed(stun.CodeWrongCredentials)
	}
	return r.signed(stun.CodeAllocMismatch)
}

// signed is an error response with MESSAGE-INTEGRITY (RFC 8489 9.2.4).
func (r *request) signed(code stun.ErrorCode, setters ...stun.Setter) []byte {
	return r.answer(code, append(setters, stun.MessageIntegrity(r.key))...)
}

// answer builds an error response. Building cannot fail: pion has decoded or encoded every part before.
func (r *request) answer(code stun.ErrorCode, setters ...stun.Setter) []byte {
	kind := stun.NewType(r.method, stun.ClassErrorResponse)
	return stun.MustBuild(append([]stun.Setter{&stun.Message{TransactionID: r.id}, kind, worded(code)}, setters...)...).Raw
}

// worded is a code with its reason phrase, or without one where it has none.
func worded(code stun.ErrorCode) stun.Setter {
	if code.AddTo(stun.New()) != nil {
		return stun.ErrorCodeAttribute{Code: code}
	}
	return code
}
