package turn

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

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

// silentLimit is how long a DTLS client without an allocation may say nothing before it is taken for gone.
const silentLimit = 10 * time.Minute

var errNotTURN = errors.New("neither STUN nor ChannelData on the stream")

// streamConn is one TCP, TLS or DTLS connection as pion sees it. Each Read returns one whole frame (RFC 8656 3.1, 12.5): the
// lengths are checked here because pion's splitter computes them in 16 bits, and two bytes near 0xFFFF make it spin.
type streamConn struct {
	net.Conn // what to read and write: raw, or TLS or DTLS over it
	raw      net.Conn
	listener *streamListener
	client   netip.AddrPort
	deadline timing.Timer
	known    atomic.Bool  // has authenticated
	heard    atomic.Int64 // when the last packet came, for datagrams
	broken   atomic.Bool  // has failed
	relay    atomic.Pointer[relayConn]
	leave    sync.Once // gives the place among the unauthenticated back
	closing  sync.Once

	// pion's reading goroutine owns what follows.
	reader  *bufio.Reader
	buffer  [maxFrameBytes + stunHeaderBytes]byte
	packet  []byte // of maxRecordBytes, for datagrams
	pending []byte // the part of buffer that is still to be handed out
	request request
}

// newStreamConn starts the deadline. The connection counts as a task until Close.
func newStreamConn(l *streamListener, raw net.Conn, client netip.AddrPort) *streamConn {
	c := &streamConn{Conn: raw, raw: raw, listener: l, client: client}
	if l.datagrams {
		c.packet = make([]byte, maxRecordBytes)
	}
	l.core.tasks.Add(1)
	limitUnacknowledged(raw)
	c.deadline = l.core.clock.AfterFunc(connDeadline, c.expire)
	return c
}

// handshake completes TLS or DTLS, if that is what the listener speaks, and gives the client the time anew for its
// first request.
func (c *streamConn) handshake() error {
	if c.listener.secure == nil {
		return nil
	}
	secured, err := c.listener.secure(c.raw)
	if err != nil {
		return fmt.Errorf("prepare a handshake with %v: %w", c.client, err)
	}
	c.Conn = secured
	if err := secured.HandshakeContext(context.Background()); err != nil { // The deadline closes raw, which ends this.
		return fmt.Errorf("handshake with %v: %w", c.client, err)
	}
	if c.deadline.Stop() { // Otherwise it has fired and raw is closed.
		c.deadline.Reset(connDeadline)
	}
	return nil
}

// expire runs when the deadline passes before the client has authenticated, and then, for datagrams, whenever the
// client may be gone: nothing else tells.
func (c *streamConn) expire() {
	if !c.known.Load() {
		c.failed()
		c.abort()
		return
	}
	if !c.listener.datagrams { // The deadline passed as the client authenticated.
		return
	}
	core := c.listener.core
	_, allocated := core.allocations.owner(c.key())
	heard := timing.Instant(c.heard.Load())
	if !allocated && core.clock.Now().Sub(heard) >= silentLimit {
		c.Conn.Close() // Says goodbye, should the client be there after all.
		return
	}
	c.deadline.Reset(silentLimit)
}

// failed marks the connection as one that came to nothing, which counts when it has given back its place.
func (c *streamConn) failed() { c.broken.Store(true) }

// authenticated lifts the deadline and the place among the unauthenticated.
func (c *streamConn) authenticated() {
	c.leave.Do(func() {
		c.known.Store(true)
		c.deadline.Stop()
		if c.listener.datagrams {
			c.deadline.Reset(silentLimit)
		}
		c.listener.gate.leave(c.client.Addr())
	})
}

func (c *streamConn) key() clientKey { return clientKey{listener: c.listener.index, client: c.client} }

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
	c.deadline.Stop()
	if c.broken.Load() {
		c.listener.core.counters.failedConns.Add(1)
	}
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
		if c.relayFrame(frame) {
			c.enlarge()
			continue
		}
		c.pending = c.inspect(frame)
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// enlarge has a stream that carries ChannelData read many frames at a time.
func (c *streamConn) enlarge() {
	if c.reader != nil && c.reader.Size() < streamReaderBytes {
		c.reader = bufio.NewReaderSize(c.reader, streamReaderBytes)
	}
}

// readFrame reads the next frame into buffer. Frames too long for pion are skipped.
func (c *streamConn) readFrame() ([]byte, error) {
	if c.listener.datagrams {
		return c.readPacket()
	}
	if c.reader == nil {
		c.reader = bufio.NewReaderSize(c.Conn, 4096)
	}
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

// readPacket reads one record of DTLS, which is one packet. pion takes it for a part of a stream, so ChannelData is
// padded to four bytes.
func (c *streamConn) readPacket() ([]byte, error) {
	for {
		n, err := c.Conn.Read(c.packet)
		if err != nil {
			return nil, err
		}
		c.heard.Store(int64(c.listener.core.clock.Now()))
		kind := classify(c.packet[:n])
		if kind == kindChannelData {
			body := int(binary.BigEndian.Uint16(c.packet[2:]))
			n = channelHeaderBytes + (body+3)&^3
		} else if kind == kindSTUN {
			n = stunHeaderBytes + int(binary.BigEndian.Uint16(c.packet[2:]))
		}
		if kind == kindGarbage || n > maxFrameBytes {
			c.listener.core.counters.garbage.Add(1)
			continue
		}
		return c.buffer[:copy(c.buffer[:], c.packet[:n])], nil
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
	if p := c.listener.core.overdue(&c.request, c.key()); p != nil {
		_, _ = c.Conn.Write(p) // A broken connection shows in the read that follows.
	}
}

// Write sends one packet to the client.
func (c *streamConn) Write(p []byte) (int, error) {
	whole := len(p)
	if isResponse(p) {
		p = c.listener.core.correct(&c.request, c.key(), p)
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
