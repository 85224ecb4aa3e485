package turn

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"tourbillon/turn/relay"
)

// streamLoop is the part of a connection that a loop of the data plane serves: plain TCP, from the first permission or
// channel on, without which no peer can send to the client. Until then the goroutine of [streamConn.serve] does, and where
// no loop can, for good.
type streamLoop struct {
	home   *relay.Loop                  // where the relay's sockets are; the reading goroutine's
	stream atomic.Pointer[relay.Stream] // what is written goes there
	taking *transaction                 // the loop's goroutine's from handOver on

	mu      sync.Mutex // orders the opening of stream against abort
	aborted bool
}

// place is the loop for the connection's relays, nil where none can serve the connection, and its stream there, if it is
// one by now.
func (c *streamConn) place() (*relay.Loop, *relay.Stream) {
	if _, plain := c.Conn.(*net.TCPConn); plain && c.loop.home == nil && c.listener.core.plane != nil {
		c.loop.home = c.listener.core.plane.NextForStream()
	}
	return c.loop.home, c.loop.stream.Load()
}

// toLoop has the loop send what goes to the client from now on, so that nothing of a peer's blocks whoever it comes to.
// handOver follows.
func (c *streamConn) toLoop(e *entry) error {
	conn, plain := c.Conn.(*net.TCPConn)
	if !plain || c.loop.home == nil || c.loop.stream.Load() != nil {
		return nil
	}
	c.loop.mu.Lock()
	defer c.loop.mu.Unlock()
	if c.loop.aborted {
		return errClosing
	}
	stream, err := c.loop.home.OpenStream(conn, c)
	if err != nil {
		return fmt.Errorf("serve %v on a loop: %w", c.from.client, err)
	}
	c.loop.stream.Store(stream)
	e.socket.fast.attach(e.key, nil, stream)
	return nil
}

// handOver has the loop read as well, if it writes, with what has been read already. The reading goroutine then ends and
// has nothing of the connection left: Ended closes it.
func (c *streamConn) handOver(x *transaction) (done bool) {
	stream := c.loop.stream.Load()
	if stream == nil {
		return false
	}
	read, _ := c.reader.Peek(c.reader.Buffered()) // It does not fail: they are there.
	c.loop.taking = x
	c.raw.Close() // The stream's own descriptor keeps the connection.
	if stream.Start(read) != nil {
		stream.Close()
	}
	c.reader = nil
	return true
}

// abort ends the stream, whose Ended closes the connection.
func (l *streamLoop) abort() {
	l.mu.Lock()
	l.aborted = true
	stream := l.stream.Load()
	l.mu.Unlock()
	if stream != nil {
		stream.Close()
	}
}

// Frame implements [relay.StreamReceiver]: a frame that the loop does not relay by itself.
func (c *streamConn) Frame(frame []byte) { c.loop.taking.take(c.inspect(frame), c.from) }

// Over implements [relay.StreamReceiver].
func (c *streamConn) Over(garbage bool) {
	if garbage {
		c.failed()
	}
	c.endAllocation()
	c.loop.abort()
}

// Ended implements [relay.StreamReceiver]: the connection is closed.
func (c *streamConn) Ended() {
	c.endAllocation()
	c.Close()
}
