package turn

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"tourbillon/turn/relay"
)

// streamLoop is the part of a connection that a loop of the data plane serves: plain TCP, from its first allocation on.
// Until then the goroutine of [streamConn.serve] does, and where no loop can, for good.
type streamLoop struct {
	home   *relay.Loop                  // the reading goroutine's
	stream atomic.Pointer[relay.Stream] // what is written goes there
	taking *transaction                 // the loop's goroutine's from handOver on

	mu      sync.Mutex // orders the opening of stream against abort
	aborted bool
}

// toLoop has a loop send what goes to the client from now on, and is that loop; nil where no loop can. handOver follows.
func (c *streamConn) toLoop() (*relay.Loop, *relay.Stream, error) {
	if stream := c.loop.stream.Load(); stream != nil {
		return c.loop.home, stream, nil
	}
	conn, plain := c.Conn.(*net.TCPConn)
	if !plain || c.listener.core.plane == nil {
		return nil, nil, nil
	}
	home := c.listener.core.plane.NextForStream()
	if home == nil {
		return nil, nil, nil
	}
	c.loop.mu.Lock()
	defer c.loop.mu.Unlock()
	if c.loop.aborted {
		return nil, nil, errClosing
	}
	stream, err := home.OpenStream(conn, c)
	if err != nil {
		return nil, nil, fmt.Errorf("serve %v on a loop: %w", c.from.client, err)
	}
	c.loop.home = home
	c.loop.stream.Store(stream)
	return home, stream, nil
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
