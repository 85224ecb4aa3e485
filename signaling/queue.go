package signaling

import (
	"sync"

	"tourbillon/signaling/socket"
	"tourbillon/timing"
)

// outgoing is one message in a queue. n is its number in the session, if it has one. ping is its number if it is a
// ping, which was due at some instant. control is the opcode of a control frame, 0 for a text message.
type outgoing struct {
	text    []byte
	n       uint64
	ping    uint64
	due     timing.Instant
	control byte
}

// send queues and sends one message, and drops the connection if the queue is full.
func (c *conn) send(message any) {
	if c.enqueue(outgoing{text: encode(message)}) {
		c.tooSlow()
		return
	}
	c.flush()
}

// echo answers a client's own ping (RFC 6455 section 5.5.3).
func (c *conn) echo(payload []byte) {
	if c.enqueue(outgoing{text: append([]byte{}, payload...), control: socket.OpPong}) {
		c.tooSlow()
		return
	}
	c.flush()
}

// enqueue queues a message; true when there is no room for it. What is sent after finish vanishes. It does not block, and
// flush has to follow once no lock is held.
func (c *conn) enqueue(m outgoing) (overflow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enqueueLocked(m)
}

// replay queues the answer to a resume and what was missed after the given number. It looks at no limit: a connection
// that has just said hello has next to nothing queued, and no more is kept than a queue holds. flush has to follow.
func (c *conn) replay(answer []byte, last uint64, missed [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return
	}
	c.pushLocked(outgoing{text: answer})
	for i, text := range missed {
		c.pushLocked(outgoing{text: text, n: last + 1 + uint64(i)})
	}
}

func (c *conn) enqueueLocked(m outgoing) (overflow bool) {
	limits := c.srv.config.Limits
	switch {
	case c.ending != nil:
		return false
	case len(c.queue) >= limits.QueueMessages || c.queuedBytes+len(m.text) > limits.QueueBytes:
		return true
	}
	c.pushLocked(m)
	return false
}

func (c *conn) pushLocked(m outgoing) {
	c.queue = append(c.queue, m)
	c.queuedBytes += len(m.text)
}

// batchBytes is about how much is written at once of what is queued.
const batchBytes = 16 << 10

// batch is what is written at once: whole frames, the last of them a ping or the close frame if there is one.
type batch struct {
	frames []byte
	// ping is the number of the ping, 0 for none, which was due at some instant.
	ping uint64
	due  timing.Instant
	// last is true with the close frame.
	last bool
}

// batches has the memory of batches: a connection needs none between two messages.
var batches = sync.Pool{New: func() any { return &batch{frames: make([]byte, 0, 512)} }}

func (b *batch) free() {
	if cap(b.frames) <= 2*batchBytes {
		*b = batch{frames: b.frames[:0]}
		batches.Put(b)
	}
}

// flush sends what is queued, as far as the network takes it without waiting, on the caller's goroutine: that costs no switch
// to another. The rest is left to one that lives until all is sent. It does not block; no lock may be held.
func (c *conn) flush() {
	if !c.begin() {
		return
	}
	b := batches.Get().(*batch)
	for c.next(b) {
		n, err := c.sock.TryWrite(b.frames)
		switch {
		case err != nil:
			c.failed()
		case n < len(b.frames):
			c.drainLater(b, n)
			return
		default:
			c.wrote(b)
		}
	}
	b.free()
}

// begin makes the caller the one that sends; false when somebody does already, or when there is nothing to send.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending || len(c.queue) == 0 && !c.closeDueLocked() {
		return false
	}
	c.sending = true
	return true
}

// drainLater leaves the rest of a batch to a goroutine.
func (c *conn) drainLater(b *batch, written int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.released {
		c.dropQueueLocked()
		c.sending = false
		return
	}
	c.srv.hub.tasks.Go(func() { c.drain(b, written) })
}

// drain sends the rest of a batch and what is queued then. It lives no longer than that.
func (c *conn) drain(b *batch, written int) {
	for more := true; more; more = c.next(b) {
		if err := c.sock.Write(b.frames[written:]); err != nil {
			c.failed()
		} else {
			c.wrote(b)
		}
		written = 0
	}
	b.free()
}

// failed ends a connection that cannot be written to. Its reader sees it and tells the others.
func (c *conn) failed() {
	c.sock.Cut()
	c.silence()
}

// wrote is what follows the writing of a batch.
func (c *conn) wrote(b *batch) {
	if b.last {
		c.sock.CloseWrite()
	}
	if told := c.srv.config.BeatWritten; told != nil && b.ping != 0 {
		told(c.srv.clock.Now().Sub(b.due))
	}
}

// next takes frames out of the queue, in the end the close frame if one is due. When there are none it ends the caller's
// being the one that sends, in one step, so that nothing that is queued is left to nobody.
func (c *conn) next(b *batch) bool {
	*b = batch{frames: b.frames[:0]}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && len(b.frames) < batchBytes && b.ping == 0 {
		c.takeLocked(b)
	}
	if len(c.queue) == 0 {
		c.queue = nil // An idle connection holds no memory for it.
		if b.ping == 0 && c.closeDueLocked() {
			c.closed, b.last = true, true
			b.frames = socket.AppendClose(b.frames, c.ending.code, c.ending.reason)
		}
	}
	if len(b.frames) == 0 {
		c.sending = false
		return false
	}
	if b.ping != 0 {
		c.heart.sent(b.ping, c.srv.clock.Now())
	}
	return true
}

// takeLocked moves the first message of the queue to a batch.
func (c *conn) takeLocked(b *batch) {
	m := c.queue[0]
	c.queue[0] = outgoing{}
	c.queue = c.queue[1:]
	c.queuedBytes -= len(m.text)
	b.ping, b.due = m.ping, m.due
	switch {
	case m.control != 0:
		b.frames = socket.AppendFrame(b.frames, m.control, m.text)
	case m.n != 0:
		b.frames = socket.AppendFrame(b.frames, socket.OpText, number(m.n), m.text[1:])
	default:
		b.frames = socket.AppendFrame(b.frames, socket.OpText, m.text)
	}
}

// closeDueLocked reports whether the close frame is still to be sent.
func (c *conn) closeDueLocked() bool { return c.ending != nil && !c.closed }

func (c *conn) dropQueueLocked() { c.queue, c.queuedBytes = nil, 0 }
