package signaling

import "tourbillon/timing"

// outgoing is one message in a queue. n is its number in the session, if it has one. ping is its number if it is a
// ping, which was due at some instant.
type outgoing struct {
	text []byte
	n    uint64
	ping uint64
	due  timing.Instant
}

// send queues one message and drops the connection if the queue is full.
func (c *conn) send(message any) {
	if c.enqueue(outgoing{text: encode(message)}) {
		c.tooSlow()
	}
}

// enqueue queues a message; true when there is no room for it. What is sent after finish vanishes.
func (c *conn) enqueue(m outgoing) (overflow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enqueueLocked(m)
}

// replay queues the answer to a resume and what was missed after the given number. It looks at no limit: a connection
// that has just said hello has next to nothing queued, and no more is kept than a queue holds.
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
	c.wakeLocked()
}

// wakeLocked starts the goroutine that drains, if none runs.
func (c *conn) wakeLocked() {
	if !c.draining && !c.released {
		c.draining = true
		c.srv.hub.tasks.Go(c.drain)
	}
}

// drain sends what is queued and then the close frame, if one is due. It lives no longer than that.
func (c *conn) drain() {
	for {
		m, end := c.next()
		switch {
		case end != nil:
			c.sock.Close(end.code, end.reason)
			return
		case m.text == nil:
			return
		}
		if err := c.write(m); err != nil {
			c.sock.Abort() // The goroutine that reads sees it and ends the connection.
			c.silence()
		}
	}
}

func (c *conn) write(m outgoing) error {
	if m.n != 0 {
		return c.sock.Send(number(m.n), m.text[1:])
	}
	err := c.sock.Send(m.text)
	if told := c.srv.config.BeatWritten; told != nil && m.ping != 0 && err == nil {
		told(c.srv.clock.Now().Sub(m.due))
	}
	return err
}

// next takes the first message out of the queue. When there is none it ends drain, with the farewell whose close
// frame is due: in one step, so that no other drain sends meanwhile.
func (c *conn) next() (outgoing, *farewell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.queue = nil // An idle connection holds no memory for it.
		c.draining = false
		return outgoing{}, c.takeCloseLocked()
	}
	m := c.queue[0]
	c.queue[0] = outgoing{}
	c.queue = c.queue[1:]
	c.queuedBytes -= len(m.text)
	if m.ping != 0 {
		c.heart.sent(m.ping, c.srv.clock.Now())
	}
	return m, nil
}

func (c *conn) takeCloseLocked() *farewell {
	if c.ending == nil || c.closed {
		return nil
	}
	c.closed = true
	return c.ending
}

func (c *conn) dropQueueLocked() { c.queue, c.queuedBytes = nil, 0 }
