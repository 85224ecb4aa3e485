package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/pion/stun/v4"
)

// Sizes of headers: STUN (RFC 8489 section 5) and ChannelData (RFC 8656 section 12.4).
const (
	stunHeader    = 20
	channelHeader = 4
	cookieEnd     = 8 // Where a STUN message's magic cookie ends.
)

// magicCookie is in every STUN message behind type and length (RFC 8489 section 5).
const magicCookie = 0x2112A442

// maxFrame is the largest STUN message or ChannelData message that its length field can tell.
const maxFrame = stunHeader + 0xffff + 3

// errFraming says that a stream carries neither STUN nor ChannelData.
var errFraming = errors.New("neither STUN nor ChannelData")

// notSTUN is what to do where something else answers.
const notSTUN = "something other than STUN answers on this port: check the port number"

// notFraming is errFraming with what came, as far as people can read it.
func notFraming(head []byte) error {
	if words := printable(head); words != "" {
		return fmt.Errorf("%w: it begins with %q", errFraming, words)
	}
	return errFraming
}

// frameSize tells how many bytes the first frame of a stream has, padding included, and how many of them are the
// message. It needs the first four; with fewer it answers 0. ChannelData is none before a channel was asked for: much
// text begins like it.
func frameSize(b []byte, channels bool) (whole, message int, err error) {
	if len(b) < channelHeader {
		return 0, 0, nil
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	switch b[0] >> 6 {
	case 0:
		if length%4 != 0 {
			return 0, 0, notFraming(b) // RFC 8489 section 5: the last two bits of the length are zero.
		}
		return stunHeader + length, stunHeader + length, nil
	case 1:
		if !channels {
			return 0, 0, notFraming(b)
		}
		message = channelHeader + length
		return (message + 3) &^ 3, message, nil // RFC 8656 section 12.5: padded over streams.
	}
	return 0, 0, notFraming(b)
}

// readFrame reads one message off a stream. A stream of something else is told from the first bytes, rather than by waiting
// for as many as its text seems to announce.
func readFrame(r io.Reader, channels func() bool) ([]byte, error) {
	frame := make([]byte, channelHeader, maxFrame)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	whole, message, err := frameSize(frame, channels())
	if err != nil {
		return nil, err
	}
	read := channelHeader
	if frame[0]>>6 == 0 {
		if _, err := io.ReadFull(r, frame[read:cookieEnd]); err != nil {
			return nil, err
		}
		if read = cookieEnd; binary.BigEndian.Uint32(frame[channelHeader:cookieEnd]) != magicCookie {
			return nil, notFraming(frame[:cookieEnd])
		}
	}
	frame = frame[:whole]
	if _, err := io.ReadFull(r, frame[read:]); err != nil {
		return nil, err
	}
	return append([]byte(nil), frame[:message]...), nil
}

// channelData makes a ChannelData message, padded where it goes over a stream.
func channelData(channel uint16, payload []byte, stream bool) []byte {
	b := binary.BigEndian.AppendUint16(nil, channel)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, payload...)
	for stream && len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// relayed returns what a packet of the server carries from a peer: the payload of ChannelData on the channel, or of a
// Data indication; nil of anything else.
func relayed(packet []byte, channel uint16) []byte {
	if len(packet) >= channelHeader && packet[0]>>6 == 1 {
		length := int(binary.BigEndian.Uint16(packet[2:]))
		if binary.BigEndian.Uint16(packet) != channel || len(packet) < channelHeader+length {
			return nil
		}
		return packet[channelHeader : channelHeader+length]
	}
	m := stun.New()
	if stun.Decode(packet, m) != nil || m.Type != stun.NewType(stun.MethodData, stun.ClassIndication) {
		return nil
	}
	data, err := m.Get(stun.AttrData)
	if err != nil {
		return nil
	}
	return data
}
