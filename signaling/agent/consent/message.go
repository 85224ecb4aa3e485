package consent

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pion/stun/v4"
)

// Credentials are what both sides of a pair know of each other (RFC 8445 section 5.3), seen from here.
type Credentials struct {
	LocalUfrag, RemoteUfrag string
	// RemotePassword keys our requests and their answers (RFC 8445 section 7.1.2).
	RemotePassword string
	Controlling    bool
	// TieBreaker goes with the role (RFC 8445 section 16.1).
	TieBreaker uint64
}

// priority is that of a peer-reflexive candidate of component 1 (RFC 8445 section 5.1.2): the peer knows the pair, so
// that it is of no consequence, but requests have to carry one.
const priority = 110<<24 | 65535<<8 | 255

// headerSize and the values below are of STUN's header (RFC 8489 section 5).
const (
	headerSize     = 20
	typeRequest    = 0x0001
	typeSuccess    = 0x0101
	typeError      = 0x0111
	typeIndication = 0x0011
	magicCookie    = 0x2112a442
)

// Kind tells what a datagram is by its first bytes.
type Kind int

// The kinds of datagram.
const (
	// Other is no Binding message: DTLS, SRTP, other STUN or junk.
	Other Kind = iota
	// Request and Answer are a Binding request and a response to one, of success or error; Indication asks for none.
	Request
	Answer
	Indication
)

// KindOf looks at the header alone; it neither allocates nor judges the rest.
func KindOf(datagram []byte) Kind {
	if len(datagram) < headerSize || binary.BigEndian.Uint32(datagram[4:]) != magicCookie {
		return Other
	}
	switch binary.BigEndian.Uint16(datagram) {
	case typeRequest:
		return Request
	case typeSuccess, typeError:
		return Answer
	case typeIndication:
		return Indication
	}
	return Other
}

// TransactionOf returns the identifier in a datagram that KindOf knows.
func TransactionOf(datagram []byte) (id TransactionID) {
	copy(id[:], datagram[8:headerSize])
	return id
}

// What makes an answer not count.
var (
	// ErrRefused is an authenticated error response: no consent (RFC 7675 section 5.1).
	ErrRefused = errors.New("the peer answered with an error")
	// ErrForged is an answer that is malformed or was not made with the peer's password.
	ErrForged = errors.New("not authentic")
)

// Request builds the Binding request of a check.
func (c Credentials) Request(id TransactionID) ([]byte, error) {
	role, tieBreaker := stun.AttrICEControlled, binary.BigEndian.AppendUint64(nil, c.TieBreaker)
	if c.Controlling {
		role = stun.AttrICEControlling
	}
	m, err := stun.Build(
		stun.BindingRequest, stun.NewTransactionIDSetter(id),
		stun.NewUsername(c.RemoteUfrag+":"+c.LocalUfrag),
		stun.RawAttribute{Type: role, Value: tieBreaker},
		stun.RawAttribute{Type: stun.AttrPriority, Value: binary.BigEndian.AppendUint32(nil, priority)},
		stun.NewShortTermIntegrity(c.RemotePassword), stun.Fingerprint,
	)
	if err != nil {
		return nil, fmt.Errorf("build a consent check: %w", err)
	}
	return m.Raw, nil
}

// Verify judges an answer to one of our checks: nil for a success response that the peer made. The fingerprint is
// checked where there is one; it proves nothing that the integrity does not.
func (c Credentials) Verify(datagram []byte) error {
	m := stun.Message{Raw: append([]byte(nil), datagram...)}
	if err := m.Decode(); err != nil {
		return fmt.Errorf("%w: %w", ErrForged, err)
	}
	if c.RemotePassword == "" {
		return fmt.Errorf("%w: no password is known", ErrForged)
	}
	if err := stun.NewShortTermIntegrity(c.RemotePassword).Check(&m); err != nil {
		return fmt.Errorf("%w: %w", ErrForged, err)
	}
	if m.Contains(stun.AttrFingerprint) {
		if err := stun.Fingerprint.Check(&m); err != nil {
			return fmt.Errorf("%w: %w", ErrForged, err)
		}
	}
	if m.Type != stun.BindingSuccess {
		return fmt.Errorf("%w: %v", ErrRefused, m.Type)
	}
	return nil
}
