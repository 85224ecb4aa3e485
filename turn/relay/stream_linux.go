package relay

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Stream is a client's TCP connection on a loop, which cuts it into frames, relays those that have a flow and gives the
// others to a receiver. Its methods are safe for concurrent use but for Start.
type Stream struct {
	handle
	to     StreamReceiver
	memory []byte // streamBuffers
}

// StreamReceiver is given what a stream's loop does not handle itself. Its methods are called by one goroutine for all
// streams of a loop, but for Ended, and must not block.
type StreamReceiver interface {
	// Frame is one STUN or ChannelData message with its padding. It is good until Frame returns. What the receiver has the
	// loop do is done before any frame that comes later.
	Frame(frame []byte)
	// Over tells that no frame follows: the client has ended the stream, or it has failed, or it carries garbage. The
	// receiver closes it.
	Over(garbage bool)
	// Ended tells that the loop has let go of the stream and the connection is closed, after Close alone.
	Ended()
}

// NextForStream is the loop that the next stream is to have, nil where streams are not served, which takes io_uring.
func (p *Plane) NextForStream() *Loop {
	l := p.loops[p.turn.Add(1)%uint32(len(p.loops))]
	if !l.m.loop.uring {
		return nil
	}
	return l
}

// OpenStream takes a connection over: what is written goes by the loop from now on, and is read by it from Start. The
// caller goes on to own conn itself, and reads and closes it before Start; the connection ends with Close.
func (l *Loop) OpenStream(conn syscall.Conn, to StreamReceiver) (*Stream, error) {
	fd, err := duplicate(conn)
	if err != nil {
		return nil, fmt.Errorf("relay: take a connection over: %w", err)
	}
	s := &Stream{handle: handle{fd: fd}, to: to}
	s.stream = s
	if _, s.memory, err = l.mapStream(); err == nil {
		err = l.add(&s.handle, kindStream, sinkStreams)
	}
	if err != nil {
		_ = unix.Close(fd) // The connection is still the caller's.
		return nil, errors.Join(err, unmapStream(s.memory))
	}
	return s, nil
}

func duplicate(conn syscall.Conn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var problem error
	err = raw.Control(func(from uintptr) { fd, problem = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, problem)
}

// spareStreams is how many streams' memory a loop keeps for the next ones.
const spareStreams = 16

func (l *Loop) mapStream() (unsafe.Pointer, []byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.spare); n > 0 {
		memory := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return unsafe.Pointer(&memory[0]), memory, nil
	}
	return mapMemory(unsafe.Sizeof(streamBuffers{}))
}

func unmapStream(memory []byte) error {
	if memory == nil {
		return nil
	}
	return unmap(memory)
}

// buffers is the memory of a stream, nil for other sockets.
func (h *handle) buffers() *streamBuffers {
	if h.stream == nil {
		return nil
	}
	return (*streamBuffers)(unsafe.Pointer(&h.stream.memory[0]))
}

// release gives the memory back. The caller holds the loop's mutex.
func (s *Stream) release() {
	if len(s.loop.spare) < spareStreams {
		s.loop.spare = append(s.loop.spare, s.memory)
		return
	}
	_ = unmap(s.memory) // It was mapped like that.
}

// Start has the loop read on behind what has been read already, and which is served first. It is called once.
func (s *Stream) Start(read []byte) error {
	if len(read) > streamInBytes {
		return fmt.Errorf("relay: %d bytes were read of a stream, more than %d", len(read), streamInBytes)
	}
	l := s.loop
	l.mu.Lock()
	if l.sockets[s.index] == &s.handle {
		entry := &l.m.sockets[s.index]
		entry.inEnd = uint32(copy(s.buffers().in[0][:], read))
		l.command(command{op: commandStart, socket: s.index})
	}
	l.mu.Unlock()
	l.kickSoon()
	return nil
}

// Write sends a whole frame behind what has been written before; it does not block. A client that does not read loses
// what is lossy, as it loses packets of its peers.
func (s *Stream) Write(frame []byte, lossy bool) error {
	if len(frame) > writeBytes {
		return fmt.Errorf("relay: a write of %d bytes to a stream, more than %d", len(frame), writeBytes)
	}
	l := s.loop
	l.mu.Lock()
	if l.sockets[s.index] == &s.handle {
		l.commandWith(command{op: commandWrite, socket: s.index, length: uint32(len(frame)), lossy: lossy}, frame)
	}
	l.mu.Unlock()
	l.kickSoon()
	return nil
}

// Close ends the stream. It does not block; Ended follows. What has been written is sent as far as the kernel takes it.
func (s *Stream) Close() error {
	s.end()
	return nil
}

// serveStreams hands frames to their streams until the loop ends. Its commands have one kick for all frames that are
// there.
func (l *Loop) serveStreams() {
	u := l.ups[sinkStreams]
	l.wake()
	for freed := uint32(0); ; freed = l.reapSince(freed) {
		e, err := u.peek(false)
		if e == nil {
			l.rest()
			e, err = u.peek(true)
			l.wake()
		}
		if err != nil {
			break
		}
		l.handFrame(e)
		u.done()
		if atomic.LoadUint32(&l.m.loop.stalled) != 0 {
			l.kickSoon()
		}
	}
	l.rest()
}

func (l *Loop) handFrame(e *upEntry) {
	l.mu.Lock()
	h := l.sockets[e.socket]
	current := h != nil && h.stream != nil && l.m.sockets[e.socket].generation == e.generation
	l.mu.Unlock()
	switch {
	case !current:
	case e.ending != 0:
		h.stream.to.Over(e.ending == endGarbage)
	default:
		h.stream.to.Frame(e.payload[:e.length])
	}
}
