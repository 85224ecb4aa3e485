package probe

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pion/stun/v4"
)

// maxPrintable bounds what is repeated of a server's words, in bytes.
const maxPrintable = 128

// printable is a server's text without what could play tricks on a terminal.
func printable(text []byte) string {
	if len(text) > maxPrintable {
		text = text[:maxPrintable]
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, string(text)))
}

// attribute is a setter of one attribute with a raw value.
type attribute stun.RawAttribute

func (a attribute) AddTo(m *stun.Message) error {
	m.Add(a.Type, a.Value)
	return nil
}

func raw(kind stun.AttrType, value ...byte) stun.Setter { return attribute{Type: kind, Value: value} }

// peerAddress sets XOR-PEER-ADDRESS (RFC 8656 section 18.3).
type peerAddress netip.AddrPort

func (p peerAddress) AddTo(m *stun.Message) error {
	at := netip.AddrPort(p)
	return stun.XORMappedAddress{IP: at.Addr().AsSlice(), Port: int(at.Port())}.AddToAs(m, stun.AttrXORPeerAddress)
}

// xorAddress reads an XOR-coded address; it is not valid where there is none.
func xorAddress(m *stun.Message, kind stun.AttrType) netip.AddrPort {
	var a stun.XORMappedAddress
	if !m.Contains(kind) || a.GetFromAs(m, kind) != nil {
		return netip.AddrPort{}
	}
	return addrPort(a.IP, a.Port)
}

func plainAddress(m *stun.Message, kind stun.AttrType) netip.AddrPort {
	var a stun.MappedAddress
	if !m.Contains(kind) || a.GetFromAs(m, kind) != nil {
		return netip.AddrPort{}
	}
	return addrPort(a.IP, a.Port)
}

func addrPort(ip []byte, port int) netip.AddrPort {
	addr, ok := netip.AddrFromSlice(ip)
	if !ok || port < 0 || port > 0xffff {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}

// mapped is the client's address as the server sees it: XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS of a server of RFC 3489.
func mapped(m *stun.Message) netip.AddrPort {
	if at := xorAddress(m, stun.AttrXORMappedAddress); at.IsValid() {
		return at
	}
	return plainAddress(m, stun.AttrMappedAddress)
}

func software(m *stun.Message) string {
	var s stun.Software
	if s.GetFrom(m) != nil {
		return ""
	}
	return printable(s)
}

func lifetime(m *stun.Message) time.Duration {
	v, err := m.Get(stun.AttrLifetime)
	if err != nil || len(v) != 4 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(v)) * time.Second
}

func alternate(m *stun.Message) string {
	if at := plainAddress(m, stun.AttrAlternateServer); at.IsValid() {
		return at.String()
	}
	return "no other"
}

// answers tells whether a packet is the answer to a request. A packet with the request's transaction id that cannot be
// read is an error: a server has mangled its answer.
func answers(packet []byte, ask *stun.Message) (m *stun.Message, err error) {
	const idAt = 8 // The transaction id begins here (RFC 8489 section 5).
	if len(packet) < idAt+stun.TransactionIDSize || [stun.TransactionIDSize]byte(packet[idAt:]) != ask.TransactionID {
		return nil, nil
	}
	m = stun.New()
	if err := stun.Decode(packet, m); err != nil {
		return nil, err
	}
	isAnswer := m.Type.Class == stun.ClassSuccessResponse || m.Type.Class == stun.ClassErrorResponse
	if !isAnswer || m.Type.Method != ask.Type.Method {
		return nil, fmt.Errorf("a message of type %v in answer to %v", m.Type, ask.Type)
	}
	if m.Contains(stun.AttrFingerprint) && stun.Fingerprint.Check(m) != nil {
		return nil, fmt.Errorf("a wrong fingerprint")
	}
	return m, nil
}

// codeText is an error code with the server's words, where it has some.
func codeText(code stun.ErrorCodeAttribute) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code.Code, printable(code.Reason)))
}
