//go:build linux

package bench

import (
	"encoding/binary"
	"errors"
)

// Frame bits and opcodes (RFC 6455 section 5.2).
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa

	finBit, maskBit = 0x80, 0x80
	twoMore, eight  = 126, 127
)

// clientFrame is one frame of a client. Its masking key is 0, which leaves the payload as it is: the server unmasks all
// the same, and the generator may write into a frame that was made beforehand.
func clientFrame(opcode byte, payload []byte) []byte {
	frame := []byte{finBit | opcode}
	switch size := len(payload); {
	case size < twoMore:
		frame = append(frame, maskBit|byte(size))
	default: // No message here reaches 64 KiB.
		frame = binary.BigEndian.AppendUint16(append(frame, maskBit|twoMore), uint16(size))
	}
	return append(append(frame, 0, 0, 0, 0), payload...)
}

var errMasked = errors.New("the server sent a masked or fragmented frame")

// serverFrame reads the first frame of data; rest is what follows. ok is false while the frame is not whole.
func serverFrame(data []byte) (opcode byte, payload, rest []byte, ok bool, err error) {
	if len(data) < 2 {
		return 0, nil, data, false, nil
	}
	if data[0]&finBit == 0 || data[1]&maskBit != 0 {
		return 0, nil, data, false, errMasked
	}
	head, size := 2, uint64(data[1])
	switch {
	case size == twoMore && len(data) >= 4:
		head, size = 4, uint64(binary.BigEndian.Uint16(data[2:]))
	case size == eight && len(data) >= 10:
		head, size = 10, binary.BigEndian.Uint64(data[2:])
	case size >= twoMore:
		return 0, nil, data, false, nil
	}
	if uint64(len(data)-head) < size {
		return 0, nil, data, false, nil
	}
	end := head + int(size)
	return data[0] & 0x0f, data[head:end], data[end:], true, nil
}
