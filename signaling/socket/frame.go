package socket

import (
	"encoding/binary"
	"unicode/utf8"
)

// Opcodes of frames (RFC 6455 section 11.8).
const (
	opContinuation = 0x0
	OpText         = 0x1
	OpBinary       = 0x2
	OpClose        = 0x8
	OpPing         = 0x9
	OpPong         = 0xa
)

// Close codes (RFC 6455 section 7.4.1).
const (
	CodeNormal        = 1000
	CodeProtocolError = 1002
	CodeNotUTF8       = 1007
	CodeTooLarge      = 1009
	codeNone          = 1005
)

// Bits and lengths of a frame's head (RFC 6455 section 5.2).
const (
	finBit, reservedBits, opcodeBits = 0x80, 0x70, 0x0f
	maskBit, lengthBits              = 0x80, 0x7f
	twoBytes, eightBytes             = 126, 127
	maskBytes                        = 4
	// maxControl is the longest payload of a control frame (section 5.5).
	maxControl = 125
)

// MaxHead is the most bytes that AppendHead appends.
const MaxHead = 10

// AppendHead appends the head of an unfragmented frame of the server with a payload of the given size.
func AppendHead(to []byte, opcode byte, size int) []byte {
	to = append(to, finBit|opcode)
	switch {
	case size < twoBytes:
		return append(to, byte(size))
	case size <= 0xffff:
		return binary.BigEndian.AppendUint16(append(to, twoBytes), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(to, eightBytes), uint64(size))
}

// AppendFrame appends an unfragmented frame of the server, whose payload is given in parts.
func AppendFrame(to []byte, opcode byte, parts ...[]byte) []byte {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	to = AppendHead(to, opcode, size)
	for _, part := range parts {
		to = append(to, part...)
	}
	return to
}

// AppendClose appends the frame with which the server closes (RFC 6455 section 5.5.1). A reason is cut to what fits.
func AppendClose(to []byte, code uint16, reason string) []byte {
	for len(reason) > maxControl-2 || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, maxControl-2)]
	}
	to = AppendHead(to, OpClose, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(to, code), reason...)
}

// CloseCode returns the code of a client's close frame, CodeNormal where it gives none. The payload has passed the Parser.
func CloseCode(payload []byte) uint16 {
	if len(payload) < 2 {
		return CodeNormal
	}
	return binary.BigEndian.Uint16(payload)
}

// validClose judges the payload of a client's close frame.
func validClose(payload []byte) *Fault {
	if len(payload) == 0 {
		return nil
	}
	if len(payload) == 1 {
		return &Fault{CodeProtocolError, "a close frame with half a code"}
	}
	// Section 7.4.2, and the registry of IANA for 1012 to 1014.
	switch code := CloseCode(payload); {
	case code >= 3000 && code <= 4999:
	case code < CodeNormal, code > 1014, code == 1004, code == codeNone, code == 1006:
		return &Fault{CodeProtocolError, "a close frame with a code that may not be sent"}
	}
	if !utf8.Valid(payload[2:]) {
		return &Fault{CodeNotUTF8, "a close frame whose reason is not UTF-8"}
	}
	return nil
}

// unmask undoes a client's masking (RFC 6455 section 5.3), eight bytes at a time.
func unmask(payload []byte, key [maskBytes]byte) {
	word := uint64(binary.LittleEndian.Uint32(key[:]))
	word |= word << 32
	for len(payload) >= 8 {
		binary.LittleEndian.PutUint64(payload, binary.LittleEndian.Uint64(payload)^word)
		payload = payload[8:]
	}
	for i := range payload {
		payload[i] ^= key[i%maskBytes]
	}
}
