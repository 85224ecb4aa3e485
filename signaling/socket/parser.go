package socket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Message is a whole message of the client, or one of its control frames.
type Message struct {
	// Opcode is OpText, OpBinary, OpClose, OpPing or OpPong.
	Opcode byte
	// Payload is unmasked; that of OpText is valid UTF-8. It is valid during the call that it is given to.
	Payload []byte
}

// Fault says how a client broke RFC 6455, and the close code for it.
type Fault struct {
	Code  uint16
	Wrong string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%s (close code %d): send frames as in RFC 6455", f.Wrong, f.Code)
}

// Parser makes messages of the bytes of one client. It is pure: its owner serialises calls. The zero value with a limit is
// ready, and holds no memory but for a frame or message whose end has not come.
type Parser struct {
	// limit is the most bytes of a message.
	limit int
	// data is what has not been parsed; owned is true when it is our own memory and not the caller's.
	data  []byte
	owned bool
	// opcode is that of a message of which fragments have come, 0 for none.
	opcode    byte
	fragments []byte
}

// head is the head of one frame.
type head struct {
	fin    bool
	opcode byte
	size   int
	key    [maskBytes]byte
}

// Add gives the parser what was read. Its memory is the parser's until Keep, and is changed by it.
func (p *Parser) Add(read []byte) {
	if len(p.data) == 0 {
		p.data, p.owned = read, false
		return
	}
	if !p.owned {
		p.Keep()
	}
	p.data = append(p.data, read...)
}

// Keep copies what has not been parsed, so that the memory given to Add is the caller's again.
func (p *Parser) Keep() {
	switch {
	case len(p.data) == 0:
		p.data, p.owned = nil, false
	case !p.owned:
		p.data, p.owned = bytes.Clone(p.data), true
	}
}

// Next returns the next message; ok is false when more has to be read first. Nothing is to be parsed after a fault.
func (p *Parser) Next() (m Message, ok bool, fault *Fault) {
	for {
		h, size, fault := p.head()
		if fault != nil || size == 0 || len(p.data)-size < h.size {
			return Message{}, false, fault
		}
		payload := p.data[size : size+h.size : size+h.size]
		p.data = p.data[size+h.size:]
		unmask(payload, h.key)
		if h.opcode >= OpClose {
			m, fault = control(h, payload)
			return m, fault == nil, fault
		}
		if m, ok, fault = p.assemble(h, payload); ok || fault != nil {
			return m, ok, fault
		}
	}
}

// head reads the head of the frame at the beginning of data; size 0 when it is not whole.
func (p *Parser) head() (h head, size int, fault *Fault) {
	if len(p.data) < 2 {
		return h, 0, nil
	}
	first, second := p.data[0], p.data[1]
	h.fin, h.opcode = first&finBit != 0, first&opcodeBits
	length := uint64(second & lengthBits)
	switch {
	case first&reservedBits != 0:
		return h, 0, &Fault{CodeProtocolError, "a frame with a reserved bit"}
	case h.opcode > OpBinary && h.opcode < OpClose || h.opcode > OpPong:
		return h, 0, &Fault{CodeProtocolError, "a frame with a reserved opcode"}
	case second&maskBit == 0:
		return h, 0, &Fault{CodeProtocolError, "a frame that is not masked"}
	case h.opcode >= OpClose && (!h.fin || length > maxControl):
		return h, 0, &Fault{CodeProtocolError, "a control frame that is fragmented or too long"}
	}
	size = 2
	switch length {
	case twoBytes:
		size += 2
	case eightBytes:
		size += 8
	}
	if len(p.data) < size+maskBytes {
		return h, 0, nil
	}
	switch length {
	case twoBytes:
		length = uint64(binary.BigEndian.Uint16(p.data[2:]))
	case eightBytes:
		length = binary.BigEndian.Uint64(p.data[2:])
	}
	switch {
	case length >= 1<<63:
		return h, 0, &Fault{CodeProtocolError, "a frame with a length of more than 63 bits"}
	case length > uint64(p.limit):
		return h, 0, tooLarge(p.limit)
	}
	copy(h.key[:], p.data[size:])
	h.size = int(length)
	return h, size + maskBytes, nil
}

func tooLarge(limit int) *Fault {
	return &Fault{CodeTooLarge, fmt.Sprintf("a message of more than %d bytes", limit)}
}

func control(h head, payload []byte) (Message, *Fault) {
	if h.opcode == OpClose {
		if fault := validClose(payload); fault != nil {
			return Message{}, fault
		}
	}
	return Message{Opcode: h.opcode, Payload: payload}, nil
}

// assemble takes a data frame; ok is true when it ends a message.
func (p *Parser) assemble(h head, payload []byte) (m Message, ok bool, fault *Fault) {
	switch {
	case (h.opcode == opContinuation) != (p.opcode != 0):
		return m, false, &Fault{CodeProtocolError, "fragments out of order"}
	case len(p.fragments)+len(payload) > p.limit:
		return m, false, tooLarge(p.limit)
	case h.fin && p.opcode == 0:
		m = Message{h.opcode, payload}
	case h.fin:
		m = Message{p.opcode, append(p.fragments, payload...)}
		p.opcode, p.fragments = 0, nil
	default:
		if p.opcode == 0 {
			p.opcode = h.opcode
		}
		p.fragments = append(p.fragments, payload...)
		return m, false, nil
	}
	if m.Opcode == OpText && !utf8.Valid(m.Payload) {
		return Message{}, false, &Fault{CodeNotUTF8, "a text message that is not UTF-8"}
	}
	return m, true, nil
}
