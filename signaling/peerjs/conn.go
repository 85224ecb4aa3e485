package peerjs

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tourbillon/signaling/socket"
	"tourbillon/timing"
)

// Close codes (RFC 6455 section 7.4, the IANA registry, and 4001 from the range for applications).
const (
	closeNormal   = 1000
	closePolicy   = 1008
	closeInternal = 1011
	closeRestart  = 1012
	closeTryAgain = 1013
	closeReplaced = 4001
)

// farewell is how a connection ends: a last message, unless nil, and a close frame, unless code is 0.
type farewell struct {
	text   []byte
	code   uint16
	reason string
	// abandon drops what is still queued.
	abandon bool
}

var (
	farewellReplaced = &farewell{code: closeReplaced, reason: "the id was taken up by another connection", abandon: true}
	farewellSilent   = &farewell{code: closePolicy, reason: "no HEARTBEAT in time", abandon: true}
	farewellSlow     = &farewell{code: closeTryAgain, reason: "too much was waiting to be read", abandon: true}
	farewellLeft     = &farewell{code: closeNormal}
	farewellFault    = &farewell{code: closeInternal, abandon: true}
	farewellShutdown = &farewell{code: closeRestart, reason: "the server is stopping"}
	farewellTooFast  = refusal(errorText("Too many messages: slow down"))
)

// refusal tells an error and closes.
func refusal(text []byte) *farewell { return &farewell{text: text, code: closePolicy} }

func (f *farewell) frames() (frames []byte) {
	if f.text != nil {
		frames = socket.AppendFrame(frames, socket.OpText, f.text)
	}
	if f.code != 0 {
		frames = socket.AppendClose(frames, f.code, f.reason)
	}
	return frames
}

// lingerTime is how long a connection that was told to go may take to read that and to close, before it is cut.
const lingerTime = time.Second

// conn is one connection. Its timers are armed by watch and end, and released by release.
type conn struct {
	id      connID
	srv     *Server
	sock    *socket.Conn
	out     sender
	network netip.Prefix

	// pace is owned by whoever reads.
	pace pace
	// beat is the instant of the latest HEARTBEAT, or of the connection's start.
	beat atomic.Int64

	// mu guards what follows; it is not held over I/O.
	mu              sync.Mutex
	ending          bool
	released        bool
	silence, linger timing.Timer
}

func newConn(s *Server, sock *socket.Conn, network netip.Prefix) *conn {
	c := &conn{srv: s, sock: sock, network: network}
	c.out = sender{sock: sock, limit: s.config.Limits.QueueBytes, spawn: s.tasks.Go}
	c.beat.Store(int64(s.clock.Now()))
	return c
}

// watch ends the connection when no heartbeat comes for too long. One timer looks again at the instant at which the
// latest beat would be too old, so that a beat itself costs no timer.
func (c *conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		c.silence = c.srv.coarse.AfterFunc(c.srv.config.Limits.Silence, c.look)
	}
}

// look runs on the waker's goroutine.
func (c *conn) look() {
	due := timing.Instant(c.beat.Load()).Add(c.srv.config.Limits.Silence)
	if due <= c.srv.clock.Now() {
		c.srv.background(func() { c.srv.drop(c, farewellSilent) })
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending && c.silence != nil {
		c.silence.ResetAt(due)
	}
}

// receive takes one message of the client. Calls come one after another.
func (c *conn) receive(text []byte, isText bool) {
	limits := c.srv.config.Limits
	now := c.srv.clock.Now()
	switch {
	case c.isEnding():
		return
	case !isText:
		c.refuse(&MessageError{"a binary frame", "send JSON in text frames"})
		return
	case !limits.Off && !c.pace.take(now, limits.MessagesPerSecond, limits.MessageBurst):
		c.srv.counts.tooFast.Add(1)
		c.srv.drop(c, farewellTooFast)
		return
	}
	m, err := decode(text, limits)
	if err != nil {
		c.refuse(err)
		return
	}
	c.handle(m, now)
}

func (c *conn) handle(m message, now timing.Instant) {
	switch {
	case m.Type == typeHeartbeat:
		c.beat.Store(int64(now))
	case m.Type == typeLeave && m.Dst == "":
		c.srv.drop(c, farewellLeft)
	default:
		c.srv.relay(c, m, now)
	}
}

// refuse ends the connection for a bad message; one of an unknown type is only counted.
func (c *conn) refuse(err error) {
	c.srv.counts.refused.Add(1)
	var wrong *MessageError
	if errors.As(err, &wrong) {
		c.srv.drop(c, refusal(errorText(wrong.Error())))
	}
}

// end has the connection end: what is queued and the farewell go out, and after lingerTime the TCP connection is cut
// whatever has become of them. It does not block; the sender's flush must follow. It reports false when the connection
// was ending already.
func (c *conn) end(f *farewell) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return false
	}
	c.ending = true
	stop(c.silence)
	c.out.finish(f.abandon, f.frames())
	if !c.released {
		c.linger = c.srv.clock.AfterFunc(lingerTime, c.sock.Cut)
	}
	return true
}

func (c *conn) isEnding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// release stops the timers; none is armed after it.
func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending, c.released = true, true
	stop(c.silence)
	stop(c.linger)
}

func stop(t timing.Timer) {
	if t != nil {
		t.Stop()
	}
}
