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

	"tourbillon/timing"
	"tourbillon/turn/relay"
)

const (
	// maxFrameBytes is the longest frame that is served.
	maxFrameBytes = relay.MaxFrameBytes
)

// silentLimit is how long a client that has authenticated may be without an allocation, or over DTLS say nothing without
// one, before it is taken for gone.
const silentLimit = 10 * time.Minute

var errNotTURN = errors.New("neither STUN nor ChannelData on the stream")

// streamConn is one TCP, TLS or DTLS connection. Each Read returns one whole frame (RFC 8656 3.1, 12.5).
type streamConn struct {
	net.Conn // what to read and write: raw, or TLS or DTLS over it
	raw      net.Conn
	listener *streamListener
	from     tuple
	deadline timing.Timer
	known    atomic.Bool  // has authenticated
	idle     atomic.Int64 // since when the client may be gone: see silentLimit
	broken   atomic.Bool  // has failed
	relay    atomic.Pointer[relayConn]
	leave    sync.Once // gives the place among the unauthenticated back
	closing  sync.Once
	loop     streamLoop

	// The reading goroutine owns what follows.
	reader  *bufio.Reader
	buffer  [maxFrameBytes + stunHeaderBytes]byte
	packet  []byte // of maxRecordBytes, for datagrams
	pending []byte // the part of buffer that is still to be handed out
}

// newStreamConn starts the deadline. The connection counts as a task until Close.
func newStreamConn(l *streamListener, raw net.Conn, from tuple) *streamConn {
	c := &streamConn{Conn: raw, raw: raw, listener: l, from: from}
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
		return fmt.Errorf("prepare a handshake with %v: %w", c.from.client, err)
	}
	c.Conn = secured
	if err := secured.HandshakeContext(context.Background()); err != nil { // The deadline closes raw, which ends this.
		return fmt.Errorf("handshake with %v: %w", c.from.client, err)
	}
	if p, ok := c.raw.(*path); ok {
		p.establish()
	}
	if c.deadline.Stop() { // Otherwise it has fired and raw is closed.
		c.deadline.Reset(connDeadline)
	}
	return nil
}

// expire runs when the deadline passes before the client has authenticated, and then whenever the client may be gone: a
// client without an allocation is owed nothing, and what it holds others may need.
func (c *streamConn) expire() {
	core := c.listener.core
	idle := core.clock.Now().Sub(timing.Instant(c.idle.Load()))
	switch {
	case !c.known.Load():
		c.failed()
		c.abort()
	case core.allocations.of(c.key()) != nil: // It lives as long as that.
		c.deadline.Reset(silentLimit)
	case idle < silentLimit:
		c.deadline.Reset(silentLimit - idle)
	case c.listener.datagrams:
		c.Conn.Close() // Says goodbye, should the client be there after all.
	default:
		c.abort()
	}
}

// failed marks the connection as one that came to nothing, which counts when it has given back its place.
func (c *streamConn) failed() { c.broken.Store(true) }

// authenticated implements [back]: it gives the client another deadline and the place among the unauthenticated back.
func (c *streamConn) authenticated(netip.AddrPort) {
	c.leave.Do(func() {
		c.idles()
		c.known.Store(true)
		c.deadline.Reset(silentLimit)
		c.listener.gate.leave(c.from.client.Addr())
	})
}

// idles notes that the client may be gone from now on.
func (c *streamConn) idles() { c.idle.Store(int64(c.listener.core.clock.Now())) }

// released tells that an allocation of the client's has ended. It neither blocks nor takes a lock.
func (c *streamConn) released() {
	if !c.listener.datagrams { // There it counts from the last packet.
		c.idles()
	}
}

func (c *streamConn) key() clientKey { return c.from.key(c.listener.index) }

// abort cuts the connection; whoever reads it then closes it.
func (c *streamConn) abort() {
	c.raw.Close()
	c.loop.abort()
}

// Close ends the connection and gives everything back, once.
func (c *streamConn) Close() error {
	c.closing.Do(func() {
		c.listener.forget(c)
		c.abandon()
	})
	return nil
}

// abandon gives back all that the connection holds but its place in the listener's table.
func (c *streamConn) abandon() {
	c.authenticated(c.from.client)
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

// readFrame reads the next frame into buffer. Frames that are too long are skipped.
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

// readPacket reads one record of DTLS, which is one packet. ChannelData is padded to four bytes, as on a stream.
func (c *streamConn) readPacket() ([]byte, error) {
	for {
		n, err := c.Conn.Read(c.packet)
		if err != nil {
			return nil, err
		}
		c.idles()
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

// frameSize reads the size of the next frame off its header.
func (c *streamConn) frameSize() (int, error) {
	header, err := c.reader.Peek(channelHeaderBytes)
	if err != nil {
		return 0, err
	}
	size, ok := relay.FrameSize(binary.BigEndian.Uint32(header), 0, channelHeaderBytes)
	if size == 0 { // It is no ChannelData.
		if header, err = c.reader.Peek(stunHeaderBytes); err != nil {
			return 0, err
		}
		size, ok = relay.FrameSize(binary.BigEndian.Uint32(header), binary.BigEndian.Uint32(header[4:]), stunHeaderBytes)
	}
	if !ok {
		c.listener.core.counters.garbage.Add(1)
		c.failed()
		return 0, errNotTURN
	}
	return int(size), nil
}

// inspect counts a frame.
func (c *streamConn) inspect(frame []byte) []byte {
	c.listener.core.counters.fromClients.add(len(frame))
	return frame
}

// serve serves the connection until its end, which is also that of its allocation (RFC 8656 3.1), or until a loop does.
func (c *streamConn) serve(x *transaction) {
	buffer := make([]byte, maxFrameBytes)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			break
		}
		if x.take(buffer[:n], c.from); c.handOver(x) {
			return
		}
	}
	c.endAllocation()
	c.Close()
}

// endAllocation ends the connection's allocation, if it has one.
func (c *streamConn) endAllocation() {
	if e := c.listener.core.allocations.of(c.key()); e != nil && e.back == back(c) {
		e.end()
	}
}

// reply implements [back]. A source cannot be spoofed on a stream, so that nothing is withheld.
func (c *streamConn) reply(p []byte, _ tuple) { c.write(p, false) }

// send implements [back].
func (c *streamConn) send(p []byte, _ tuple) { c.write(p, true) }

// write writes whole frames, which a slow client on a loop may lose where they are lossy. A broken connection shows in
// the read that follows.
func (c *streamConn) write(p []byte, lossy bool) {
	if stream := c.loop.stream.Load(); stream != nil {
		_ = stream.Write(p, lossy) // The loop counts what it takes; a frame is never too long.
		return
	}
	if _, err := c.Conn.Write(p); err == nil {
		c.listener.core.counters.toClients.add(len(p))
	}
}
