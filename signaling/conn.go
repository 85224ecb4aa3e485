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

// outgoing is one message in a queue. ping is its number if it is a ping, whose instant of sending counts.
type outgoing struct {
	text []byte
	ping uint64
}

// conn is one connection: a bounded queue towards the client, the timers of its channel, its heartbeat. Its timers
// are armed by open and joined and released by finish and release; their callbacks run on the waker's goroutine and start
// a goroutine (spawnLocked) for all that might block.
type conn struct {
	id   connID
	srv  *Server
	sock socket
	addr netip.AddrPort
	// host is the name by which the client reached the server.
	host string

	// Owned by the goroutine that reads: how fast the client sends, and how many messages in a row were dropped.
	sent    bucket
	dropped int
	// unjoined is true while the connection counts as one that has not joined.
	unjoined bool
	// room and peer are empty before the join, written once by the goroutine that reads, before joined arms the timers
	// whose goroutines read them.
	room, peer string

	// mu guards what follows. It is never held over I/O, nor while the hub's lock is taken.
	mu          sync.Mutex
	queue       []outgoing
	queuedBytes int
	// draining is true while a goroutine empties the queue.
	draining bool
	// ending is set by the first finish; the close frame is sent once the queue is empty, and closed is true then.
	ending *farewell
	closed bool
	// released is true once the goroutine that reads has nothing more to do: no goroutine is started from then on.
	released bool
	heart    heartbeat
	beats    *timing.Periodic
	joinBy   timing.Timer
	refresh  timing.Timer
	linger   timing.Timer
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

// joined ends the join timeout, starts the heartbeat, and plans the refresh of ICE servers that last ttl.
func (c *conn) joined(ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return
	}
	stop(c.joinBy)
	interval := c.srv.config.Heartbeat
	c.beats = timing.Every(c.srv.heartbeats, c.srv.heartbeats.Now().Add(interval), interval, c.beat)
	c.planRefreshLocked(ttl)
}

// beat queues the next ping, or gives up a connection that is silent. It runs on the waker's goroutine.
func (c *conn) beat(timing.Tick) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return
	}
	seq, alive := c.heart.beat(c.srv.clock.Now())
	if !alive {
		c.spawnLocked(func() { c.srv.drop(c, ReasonTimeout, farewell{code: closePolicy, abandon: true}) })
		return
	}
	text := encode(pingMessage{Type: typePing, Seq: seq, RTTUS: c.heart.rtt.Smoothed.Microseconds()})
	if c.enqueueLocked(outgoing{text: text, ping: seq}) {
		c.spawnLocked(func() { c.srv.drop(c, ReasonSlow, slowFarewell()) })
	}
}

// pong takes an answer to a ping and lets the next beats lead by half the path's delay.
func (c *conn) pong(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.beats != nil && c.heart.pong(seq, c.srv.clock.Now()) {
		c.beats.SetLead(c.heart.rtt.Lead(maxLead))
	}
}

// roundTrip returns what the heartbeat has measured.
func (c *conn) roundTrip() timing.RTT {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heart.rtt
}

// refreshShare is the part of the credentials' lifetime after which the next ones are sent.
const refreshShare = 0.8

// planRefresh arms the push of fresh ICE servers, given that the present ones last ttl.
func (c *conn) planRefresh(ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.planRefreshLocked(ttl)
}

func (c *conn) planRefreshLocked(ttl time.Duration) {
	switch {
	case ttl <= 0 || c.ending != nil:
		return
	case c.refresh == nil:
		c.refresh = c.srv.coarse.AfterFunc(refreshAfter(ttl), func() { c.spawn(c.sendICEServers) })
	default:
		c.refresh.Reset(refreshAfter(ttl))
	}
}

// refreshAfter keeps a second between two refreshes, whatever lifetime the issuer states.
func refreshAfter(ttl time.Duration) time.Duration {
	return max(time.Duration(refreshShare*float64(ttl)), time.Second)
}

// sendICEServers sends fresh ICE servers and plans the next.
func (c *conn) sendICEServers() {
	servers, ttl := c.srv.iceServers(c.peer, c.host)
	c.send(iceServersMessage{Type: typeICEServers, iceMessage: newICEMessage(servers, ttl)})
	c.planRefresh(ttl)
}

// send queues one message and drops the connection if the queue is full.
func (c *conn) send(message any) {
	if c.enqueue(encode(message)) {
		c.srv.drop(c, ReasonSlow, slowFarewell())
	}
}

// enqueue queues a message; true when there is no room for it. What is sent after finish vanishes.
func (c *conn) enqueue(text []byte) (overflow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enqueueLocked(outgoing{text: text})
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
		if err := c.sock.Send(m.text); err != nil {
			c.sock.Abort() // The goroutine that reads sees it and ends the connection.
			c.silence()
		}
	}
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

// finish ends the connection: timers stop, the last words and the close frame go out, and after lingerTime the TCP
// connection is cut whatever has become of them. It reports false when the connection was ending already.
func (c *conn) finish(f farewell) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.endLocked(&f) {
		return false
	}
	if f.last != nil {
		c.pushLocked(outgoing{text: encode(f.last)})
	}
	c.wakeLocked()
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
		c.linger = c.srv.clock.AfterFunc(lingerTime, c.sock.Abort)
	}
	return true
}

func (c *conn) dropQueueLocked() { c.queue, c.queuedBytes = nil, 0 }

// isEnding reports whether the connection takes no more messages.
func (c *conn) isEnding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending != nil
}

// release is the goroutine that reads giving the connection up: no timer is armed and no goroutine started after it.
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
