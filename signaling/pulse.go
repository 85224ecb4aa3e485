package signaling

import (
	"time"

	"tourbillon/timing"
)

// joined ends the join timeout, starts the heartbeat, and plans the refresh of ICE servers that last ttl.
func (c *conn) joined(ttl time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return
	}
	stop(c.joinBy)
	c.joinBy = nil
	c.beats = timing.Every(c.srv.heartbeats, firstBeat(c.srv.heartbeats.Now(), c.interval), c.interval, c.beat)
	c.planRefreshLocked(ttl)
}

// pace changes the interval of the pings from now on, and tells the client.
func (c *conn) pace(interval time.Duration) {
	c.setPace(interval)
	c.flush()
}

func (c *conn) setPace(interval time.Duration) {
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

// beat sends the next ping, or gives up a connection that is silent. It runs on the waker's goroutine, and writes there what
// the network takes without waiting.
func (c *conn) beat(tick timing.Tick) {
	c.queueBeat(tick)
	c.flush()
}

func (c *conn) queueBeat(tick timing.Tick) {
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
		text: encodePing(seq, c.heart.rtt.Smoothed, c.mine.got.Load()), ping: seq, due: tick.Due.Add(-c.heart.lead()),
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
	c.beats.SetLead(c.heart.lead())
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
