package bench

import (
	"encoding/binary"
	"math/rand/v2"
)

// traffic is the steady state: the clients' messages on their way there and back.
type traffic struct {
	g        *generator
	out, in  *batch
	interval int64
	due      []int64 // next instant of each client; with a rate, in the order of queue
	order    []int   // clients in the order of their instants
	next     int     // place in order
	laps     int64
	open     []int   // messages under way, in the closed loop
	heard    []int64 // when something last came back, in the closed loop

	from, until    int64 // the window, in instants of sending
	samples        *samples
	sent, received int64
}

// pacingSeed makes the phases of the clients the same in every run.
const pacingSeed = 5766

func newTraffic(g *generator) *traffic {
	t := &traffic{g: g, out: newBatch(), in: newBatch(), from: -1, until: 1<<63 - 1}
	n := len(g.clients)
	t.due, t.order, t.open, t.heard = make([]int64, n), make([]int, n), make([]int, n), make([]int64, n)
	t.samples = newSamples(n, maxSamples)
	if g.Rate > 0 {
		t.samples = newSamples(n, int(g.Window.Seconds()*float64(g.Rate*n))+n)
		t.interval = int64(1e9) / int64(g.Rate)
		t.spread()
	}
	return t
}

// spread gives the clients phases that are uniform over an interval, independent as clients are.
func (t *traffic) spread() {
	random := rand.New(rand.NewPCG(pacingSeed, pacingSeed))
	phases := make([]int64, len(t.due))
	for i := range phases {
		phases[i], t.order[i] = random.Int64N(t.interval), i
	}
	sortBy(t.order, phases)
	for place, client := range t.order {
		t.due[place] = phases[client]
	}
}

func (t *traffic) window(from int64) { t.from = from }
func (t *traffic) stop(at int64)     { t.until = at }

// runUntil sends what is due and takes what comes, until an instant. start is the origin of the pacing.
func (t *traffic) runUntil(start, end int64) error {
	for {
		at := now()
		if at >= end {
			return nil
		}
		if at < t.until {
			if err := t.sendDue(start, at); err != nil {
				return err
			}
		}
		for _, event := range t.g.waiter.until(min(end, t.wakeAt(start, at))) {
			if err := t.take(int(event.Fd)); err != nil {
				return err
			}
		}
	}
}

// wakeAt is when the next message is due.
func (t *traffic) wakeAt(start, at int64) int64 {
	switch {
	case at >= t.until:
		return 1<<63 - 1
	case t.interval > 0:
		return start + t.laps*t.interval + t.due[t.next]
	}
	return at + int64(presumedLost)/4
}

func (t *traffic) sendDue(start, at int64) error {
	if t.interval == 0 {
		return t.refill(at)
	}
	for t.wakeAt(start, at) <= at {
		if err := t.put(t.order[t.next], at); err != nil {
			return err
		}
		if t.next++; t.next == len(t.order) {
			t.next, t.laps = 0, t.laps+1
		}
	}
	return t.flush()
}

// refill keeps the clients' messages under way. What does not come back for long is taken for lost.
func (t *traffic) refill(at int64) error {
	for i := range t.open {
		if t.open[i] > 0 && at-t.heard[i] > int64(presumedLost) {
			t.open[i] = 0
		}
		for t.open[i] < t.g.InFlight {
			if t.open[i]++; t.open[i] == 1 {
				t.heard[i] = at
			}
			if err := t.put(i, at); err != nil {
				return err
			}
		}
	}
	return t.flush()
}

// put adds a client's message to the batch.
func (t *traffic) put(i int, at int64) error {
	c := &t.g.clients[i]
	if t.out.full() || len(t.g.sockets) > 1 {
		if err := t.flushTo(c.socket); err != nil {
			return err
		}
	}
	to, head := t.g.Server, channelHeader
	if t.g.Direct {
		to, head = t.g.Peer, 0
	}
	p := t.out.add(to, c.source, head+t.g.Size)
	if !t.g.Direct {
		binary.BigEndian.PutUint16(p, c.session.channel)
		binary.BigEndian.PutUint16(p[2:], uint16(t.g.Size))
	}
	putHeader(p[head:], at, i)
	if at >= t.from && t.from >= 0 {
		t.sent++
	}
	if len(t.g.sockets) > 1 {
		return t.flushTo(c.socket)
	}
	return nil
}

func (t *traffic) flush() error { return t.flushTo(t.g.sockets[0]) }

func (t *traffic) flushTo(fd int) error {
	if t.out.used == 0 {
		return nil
	}
	return t.out.send(fd)
}

// take reads a socket empty, at the peer's answering everything.
func (t *traffic) take(fd int) error {
	for {
		if err := t.in.receive(fd, false); err != nil {
			return err
		}
		whole := t.in.used == batchSlots
		if fd == t.g.peer {
			if t.g.echo != nil {
				t.in.turnAround()
			}
			t.in.reflect()
			if err := t.in.send(fd); err != nil {
				return err
			}
		} else {
			t.arrived()
		}
		if !whole {
			return nil
		}
	}
}

// arrived records what came back to the clients.
func (t *traffic) arrived() {
	at, head := now(), channelHeader
	if t.g.Direct {
		head = 0
	}
	for i := range t.in.used {
		p := t.in.payload(i)
		if len(p) < head+messageHeader || head > 0 && p[0]&0xC0 != 0x40 {
			continue
		}
		sent, client := header(p[head:])
		if client >= len(t.open) {
			continue
		}
		if t.open[client] > 0 {
			t.open[client]--
		}
		t.heard[client] = at
		if t.from >= 0 && sent >= t.from && sent < t.until {
			t.received++
			t.samples.add(client, at-sent)
		}
	}
}

// report puts the window into figures.
func (t *traffic) report(o *outcome, before, after meters) {
	o.Sent, o.Received = t.sent, t.received
	o.Seconds = float64(after.at-before.at) / 1e9
	o.CPU, o.Own, o.RSS = after.server-before.server, after.own-before.own, after.rss
	o.RTTP50, o.RTTP99 = perMille(t.samples.rtt, 500), perMille(t.samples.rtt, 990)
	o.JitterP99 = perMille(t.samples.jitter, 990)
}
