package socket

import (
	"net"
	"sync"
)

const (
	// loopBuffer is what the goroutine that reads for all takes at once, handBuffer what a hand takes, and streamBuffer
	// what a connection's own goroutine does: a candidate fits.
	loopBuffer, handBuffer, streamBuffer = 64 << 10, 16 << 10, 512
)

// Poller reads for many connections. It has no goroutine while it has no connection. Make one with NewPoller.
type Poller struct {
	// limit is the most bytes of a message.
	limit int
	// tasks counts its goroutines; it is raised only while a connection is being served, for which its owner is counted.
	tasks   *sync.WaitGroup
	hands   hands
	buffers sync.Pool

	// mu guards what follows. It is not held over I/O or a Handler's call.
	mu sync.Mutex
	// count is the number of connections that are served.
	count int
	// loop is the one that waits for all; nil without connections, and where there is no such thing.
	loop *loop
}

// NewPoller returns a poller for connections whose messages have at most limit bytes. It counts its goroutines in tasks,
// and each has ended soon after the last connection has.
func NewPoller(limit int, tasks *sync.WaitGroup) *Poller {
	p := &Poller{limit: limit, tasks: tasks}
	p.hands.tasks = tasks
	p.buffers.New = func() any { b := make([]byte, handBuffer); return &b }
	return p
}

// Conn returns the connection over which the handshake was done. It is the poller's from then on, and has to be served;
// the caller is counted in tasks until the handler has been told the end, at the least.
func (p *Poller) Conn(over net.Conn) *Conn {
	c := &Conn{parser: Parser{limit: p.limit}}
	c.turn.Store(turnTaken) // By Serve.
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	p.connectLocked(c, over)
	return c
}

// Serve reads from a connection until it ends, for its handler. It returns at once.
func (p *Poller) Serve(c *Conn, handler Handler) {
	c.handler = handler
	if s, ok := c.wire.(*stream); ok {
		p.tasks.Go(func() { p.readStream(c, s) })
		return
	}
	if !c.yield() { // Something has come already.
		p.hands.give(func() { p.byHand(c) })
	}
}

// readStream reads from a connection that has a goroutine of its own.
func (p *Poller) readStream(c *Conn, wire *stream) {
	buffer := make([]byte, streamBuffer)
	done := make(chan outcome)
	byHand := func() { done <- c.takeParsed(atHand) }
	for o := drained; o != over; {
		n, err := wire.read(buffer)
		c.receive(buffer[:n])
		if o = c.takeParsed(atReader); o == longer {
			p.hands.give(byHand)
			o = <-done
		}
		c.parser.Keep()
		if err != nil {
			o = over
		}
	}
	p.end(c)
}

// end tells the handler the end. Without connections the poller has no goroutines.
func (p *Poller) end(c *Conn) {
	c.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count--; p.count > 0 {
		return
	}
	if p.loop != nil {
		p.loop.stop()
		p.loop = nil
	}
	p.hands.dismiss()
}

// turn reads from a connection that the caller has claimed, until nothing is there or a hand has taken over.
func (p *Poller) turn(c *Conn, buffer []byte, all bool, at place) {
	for {
		o := over
		if !c.over {
			o = c.advance(buffer, all, at)
		}
		switch {
		case o == drained:
			if c.yield() {
				return
			}
			all = true
			continue
		case o == over && at == atHand:
			p.end(c)
			return
		case o == over:
			c.over = true
		}
		p.hands.give(func() { p.byHand(c) })
		return
	}
}

func (p *Poller) byHand(c *Conn) {
	buffer := p.buffers.Get().(*[]byte)
	defer p.buffers.Put(buffer)
	p.turn(c, *buffer, true, atHand)
}
