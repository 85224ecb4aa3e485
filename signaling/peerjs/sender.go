package peerjs

import (
	"encoding/binary"
	"sync"
	"syscall"
)

// sender is the bounded queue towards one client, in whole frames. Who adds a frame writes it as far as the kernel takes
// it at once, which costs no switch to another goroutine; for the rest, and for TLS, a goroutine is started that lives
// until the queue is empty. So nobody waits for a slow reader, and an idle connection holds no buffer and no goroutine.
type sender struct {
	link *link
	// raw is nil where the connection cannot be written to without waiting.
	raw   syscall.RawConn
	limit int
	// spawn starts the goroutine that waits for the network.
	spawn func(func())

	// mu guards what follows. It is never held over I/O.
	mu     sync.Mutex
	queued []byte
	// busy is true while a goroutine writes; only that one does.
	busy bool
	// closing refuses further frames; once the queue is empty, the sending direction is closed, once.
	closing, ended bool
}

func newSender(l *link, limit int, spawn func(func())) *sender {
	s := &sender{link: l, limit: limit, spawn: spawn}
	if tcp, ok := l.Conn.(syscall.Conn); ok {
		s.raw, _ = tcp.SyscallConn() // Nil where it cannot be had.
	}
	return s
}

// push adds one frame; false when there is no room for it. It does not block; flush must follow. What is pushed after
// finish vanishes.
func (s *sender) push(opcode byte, payload []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return true
	case len(s.queued)+len(payload) > s.limit:
		return false
	}
	s.queued = appendFrame(s.queued, opcode, payload)
	return true
}

// pushRaw adds frames that the WebSocket library made.
func (s *sender) pushRaw(frames []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return true
	case len(s.queued)+len(frames) > s.limit:
		return false
	}
	s.queued = append(s.queued, frames...)
	return true
}

// finish refuses further frames. With abandon what is queued is dropped. The last frames, if any, go out still, and
// then the sending direction is closed. flush must follow.
func (s *sender) finish(abandon bool, last []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	s.closing = true
	if abandon {
		s.queued = nil // What is being written is whole frames and goes out whole.
	}
	s.queued = append(s.queued, last...)
}

// flush writes what the kernel takes at once and leaves the rest to a goroutine. It does not block.
func (s *sender) flush() {
	for {
		frames, ended := s.begin()
		if frames == nil {
			if ended {
				s.endSending()
			}
			return
		}
		written, err := s.writeNow(frames)
		if err == nil && written < len(frames) {
			s.spawn(func() { s.drain(frames[written:]) })
			return
		}
		if !s.done(err) {
			return
		}
	}
}

// endSending closes the sending direction. TLS first writes an alert, which may have to wait for the network.
func (s *sender) endSending() {
	if s.raw == nil {
		s.spawn(s.link.endSending)
		return
	}
	s.link.endSending()
}

// begin takes what is queued, unless another goroutine writes already; ended says that there is nothing and that
// nothing more will come.
func (s *sender) begin() (frames []byte, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || len(s.queued) == 0 {
		ended = s.closing && !s.busy && !s.ended
		s.ended = s.ended || ended
		return nil, ended
	}
	s.busy = true
	frames, s.queued = s.queued, nil
	return frames, false
}

// done ends a turn of writing. After a failure the connection is cut, which the goroutine that reads sees.
func (s *sender) done(err error) (ok bool) {
	s.mu.Lock()
	s.busy = false
	if err != nil {
		s.closing, s.queued = true, nil
	}
	s.mu.Unlock()
	if err != nil {
		s.link.cut()
	}
	return err == nil
}

// drain writes for as long as the network takes.
func (s *sender) drain(frames []byte) {
	_, err := s.link.Conn.Write(frames)
	if s.done(err) {
		s.flush()
	}
}

// writeNow writes what the kernel takes without waiting.
func (s *sender) writeNow(frames []byte) (written int, err error) {
	if s.raw == nil {
		return 0, nil
	}
	failure := s.raw.Write(func(fd uintptr) bool {
		written, err = tryWrite(fd, frames)
		return true
	})
	if failure != nil {
		err = failure
	}
	return written, err
}

// Opcodes of frames (RFC 6455 section 11.8).
const (
	opText  = 0x1
	opClose = 0x8
)

// appendFrame appends one unfragmented frame of a server (RFC 6455 section 5.2).
func appendFrame(to []byte, opcode byte, payload []byte) []byte {
	const fin, two, eight = 0x80, 126, 127
	to = append(to, fin|opcode)
	switch size := len(payload); {
	case size < two:
		to = append(to, byte(size))
	case size <= 0xffff:
		to = binary.BigEndian.AppendUint16(append(to, two), uint16(size))
	default:
		to = binary.BigEndian.AppendUint64(append(to, eight), uint64(size))
	}
	return append(to, payload...)
}

// closeFrame is a frame with which a server closes (RFC 6455 section 5.5.1).
func closeFrame(code uint16, reason string) []byte {
	return appendFrame(nil, opClose, append(binary.BigEndian.AppendUint16(nil, code), reason...))
}
