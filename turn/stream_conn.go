package turn

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
)

const (
	// maxFrameBytes is the longest frame handed to pion, which drops what fills its buffer of 1600 bytes.
	maxFrameBytes = 1599
	// shortFrameBytes is the shortest frame that pion's splitter recognises; it keeps a shorter one back until more
	// bytes follow.
	shortFrameBytes = 9
)

var errNotTURN = errors.New("neither STUN nor ChannelData on the stream")

// streamConn is one TCP or TLS connection as pion sees it. Each Read returns one whole frame (RFC 8656 3.1, 12.5): the
// lengths are checked here because pion's splitter computes them in 16 bits, and two bytes near 0xFFFF make it spin.
type streamConn struct {
	net.Conn // the stream to read and write: raw, or TLS over it
	raw      net.Conn
	listener *streamListener
	client   netip.AddrPort
	deadline timing.Timer
	failure  sync.Once // counts the connection as failed
	leave    sync.Once // gives the place among the unauthenticated back
	closing  sync.Once

	// pion's reading goroutine owns what follows.
	reader  *bufio.Reader
	buffer  [maxFrameBytes + stunHeaderBytes]byte
	pending []byte // the part of buffer that is still to be handed out
	request request
}

// newStreamConn starts the deadline. The connection counts as a task until Close.
func newStreamConn(l *streamListener, raw net.Conn, client netip.AddrPort) *streamConn {
	c := &streamConn{Conn: raw, raw: raw, listener: l, client: client}
	l.core.tasks.Add(1)
	limitUnacknowledged(raw)
	if l.tls != nil {
		c.Conn = tls.Server(raw, l.tls)
	}
	c.reader = bufio.NewReaderSize(c.Conn, 4096)
	c.deadline = l.core.clock.AfterFunc(connDeadline, c.expire)
	return c
}

// handshake completes TLS, if it is TLS, and gives the client the time anew for its first request.
func (c *streamConn) handshake() error {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	if err := secure.Handshake(); err != nil { // The deadline closes raw, which ends this.
		return fmt.Errorf("TLS handshake with %v: %w", c.client, err)
	}
	if c.deadline.Stop() { // Otherwise it has fired and raw is closed.
		c.deadline.Reset(connDeadline)
	}
	return nil
}

// expire runs when the deadline passes before the client has authenticated.
func (c *streamConn) expire() {
	c.failed()
	c.abort()
}

// failed counts the connection, once, as one that came to nothing.
func (c *streamConn) failed() {
	c.failure.Do(func() { c.listener.core.counters.failedConns.Add(1) })
}

// authenticated lifts the deadline and the place among the unauthenticated.
func (c *streamConn) authenticated() {
	c.leave.Do(func() {
		c.deadline.Stop()
		c.listener.core.gate.leave(c.client.Addr())
	})
}

// abort cuts the connection; whoever reads it then closes it.
func (c *streamConn) abort() { c.raw.Close() }

// Close is called by pion when its loop over the connection has ended, and by us for one that pion never got.
func (c *streamConn) Close() error {
	c.closing.Do(func() {
		c.listener.forget(c)
		c.abandon()
	})
	return nil
}

// abandon gives back all that the connection holds but its place in the listener's table.
func (c *streamConn) abandon() {
	c.authenticated()
	c.Conn.Close()
	c.raw.Close()
	c.listener.core.tasks.Done()
}

// Read hands out one frame, in as many pieces as p requires.
func (c *streamConn) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		c.settle()
		frame, err := c.readFrame()
		if err != nil {
			return 0, err
		}
		c.pending = c.inspect(frame)
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// readFrame reads the next frame into buffer. Frames too long for pion are skipped.
func (c *streamConn) readFrame() ([]byte, error) {
	for {
		size, err := c.frameSize()
		if err != nil {
			return nil, err
		}
		if size <= maxFrameBytes {
			frame := c.buffer[:size]
			_, err := io.ReadFull(c.reader, frame)
			return frame, err
		}
		c.listener.core.counters.garbage.Add(1)
		if _, err := c.reader.Discard(size); err != nil {
			return nil, err
		}
	}
}

// frameSize reads the size of the next frame off its header. ChannelData is padded to four bytes on a stream
// (RFC 8656 12.5).
func (c *streamConn) frameSize() (int, error) {
	header, err := c.reader.Peek(channelHeaderBytes)
	if err != nil {
		return 0, err
	}
	body := int(binary.BigEndian.Uint16(header[2:]))
	if header[0] >= 0x40 && header[0] < 0x80 {
		return channelHeaderBytes + (body+3)&^3, nil
	}
	if header, err = c.reader.Peek(stunHeaderBytes); err != nil {
		return 0, err
	}
	if header[0] > 0x03 || body%4 != 0 || binary.BigEndian.Uint32(header[4:]) != magicCookie {
		c.listener.core.counters.garbage.Add(1)
		c.failed()
		return 0, errNotTURN
	}
	return stunHeaderBytes + body, nil
}

// inspect counts a frame, notes what pion's callbacks will need, and returns what pion is to read. A frame that pion's
// splitter would hold back is followed by a Binding indication, which pion passes over.
func (c *streamConn) inspect(frame []byte) (deliver []byte) {
	core := c.listener.core
	defer core.survive("frame")
	core.counters.fromClients.add(len(frame))
	if frame[0] < 0x40 {
		c.request = noteRequest(frame, core.ring.Load())
	}
	if len(frame) < shortFrameBytes {
		return append(frame, bindingIndication...)
	}
	return frame
}

// settle answers the request that pion has just left in silence, if it did.
func (c *streamConn) settle() {
	if !c.request.pending() {
		return
	}
	if p := c.listener.core.overdue(&c.request, clientKey{listener: c.listener.index, client: c.client}); p != nil {
		_, _ = c.Conn.Write(p) // A broken connection shows in the read that follows.
	}
}

// Write sends one packet to the client.
func (c *streamConn) Write(p []byte) (int, error) {
	whole := len(p)
	if isResponse(p) {
		p = c.listener.core.correct(&c.request, p)
	}
	n, err := c.Conn.Write(p)
	if err == nil {
		c.listener.core.counters.toClients.add(n)
		n = whole
	}
	return n, err
}

// bindingIndication is a STUN header and nothing more (RFC 8489 6).
var bindingIndication = stun.MustBuild(stun.NewType(stun.MethodBinding, stun.ClassIndication)).Raw
