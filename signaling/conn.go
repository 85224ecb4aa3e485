package signaling

import (
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"tourbillon/timing"
)

// lingerTime is how long a closed connection may take to send its last messages and to be closed by the client too,
// before the TCP connection is cut.
const lingerTime = time.Second

// farewell is how a connection ends.
type farewell struct {
	code   uint16
	reason string
	// last is sent before the close frame; nil for none.
	last any
	// abandon drops what is still queued.
	abandon bool
}

// conn is one connection: a bounded queue towards the client, the timers of its channel, its heartbeat. Its timers
// are armed by open and joined and released by finish and release; their callbacks run on the waker's goroutine and start
// a goroutine (spawnLocked) for all that might block.
type conn struct {
	id   connID
	srv  *Server
	sock link
	addr netip.AddrPort
	// host is the name by which the client reached the server.
	host string

	// Owned by whoever reads: how fast the client sends, what of it was dropped, and how much in a row.
	sent, flood bucket
	dropped     int
	// unjoined is true while the connection counts as one that has not joined. greeted is true once the client has
	// said hello.
	unjoined, greeted bool
	// room, peer and can are empty before the join. mine is the seat that the join gave, generation that of its session;
	// the seat may have another connection meanwhile.
	room, peer string
	can        Capabilities
	mine       *seat
	generation uint64

	// seat is the one that the connection has; the hub owns this field.
	seat *seat

	// mu guards what follows. It is never held over I/O, nor while the hub's lock is taken.
	mu sync.Mutex
	// class is what the client said it is, interval that of the pings.
	class       Class
	interval    time.Duration
	queue       []outgoing
	queuedBytes int
	// sending is true while somebody empties the queue; only that one writes.
	sending bool
	// ending is set by the first finish; the close frame is sent once the queue is empty, and closed is true then.
	ending *farewell
	closed bool
	// released is true once nothing more will be read: no goroutine is started from then on.
	released bool
	heart    heartbeat
	// The timers of the channel; nil before they are armed. farewell ends the connection while the server stops.
	beats                             *timing.Periodic
	joinBy, refresh, linger, farewell timing.Timer
}

// open arms the join timeout.
func (c *conn) open() {
	if c.srv.config.Limits.Off {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joinBy = c.srv.clock.AfterFunc(c.srv.config.Limits.JoinTimeout, func() {
		c.spawn(func() { c.srv.drop(c, ReasonTimeout, refusalFarewell(errJoinTimeout())) })
	})
}

// finishAfter ends the connection some time from now, and tells the client at once.
func (c *conn) finishAfter(wait time.Duration, notice byeMessage, f farewell) {
	if c.planFinish(wait, notice, f) {
		c.flush()
	}
}

func (c *conn) planFinish(wait time.Duration, notice byeMessage, f farewell) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil || c.released {
		return false
	}
	c.pushLocked(outgoing{text: encode(notice)})
	c.farewell = c.srv.clock.AfterFunc(wait, func() {
		c.finish(f)
		c.flush()
	})
	return true
}

// finish ends the connection: timers stop, the last words and the close frame go out, and after lingerTime the TCP
// connection is cut whatever has become of them. flush has to follow once no lock is held. It reports false when the
// connection was ending already.
func (c *conn) finish(f farewell) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.endLocked(&f) {
		return false
	}
	if f.last != nil {
		c.pushLocked(outgoing{text: encode(f.last)})
	}
	return true
}

// silence ends the connection without a word, after the socket has failed or the client has closed. It returns the
// reason for which the connection ended first.
func (c *conn) silence() (reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(&farewell{reason: string(ReasonClosed)})
	c.dropQueueLocked()
	c.closed = true
	return c.ending.reason
}

func (c *conn) endLocked(f *farewell) bool {
	if c.ending != nil {
		return false
	}
	c.ending = f
	c.stopTimersLocked()
	if f.abandon {
		c.dropQueueLocked()
	}
	if !c.released {
		c.linger = c.srv.clock.AfterFunc(lingerTime, c.sock.Cut)
	}
	return true
}

// isEnding reports whether the connection takes no more messages.
func (c *conn) isEnding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending != nil
}

// release is the reader giving the connection up: no timer is armed and no goroutine started after it.
func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released = true
	c.stopTimersLocked()
	stop(c.linger)
}

func (c *conn) stopTimersLocked() {
	stop(c.joinBy)
	stop(c.refresh)
	stop(c.farewell)
	if c.beats != nil {
		c.beats.Stop()
	}
}

func stop(t timing.Timer) {
	if t != nil {
		t.Stop()
	}
}

// spawn runs f on a goroutine that Shutdown waits for, unless the connection has been released.
func (c *conn) spawn(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spawnLocked(f)
}

func (c *conn) spawnLocked(f func()) {
	if !c.released {
		c.srv.hub.tasks.Go(func() {
			defer c.recover()
			f()
		})
	}
}

// recover, deferred, makes a panic cost no more than this connection.
func (c *conn) recover() {
	if cause := recover(); cause != nil {
		c.srv.counts.panics.Add(1)
		c.srv.config.Log.Error("connection handler panicked", "cause", cause, "stack", string(debug.Stack()))
		c.srv.drop(c, ReasonClosed, farewell{code: closeInternal, abandon: true})
	}
}
