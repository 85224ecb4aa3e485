//go:build linux

package bench

import (
	"crypto/md5" //nolint:gosec // RFC 8489 9.2.2 prescribes it.
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/pion/stun/v4"
)

// step is how far a client has come.
type step int

const (
	stepChallenge step = iota // ask for a nonce
	stepAllocate
	stepBind
	stepReady // in the steady state
	stepRelease
	stepReleased
)

// login is who the clients are.
type login struct{ User, Password string }

// session is one client's dialogue with the server (RFC 8656): challenge, Allocate, ChannelBind and, at the end, a
// Refresh of lifetime 0. It does no I/O.
type session struct {
	login   login
	peer    netip.AddrPort
	channel uint16

	step  step
	id    [stun.TransactionIDSize]byte
	realm string
	nonce stun.Nonce
	key   stun.MessageIntegrity
}

// firstChannel is the lowest channel number (RFC 8656 12).
const firstChannel = 0x4000

// request builds what the session is to send now.
func (s *session) request() ([]byte, error) {
	setters := []stun.Setter{stun.TransactionID, nil}
	switch s.step {
	case stepChallenge:
		setters[1] = stun.NewType(stun.MethodAllocate, stun.ClassRequest)
		setters = append(setters, attribute(stun.AttrRequestedTransport, 17, 0, 0, 0))
	case stepAllocate:
		setters[1] = stun.NewType(stun.MethodAllocate, stun.ClassRequest)
		setters = s.signed(append(setters, attribute(stun.AttrRequestedTransport, 17, 0, 0, 0)))
	case stepBind:
		setters[1] = stun.NewType(stun.MethodChannelBind, stun.ClassRequest)
		setters = s.signed(append(setters,
			attribute(stun.AttrChannelNumber, byte(s.channel>>8), byte(s.channel), 0, 0), peerAttribute(s.peer)))
	case stepRelease:
		setters[1] = stun.NewType(stun.MethodRefresh, stun.ClassRequest)
		setters = s.signed(append(setters, attribute(stun.AttrLifetime, 0, 0, 0, 0)))
	}
	m, err := stun.Build(setters...)
	if err != nil {
		return nil, fmt.Errorf("build a request: %w", err)
	}
	s.id = m.TransactionID
	return m.Raw, nil
}

func (s *session) signed(setters []stun.Setter) []stun.Setter {
	return append(setters, stun.NewUsername(s.login.User), stun.NewRealm(s.realm), s.nonce, s.key)
}

// answer takes the server's response to the latest request. Others are passed over, and taken is false.
func (s *session) answer(packet []byte) (taken bool, err error) {
	m := &stun.Message{Raw: packet}
	if err := m.Decode(); err != nil || m.TransactionID != s.id {
		return false, nil // Not ours, or the answer to a request that was repeated.
	}
	s.id = [stun.TransactionIDSize]byte{}
	return true, s.judge(m)
}

func (s *session) judge(m *stun.Message) error {
	if s.step == stepChallenge {
		return s.challenged(m)
	}
	if m.Type.Class != stun.ClassSuccessResponse {
		var code stun.ErrorCodeAttribute
		_ = code.GetFrom(m)
		if code.Code == stun.CodeStaleNonce {
			return s.challenged(m)
		}
		return fmt.Errorf("the server answered step %d with %d %s", s.step, code.Code, code.Reason)
	}
	s.step++
	return nil
}

func (s *session) challenged(m *stun.Message) error {
	var realm stun.Realm
	if err := realm.GetFrom(m); err != nil {
		return fmt.Errorf("a challenge without realm: %w", err)
	}
	if err := s.nonce.GetFrom(m); err != nil {
		return fmt.Errorf("a challenge without nonce: %w", err)
	}
	if s.realm != realm.String() {
		s.realm = realm.String()
		key := md5.Sum([]byte(s.login.User + ":" + s.realm + ":" + s.login.Password))
		s.key = key[:]
	}
	s.step = max(s.step, stepAllocate)
	return nil
}

// rawAttribute is a setter of one attribute with a raw value.
type rawAttribute stun.RawAttribute

func (a rawAttribute) AddTo(m *stun.Message) error {
	m.Add(a.Type, a.Value)
	return nil
}

func attribute(kind stun.AttrType, value ...byte) stun.Setter {
	return rawAttribute{Type: kind, Value: value}
}

// peerAttribute is XOR-PEER-ADDRESS of an IPv4 peer (RFC 8656 18.3).
type peerAttribute netip.AddrPort

func (p peerAttribute) AddTo(m *stun.Message) error {
	const cookie = 0x2112A442
	peer := netip.AddrPort(p)
	address := peer.Addr().As4()
	value := make([]byte, 8)
	value[1] = 1 // IPv4
	binary.BigEndian.PutUint16(value[2:], peer.Port()^cookie>>16)
	binary.BigEndian.PutUint32(value[4:], binary.BigEndian.Uint32(address[:])^cookie)
	m.Add(stun.AttrXORPeerAddress, value)
	return nil
}
