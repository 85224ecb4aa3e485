package socket

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// Handler is what is done about what a client sends on one connection. Calls come one after another.
type Handler interface {
	// Quick takes a message that needs a few instructions and little stack, such as the answer to a ping; false leaves it
	// to Take. It must not block.
	Quick(m Message) bool
	// Take takes a message. With mayBlock false other connections wait meanwhile: it reports false, having done nothing,
	// for a message that may block or take long, and is then called again with mayBlock true, and its result is of no
	// meaning.
	Take(m Message, mayBlock bool) bool
	// Refuse is told that the client broke RFC 6455. What it sends from then on is dropped.
	Refuse(f *Fault)
	// Ended is told once that nothing more will be read, when no other call is under way. A cause is what one of the
	// others panicked with. It may block. Writes fail by then.
	Ended(cause error)
}

const (
	// discardBytes bounds what is read and dropped of a client that broke the protocol: closing a TCP connection with data
	// unread resets it, which could take the close frame along, so it is read for as long as it may take to close.
	discardBytes = 1 << 20
	// turnBytes is how much is read of one connection before the others get their turn.
	turnBytes = 256 << 10
)

// wire is what carries a connection's bytes.
type wire interface {
	// read blocks only where the wire is of the blocking kind; 0 without an error means that nothing is there now.
	read(p []byte) (int, error)
	// tryWrite does not block; a short count means that the network takes no more now.
	tryWrite(p []byte) (int, error)
	// write blocks until all is written or the wire is cut.
	write(p []byte) error
	closeWrite()
	cut()
	// close frees it, after the last read.
	close()
}

// Conn is one connection. Its methods are safe for concurrent use.
type Conn struct {
	wire    wire
	handler Handler

	// Owned by the goroutine that reads: how much is still dropped of a client that broke the protocol, 0 for one that
	// has not, and what a callback panicked with.
	parser  Parser
	discard int
	cause   error
	// held is a message that is left to a hand; Opcode 0 for none. over is true once nothing more will be read.
	held Message
	over bool

	// turn says whether a goroutine reads; see claim.
	turn atomic.Int32
}

// TryWrite writes what the network takes without waiting. A short count is no error: the rest is for Write.
func (c *Conn) TryWrite(p []byte) (int, error) {
	n, err := c.wire.tryWrite(p)
	if err != nil {
		return n, fmt.Errorf("write to the client: %w", err)
	}
	return n, nil
}

// Write writes all. It blocks for as long as the network does, or until Cut. Calls must not overlap, nor with TryWrite.
func (c *Conn) Write(p []byte) error {
	if err := c.wire.write(p); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	return nil
}

// CloseWrite ends the sending direction, so that the client gets to read what was sent. With TLS it may block for as long
// as Write.
func (c *Conn) CloseWrite() { c.wire.closeWrite() }

// Cut ends the connection at once, and with it every blocked call. It does not block and may be called repeatedly.
func (c *Conn) Cut() { c.wire.cut() }

// States of Conn.turn: nobody reads; somebody does; somebody does and has to look again.
const (
	turnFree, turnTaken, turnAgain = 0, 1, 2
)

// claim makes the caller the one that reads; false when another is at it, who will look again.
func (c *Conn) claim() bool {
	for {
		switch c.turn.Load() {
		case turnFree:
			if c.turn.CompareAndSwap(turnFree, turnTaken) {
				return true
			}
		case turnTaken:
			if c.turn.CompareAndSwap(turnTaken, turnAgain) {
				return false
			}
		default:
			return false
		}
	}
}

// yield ends the caller's turn; false when it has to look again.
func (c *Conn) yield() bool {
	if c.turn.CompareAndSwap(turnTaken, turnFree) {
		return true
	}
	c.turn.Store(turnTaken)
	return false
}

// place is where a message is taken.
type place int

const (
	// atReader is a connection's own goroutine, whose stack stays as deep as it once was; atLoop is the one that reads for
	// all connections; atHand one of those that may block.
	atReader place = iota
	atLoop
	atHand
)

// outcome is what became of a look at what was read.
type outcome int

const (
	// drained: all that is there was taken. longer: what comes next is for a hand. over: nothing more will come.
	drained outcome = iota
	longer
	over
)

// advance reads and takes what is there, with a wire that does not block. With all it reads until nothing is left; else a
// read that leaves room in the buffer counts as the last one (epoll(7), "edge-triggered").
func (c *Conn) advance(buffer []byte, all bool, at place) outcome {
	for budget := turnBytes; ; {
		o := c.takeParsed(at)
		c.parser.Keep() // Before buffer is read into again.
		switch {
		case o != drained:
			return o
		case budget <= 0 && at == atLoop:
			return longer
		}
		n, err := c.wire.read(buffer)
		budget -= n
		switch {
		case err != nil:
			return over
		case n == 0:
			return drained
		}
		c.receive(buffer[:n])
		if n < len(buffer) && !all {
			o := c.takeParsed(at)
			c.parser.Keep()
			return o
		}
	}
}

// receive gives the parser what was read, or drops it after a fault.
func (c *Conn) receive(read []byte) {
	if c.discard == 0 {
		c.parser.Add(read)
		return
	}
	if c.discard -= len(read); c.discard <= 0 {
		c.discard = 1
		c.Cut()
	}
}

// takeParsed gives the handler the messages that are whole.
func (c *Conn) takeParsed(at place) (o outcome) {
	defer c.guard(&o)
	for c.discard == 0 {
		m, ok, fault := c.next()
		switch {
		case fault != nil:
			c.parser, c.discard = Parser{}, discardBytes
			c.handler.Refuse(fault)
		case !ok:
			return drained
		case c.handler.Quick(m) || at != atReader && c.handler.Take(m, at == atHand) || at == atHand:
		default:
			c.held = Message{m.Opcode, bytes.Clone(m.Payload)}
			return longer
		}
	}
	return drained
}

// next is the parser's, after a message that was left to a hand.
func (c *Conn) next() (m Message, ok bool, fault *Fault) {
	if c.held.Opcode == 0 {
		return c.parser.Next()
	}
	m, c.held = c.held, Message{}
	return m, true, nil
}

// guard, deferred, makes a panic cost no more than this connection.
func (c *Conn) guard(o *outcome) {
	if cause := recover(); cause != nil {
		c.cause = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		c.Cut()
		*o = over
	}
}

// end tells the handler that nothing more will be read.
func (c *Conn) end() {
	c.wire.cut()
	c.parser, c.held = Parser{}, Message{}
	c.handler.Ended(c.cause)
	c.wire.close()
}
