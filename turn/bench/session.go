//go:build linux

package bench

import (
	"crypto/md5" //nolint:gosec // RFC 8489 9.2.2 prescribes it.
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/pion/stun/v4"
)

// step is how far a client has come.
type step int

const (
	stepChallenge step = iota // ask for a nonce
	stepAllocate
	stepBind  // a channel, or of the echo a permission
	stepReady // in the steady state
	stepRelease
	stepReleased
)

// login is who the clients are.
type login struct{ User, Password string }

// session is one client's dialogue with the server (RFC 8656): challenge, Allocate, ChannelBind and, at the end, a
// Refresh of lifetime 0. It does no I/O, and its messages are built in place: what the generator takes of the CPUs that it
// shares with the server is missing there.
type session struct {
	login   login
	peer    netip.AddrPort
	channel uint16
	// echo says that this is the echo itself, a client whose peer is where its own relay is: that of all relays.
	echo bool

	step    step
	waiting bool // for the answer to asked
	asked   stun.Message
	heard   stun.Message // the latest packet
	realm   string
	nonce   []byte
	key     stun.MessageIntegrity
}

// renew makes the session one that has not begun. What it has built does not outlive this.
func (s *session) renew(login login, peer netip.AddrPort, channel uint16) {
	*s = session{login: login, peer: peer, channel: channel, asked: s.asked, heard: s.heard, nonce: s.nonce[:0]}
}

// firstChannel is the lowest channel number (RFC 8656 12).
const firstChannel = 0x4000

// request builds what the session is to send now. It is good until the next call.
func (s *session) request() ([]byte, error) {
	switch s.step {
	case stepChallenge:
		s.begin(stun.MethodAllocate)
		s.asked.Add(stun.AttrRequestedTransport, []byte{17, 0, 0, 0})
		return s.asked.Raw, nil
	case stepAllocate:
		s.begin(stun.MethodAllocate)
		s.asked.Add(stun.AttrRequestedTransport, []byte{17, 0, 0, 0})
	case stepBind:
		if s.echo {
			s.begin(stun.MethodCreatePermission)
			s.addPeer()
			break
		}
		s.begin(stun.MethodChannelBind)
		s.asked.Add(stun.AttrChannelNumber, []byte{byte(s.channel >> 8), byte(s.channel), 0, 0})
		s.addPeer()
	case stepRelease:
		s.begin(stun.MethodRefresh)
		s.asked.Add(stun.AttrLifetime, []byte{0, 0, 0, 0})
	}
	s.asked.Add(stun.AttrUsername, []byte(s.login.User))
	s.asked.Add(stun.AttrRealm, []byte(s.realm))
	s.asked.Add(stun.AttrNonce, s.nonce)
	if err := s.key.AddTo(&s.asked); err != nil {
		return nil, fmt.Errorf("sign a request: %w", err)
	}
	return s.asked.Raw, nil
}

// begin begins a request. Its transaction id need not be hard to guess: nobody but the server hears of it.
func (s *session) begin(method stun.Method) {
	s.asked.Reset()
	s.asked.Type = stun.NewType(method, stun.ClassRequest)
	binary.NativeEndian.PutUint64(s.asked.TransactionID[:], rand.Uint64())
	binary.NativeEndian.PutUint32(s.asked.TransactionID[8:], rand.Uint32())
	s.asked.WriteHeader()
	s.waiting = true
}

// answer takes the server's response to the latest request. Others are passed over, and taken is false.
func (s *session) answer(packet []byte) (taken bool, err error) {
	s.heard.Raw = packet
	if err := s.heard.Decode(); err != nil || !s.waiting || s.heard.TransactionID != s.asked.TransactionID {
		return false, nil // Not ours, or the answer to a request that was repeated.
	}
	s.waiting = false
	return true, s.judge(&s.heard)
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
		if s.step == stepBind && code.Code == stun.CodeForbidden {
			return errNotRelayed(s.peer.Addr())
		}
		return fmt.Errorf("the server answered step %d with %d %s", s.step, code.Code, code.Reason)
	}
	if s.step == stepAllocate && s.echo {
		if err := s.relayed(m); err != nil {
			return err
		}
	}
	s.step++
	return nil
}

func (s *session) challenged(m *stun.Message) error {
	var realm stun.Realm
	if err := realm.GetFrom(m); err != nil {
		return fmt.Errorf("a challenge without realm: %w", err)
	}
	nonce, err := m.Get(stun.AttrNonce)
	if err != nil {
		return fmt.Errorf("a challenge without nonce: %w", err)
	}
	s.nonce = append(s.nonce[:0], nonce...)
	if s.realm != realm.String() {
		s.realm = realm.String()
		key := md5.Sum([]byte(s.login.User + ":" + s.realm + ":" + s.login.Password))
		s.key = key[:]
	}
	s.step = max(s.step, stepAllocate)
	return nil
}

// errNotRelayed says that a server does not relay to where the echo is.
func errNotRelayed(echo netip.Addr) error {
	return fmt.Errorf("the server does not relay to %v, where the echo is: allow it by turn.allow_peers "+
		"(coturn: --allowed-peer-ip), or leave out --server to measure this program's own as it ships", echo)
}

// relayed takes the address of the own relay.
func (s *session) relayed(m *stun.Message) error {
	var at stun.XORMappedAddress
	if err := at.GetFromAs(m, stun.AttrXORRelayedAddress); err != nil {
		return fmt.Errorf("an allocation without relayed address: %w", err)
	}
	ip, _ := netip.AddrFromSlice(at.IP)
	s.peer = netip.AddrPortFrom(ip.Unmap(), uint16(at.Port))
	if !s.peer.Addr().Is4() {
		return fmt.Errorf("relays are at %v: only IPv4 is measured", s.peer.Addr())
	}
	return nil
}

// addPeer adds XOR-PEER-ADDRESS of an IPv4 peer (RFC 8656 18.3).
func (s *session) addPeer() {
	const cookie = 0x2112A442
	address := s.peer.Addr().As4()
	var value [8]byte
	value[1] = 1 // IPv4
	binary.BigEndian.PutUint16(value[2:], s.peer.Port()^cookie>>16)
	binary.BigEndian.PutUint32(value[4:], binary.BigEndian.Uint32(address[:])^cookie)
	s.asked.Add(stun.AttrXORPeerAddress, value[:])
}
