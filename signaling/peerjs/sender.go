package peerjs

import (
	"sync"

	"tourbillon/signaling/socket"
)

// sender is the bounded queue towards one client, in whole frames. Who adds a frame writes it as far as the kernel takes
// it at once, which costs no switch to another goroutine; for the rest, and for TLS, a goroutine is started that lives
// until the queue is empty. So nobody waits for a slow reader, and an idle connection holds no buffer and no goroutine.
type sender struct {
	sock  *socket.Conn
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
	s.queued = socket.AppendFrame(s.queued, opcode, payload)
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
				s.spawn(s.sock.CloseWrite) // With TLS it first writes an alert, which may have to wait.
			}
			return
		}
		written, err := s.sock.TryWrite(frames)
		if err == nil && written < len(frames) {
			s.spawn(func() { s.drain(frames[written:]) })
			return
		}
		if !s.done(err) {
			return
		}
	}
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
		s.sock.Cut()
	}
	return err == nil
}

// drain writes for as long as the network takes.
func (s *sender) drain(frames []byte) {
	if s.done(s.sock.Write(frames)) {
		s.flush()
	}
}
