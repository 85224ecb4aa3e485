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

// outgoing is one message in a queue. n is its number in the session, if it has one. ping is its number if it is a
// ping, which was due at some instant.
type outgoing struct {
	text []byte
	n    uint64
	ping uint64
	due  timing.Instant
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

	// Owned by the goroutine that reads: how fast the client sends, what of it was dropped, and how much in a row.
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
	// draining is true while a goroutine empties the queue.
	draining bool
	// ending is set by the first finish; the close frame is sent once the queue is empty, and closed is true then.
	ending *farewell
	closed bool
	// released is true once the goroutine that reads has nothing more to do: no goroutine is started from then on.
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

// joined ends the join timeout, starts the heartbeat, and plans the refresh of ICE servers that last ttl.
func (c *conn) joined(ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return
	}
	stop(c.joinBy)
	c.joinBy = nil
	c.beats = timing.Every(c.srv.heartbeats, c.srv.heartbeats.Now().Add(c.interval), c.interval, c.beat)
	c.planRefreshLocked(ttl)
}

// pace changes the interval of the pings from now on, and tells the client.
func (c *conn) pace(interval time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return
	}
	c.interval = interval
	if c.beats != nil {
		c.beats.SetPeriod(interval)
	}
	text := encode(heartbeatMessage{Type: typeHeartbeat, HeartbeatMS: interval.Milliseconds()})
	if c.enqueueLocked(outgoing{text: text}) {
		c.spawnLocked(c.tooSlow)
	}
}

// paceClass changes the interval of a connection of the class, or of ClassAll; false for another class.
func (c *conn) paceClass(class Class, interval time.Duration) bool {
	c.mu.Lock()
	fits := class == ClassAll || c.class == class
	c.mu.Unlock()
	if fits {
		c.pace(interval)
	}
	return fits
}

func (c *conn) currentClass() Class {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.class
}

func (c *conn) currentPace() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.interval
}

// beat queues the next ping, or gives up a connection that is silent. It runs on the waker's goroutine.
func (c *conn) beat(tick timing.Tick) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return
	}
	seq, alive := c.heart.beat(c.srv.clock.Now(), c.interval)
	if !alive {
		c.spawnLocked(func() { c.srv.drop(c, ReasonTimeout, farewell{code: closePolicy, abandon: true}) })
		return
	}
	ping := outgoing{
		text: encodePing(seq, c.heart.rtt.Smoothed, c.mine.got.Load()), ping: seq, due: tick.Due.Add(-c.heart.rtt.Lead(maxLead)),
	}
	if c.enqueueLocked(ping) {
		c.spawnLocked(c.tooSlow)
	}
}

func (c *conn) tooSlow() { c.srv.drop(c, ReasonSlow, slowFarewell()) }

// pong takes an answer to a ping and lets the next beats lead by half the path's delay; false for one that waits for
// none.
func (c *conn) pong(seq uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.beats == nil || !c.heart.pong(seq, c.srv.clock.Now()) {
		return false
	}
	c.beats.SetLead(c.heart.rtt.Lead(maxLead))
	return true
}

// describe tells what the connection knows of its peer.
func (c *conn) describe(info *PeerInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info.Address, info.Heartbeat = c.addr.String(), c.interval
	info.RTT, info.RTTVar, info.Jitter = c.heart.rtt.Smoothed, c.heart.rtt.Variation, c.heart.rtt.Jitter
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

// replay queues the answer to a resume and what was missed after the given number. The queue is empty, and the limits
// on what is kept are no wider than its own.
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

// finishAfter ends the connection some time from now, and tells the client at once.
func (c *conn) finishAfter(wait time.Duration, notice byeMessage, f farewell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil || c.released {
		return
	}
	c.pushLocked(outgoing{text: encode(notice)})
	c.farewell = c.srv.clock.AfterFunc(wait, func() { c.finish(f) })
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
