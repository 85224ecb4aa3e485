package turn

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/pion/stun/v4"
)

const (
	stunHeaderBytes    = 20
	channelHeaderBytes = 4
	magicCookie        = 0x2112A442 // RFC 8489 5
)

// isChannel tells whether a number may name a channel: RFC 5766 11 has 0x4000 to 0x7FFF. RFC 8656 12 narrows them to
// 0x4FFF so that other protocols can share the port; none does here, and clients of the older RFC use them all.
func isChannel(number uint16) bool { return number >= 0x4000 && number < 0x8000 }

// kind is what a packet from a client is, by its first bytes.
type kind uint8

const (
	kindGarbage kind = iota
	kindSTUN
	kindChannelData
)

// classify sorts a datagram without decoding it: STUN needs the magic cookie and whole attributes (RFC 8489 6.3.1),
// ChannelData a channel number and its length.
func classify(p []byte) kind {
	if len(p) < channelHeaderBytes {
		return kindGarbage
	}
	body := int(binary.BigEndian.Uint16(p[2:]))
	switch {
	case p[0] < 0x04:
		whole := len(p) >= stunHeaderBytes+body && body%4 == 0
		if whole && binary.BigEndian.Uint32(p[4:]) == magicCookie {
			return kindSTUN
		}
	case isChannel(binary.BigEndian.Uint16(p)):
		if len(p) >= channelHeaderBytes+body {
			return kindChannelData
		}
	}
	return kindGarbage
}

// reply is what a packet to a client is, as far as it may have been asked for by a spoofed source.
type reply uint8

const (
	replyOther reply = iota
	replyBinding
	replyChallenge
)

// classifyReply finds Binding responses and the errors that answer unauthenticated requests: 401 and 438 with a nonce,
// and 420, which pion sends before it authenticates. A 401 without nonce refuses a channel and was authenticated.
func classifyReply(p []byte) reply {
	if len(p) < stunHeaderBytes || p[0] > 0x03 {
		return replyOther
	}
	const errorClass = 0x0110
	switch typ := binary.BigEndian.Uint16(p); {
	case typ == 0x0101:
		return replyBinding
	case typ&errorClass != errorClass:
		return replyOther
	}
	code, nonce := 0, false
	for attrs := p[stunHeaderBytes:]; len(attrs) >= 4; {
		length := int(binary.BigEndian.Uint16(attrs[2:]))
		if len(attrs) < 4+length {
			break
		}
		switch stun.AttrType(binary.BigEndian.Uint16(attrs)) {
		case stun.AttrErrorCode:
			if length >= 4 {
				code = int(attrs[6])*100 + int(attrs[7])
			}
		case stun.AttrNonce:
			nonce = true
		}
		attrs = attrs[min(len(attrs), 4+(length+3)&^3):]
	}
	if code == 420 || nonce && (code == 401 || code == 438) {
		return replyChallenge
	}
	return replyOther
}

// addrPort returns the canonical address and port of a UDP or TCP address; the zero value for any other.
func addrPort(addr net.Addr) netip.AddrPort {
	switch a := addr.(type) {
	case *net.UDPAddr:
		return canonicalPort(a.AddrPort())
	case *net.TCPAddr:
		return canonicalPort(a.AddrPort())
	}
	return netip.AddrPort{}
}

func unmapped(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
