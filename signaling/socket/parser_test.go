package socket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// clientFrame is a masked frame.
func clientFrame(first byte, payload []byte) []byte {
	frame := []byte{first}
	switch size := len(payload); {
	case size < 126:
		frame = append(frame, 0x80|byte(size))
	case size <= 0xffff:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(size))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(size))
	}
	key := [4]byte{0x12, 0xf3, 0x00, 0x7d}
	frame = append(frame, key[:]...)
	for i, b := range payload {
		frame = append(frame, b^key[i%4])
	}
	return frame
}

// parse gives a parser a stream in pieces of the given size and returns what comes of it, with the fault's code at the end.
func parse(limit, piece int, stream []byte) (got []string, p *Parser) {
	p = &Parser{limit: limit}
	buffer := make([]byte, piece)
	for len(stream) > 0 {
		n := copy(buffer, stream)
		stream = stream[n:]
		p.Add(buffer[:n])
		for {
			m, ok, fault := p.Next()
			if fault != nil {
				return append(got, fmt.Sprintf("fault %d", fault.Code)), p
			}
			if !ok {
				break
			}
			got = append(got, fmt.Sprintf("%x %s", m.Opcode, m.Payload))
		}
		p.Keep()
		clear(buffer) // What the parser keeps must not be ours.
	}
	return got, p
}

func TestParserMakesMessages(t *testing.T) {
	long := bytes.Repeat([]byte("é"), 300)
	longest := bytes.Repeat([]byte("0123456789abcdef"), 5000)
	stream := slices.Concat(
		clientFrame(0x81, []byte("whole")), clientFrame(0x81, nil), clientFrame(0x82, []byte{0, 0xff}),
		clientFrame(0x01, []byte("frag")), clientFrame(0x89, []byte("are you there")), clientFrame(0x00, nil),
		clientFrame(0x80, []byte("ments")), clientFrame(0x8a, nil), clientFrame(0x81, long), clientFrame(0x81, longest),
		clientFrame(0x88, []byte("\x03\xe8bye")),
	)
	want := []string{
		"1 whole", "1 ", "2 \x00\xff", "9 are you there", "1 fragments", "a ", "1 " + string(long), "1 " + string(longest),
		"8 \x03\xe8bye",
	}
	for _, piece := range []int{1, 2, 3, 7, 64, 4096, len(stream)} {
		got, p := parse(len(longest), piece, stream)
		if !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: %.300q", piece, got)
		}
		if p.data != nil || p.fragments != nil {
			t.Errorf("in pieces of %d: memory is kept for an idle connection", piece)
		}
	}
}

func TestParserFaults(t *testing.T) {
	const limit = 1000
	head := func(first byte, size uint64) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, size), 0, 0, 0, 0)
	}
	half := clientFrame(0x01, make([]byte, limit/2))
	for name, test := range map[string]struct {
		stream []byte
		code   uint16
	}{
		"unmasked":              {[]byte{0x81, 0x01, 'a'}, CodeProtocolError},
		"reserved bit":          {clientFrame(0xc1, nil), CodeProtocolError},
		"reserved opcode":       {clientFrame(0x83, nil), CodeProtocolError},
		"reserved control":      {clientFrame(0x8b, nil), CodeProtocolError},
		"fragmented ping":       {clientFrame(0x09, nil), CodeProtocolError},
		"long ping":             {clientFrame(0x89, make([]byte, 126)), CodeProtocolError},
		"stray continuation":    {clientFrame(0x80, nil), CodeProtocolError},
		"message in a message":  {append(clientFrame(0x01, nil), clientFrame(0x81, nil)...), CodeProtocolError},
		"too large":             {clientFrame(0x81, make([]byte, limit+1)), CodeTooLarge},
		"too large in all":      {slices.Concat(half, clientFrame(0x00, make([]byte, limit/2)), clientFrame(0x80, []byte("a"))), CodeTooLarge},
		"2^63-1 bytes":          {head(0x81, 1<<63-1), CodeTooLarge},
		"2^64-1 bytes":          {head(0x81, 1<<64-1), CodeProtocolError},
		"invalid UTF-8":         {clientFrame(0x81, []byte{0xff}), CodeNotUTF8},
		"invalid in fragments":  {append(clientFrame(0x01, []byte{0xc3}), clientFrame(0x80, []byte("a"))...), CodeNotUTF8},
		"close with half":       {clientFrame(0x88, []byte{3}), CodeProtocolError},
		"close with 1":          {clientFrame(0x88, []byte{0, 1}), CodeProtocolError},
		"close with 1005":       {clientFrame(0x88, []byte{0x03, 0xed}), CodeProtocolError},
		"close with 2000":       {clientFrame(0x88, []byte{0x07, 0xd0}), CodeProtocolError},
		"close with bad reason": {clientFrame(0x88, []byte{0x03, 0xe8, 0xff}), CodeNotUTF8},
	} {
		for _, piece := range []int{1, len(test.stream)} {
			got, _ := parse(limit, piece, test.stream)
			if want := fmt.Sprintf("fault %d", test.code); len(got) == 0 || got[len(got)-1] != want {
				t.Errorf("%s in pieces of %d: %q, want %s", name, piece, got, want)
			}
		}
	}
}

// TestParserSplitsUTF8 has one character in two fragments, which is valid.
func TestParserSplitsUTF8(t *testing.T) {
	got, _ := parse(100, 100, append(clientFrame(0x01, []byte{0xc3}), clientFrame(0x80, []byte{0xa9})...))
	if !slices.Equal(got, []string{"1 é"}) {
		t.Errorf("got %q", got)
	}
}

// FuzzParser reads the same stream in two ways, which have to agree, and holds the parser to its limit of memory.
func FuzzParser(f *testing.F) {
	f.Add(slices.Concat(clientFrame(0x01, []byte("a")), clientFrame(0x89, nil), clientFrame(0x80, []byte("b"))), uint8(3))
	f.Add(clientFrame(0x88, []byte{0x03, 0xe8}), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		const limit = 1 << 10
		whole, _ := parse(limit, max(len(stream), 1), stream)
		pieces, p := parse(limit, int(piece)+1, stream)
		if !slices.Equal(whole, pieces) {
			t.Errorf("whole: %q, in pieces: %q", whole, pieces)
		}
		if kept := len(p.data) + len(p.fragments); kept > 2*limit+14+int(piece)+1 {
			t.Errorf("%d bytes kept", kept)
		}
	})
}

func TestServerFrames(t *testing.T) {
	for _, size := range []int{0, 125, 126, 0xffff, 0x10000} {
		payload := bytes.Repeat([]byte("x"), size)
		frame := AppendFrame(nil, OpText, payload[:size/2], payload[size/2:])
		if len(frame) > size+MaxHead || !bytes.HasSuffix(frame, payload) {
			t.Errorf("%d bytes became %d", size, len(frame))
		}
		frame[1] |= maskBit // As a client would send it, with a key of zeros.
		at := len(frame) - size
		got, _ := parse(size, len(frame)+4, slices.Concat(frame[:at], make([]byte, 4), frame[at:]))
		if len(got) != 1 || len(got[0]) != size+2 {
			t.Errorf("a frame of %d bytes is read as %d messages", size, len(got))
		}
	}
	long := AppendClose(nil, 1000, string(bytes.Repeat([]byte("é"), 100)))
	if len(long) > 2+maxControl || CloseCode(long[2:]) != 1000 || validClose(long[2:]) != nil {
		t.Errorf("a long reason: %q", long)
	}
}
