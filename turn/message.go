package turn

import (
	"encoding/binary"
	"net/netip"

	"github.com/pion/stun/v4"
)

// message is a STUN message from a client: the first of each attribute that we know (RFC 8489 14), without what follows
// MESSAGE-INTEGRITY. An attribute that is missing is nil. One goroutine owns it and decodes packet after packet into
// it; what it holds is good until the next.
type message struct {
	stun.Message
	username, realm, nonce    []byte
	lifetime, channel, family []byte
	transport, data           []byte
	evenPort, reservation     []byte
	integrity, dontFragment   bool
	// peers are every XOR-PEER-ADDRESS; malformed means that one of them is none.
	peers     []netip.AddrPort
	malformed bool
	// unknown are the comprehension-required attributes that nobody here comprehends.
	unknown stun.UnknownAttributes
}

// decode reads a packet, which it copies: verifying writes into the message. It reports false for what is no message, or
// has a FINGERPRINT that is not its own.
func (m *message) decode(p []byte) (ok bool) {
	kept := message{peers: m.peers[:0], unknown: m.unknown[:0]}
	kept.Raw, kept.Attributes = append(m.Raw[:0], p...), m.Attributes
	kept.Type.Class = stun.ClassIndication // Which is owed no answer, until we know.
	*m = kept
	if m.Decode() != nil || m.Contains(stun.AttrFingerprint) && stun.Fingerprint.Check(&m.Message) != nil {
		return false // RFC 8489 6.3
	}
	for _, a := range m.Attributes {
		m.note(a)
	}
	return true
}

func (m *message) note(a stun.RawAttribute) {
	var slot *[]byte
	switch a.Type {
	case stun.AttrUsername:
		slot = &m.username
	case stun.AttrRealm:
		slot = &m.realm
	case stun.AttrNonce:
		slot = &m.nonce
	case stun.AttrLifetime:
		slot = &m.lifetime
	case stun.AttrChannelNumber:
		slot = &m.channel
	case stun.AttrRequestedAddressFamily:
		slot = &m.family
	case stun.AttrRequestedTransport:
		slot = &m.transport
	case stun.AttrData:
		slot = &m.data
	case stun.AttrEvenPort:
		slot = &m.evenPort
	case stun.AttrReservationToken:
		slot = &m.reservation
	case stun.AttrXORPeerAddress:
		m.notePeer(a.Value)
		return
	case stun.AttrMessageIntegrity:
		m.integrity = true
		return
	case stun.AttrDontFragment:
		m.dontFragment = true
		return
	default:
		if a.Type.Required() && !passedOver(a.Type) {
			m.unknown = append(m.unknown, a.Type)
		}
		return
	}
	if *slot == nil {
		*slot = a.Value
	}
}

// passedOver tells whether a comprehension-required attribute is one that we know and that says nothing to a server in a
// request: those of responses. What belongs to ICE and to the algorithms of RFC 8489 that we do not offer is unknown to us.
func passedOver(kind stun.AttrType) bool {
	switch kind {
	case stun.AttrMappedAddress, stun.AttrXORMappedAddress, stun.AttrXORRelayedAddress, stun.AttrErrorCode,
		stun.AttrUnknownAttributes, stun.AttrConnectionID:
		return true
	}
	return false
}

// notePeer reads an XOR-PEER-ADDRESS (RFC 8489 14.2).
func (m *message) notePeer(value []byte) {
	var mask [16]byte
	binary.BigEndian.PutUint32(mask[:], magicCookie)
	copy(mask[4:], m.TransactionID[:])
	family4, family6 := len(value) == 8 && value[1] == familyIPv4, len(value) == 20 && value[1] == familyIPv6
	if !family4 && !family6 {
		m.malformed = true
		return
	}
	var raw [16]byte
	n := copy(raw[:], value[4:])
	for i := range n {
		raw[i] ^= mask[i]
	}
	addr, _ := netip.AddrFromSlice(raw[:n]) // Of 4 or 16 bytes.
	m.peers = append(m.peers, netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(value[2:])^(magicCookie>>16)))
}

// addAddress adds an XOR-MAPPED-ADDRESS or another of its form (RFC 8489 14.2).
func addAddress(m *stun.Message, kind stun.AttrType, at netip.AddrPort) {
	var value [20]byte
	binary.BigEndian.PutUint16(value[2:], at.Port()^(magicCookie>>16))
	var mask [16]byte
	binary.BigEndian.PutUint32(mask[:], magicCookie)
	copy(mask[4:], m.TransactionID[:])
	n := 4
	if addr := at.Addr().Unmap(); addr.Is4() {
		value[1] = familyIPv4
		raw := addr.As4()
		n += copy(value[n:], raw[:])
	} else {
		value[1] = familyIPv6
		raw := addr.As16()
		n += copy(value[n:], raw[:])
	}
	for i := range n - 4 {
		value[4+i] ^= mask[i]
	}
	m.Add(kind, value[:n])
}

// addWord adds an attribute of four bytes.
func addWord(m *stun.Message, kind stun.AttrType, word uint32) {
	var value [4]byte
	binary.BigEndian.PutUint32(value[:], word)
	m.Add(kind, value[:])
}
