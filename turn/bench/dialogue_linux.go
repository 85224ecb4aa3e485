package bench

import (
	"fmt"
	"time"
)

const (
	// repeatAfter is when an unanswered request is sent anew.
	repeatAfter = 200 * time.Millisecond
	// setUpPatience bounds every set-up.
	setUpPatience = 60 * time.Second
	// dialogues is how many clients are set up at a time.
	dialogues = 32
)

// bring takes all clients to a step, dialogues of them at a time.
func (g *generator) bring(clients []client, goal step) error {
	b := &bringing{g: g, clients: clients, goal: goal, limit: now() + int64(setUpPatience)}
	if err := b.run(); err != nil {
		return err
	}
	if b.finished < len(clients) {
		return fmt.Errorf("%d of %d clients came to step %d within %v", b.finished, len(clients), goal, setUpPatience)
	}
	return nil
}

// bringing is one call of bring.
type bringing struct {
	g        *generator
	clients  []client
	goal     step
	limit    int64
	begun    int
	open     []*client
	socket   int // of what is in scratch
	finished int
	first    int // number of the first client, by which sources are told apart
}

func (b *bringing) run() error {
	if b.g.byChoice && len(b.clients) > 0 {
		b.first = sourceNumber(b.clients[0].source.As4())
	}
	for b.finished < len(b.clients) && now() < b.limit {
		if err := b.begin(); err != nil {
			return err
		}
		if err := b.repeat(); err != nil {
			return err
		}
		if err := b.flush(); err != nil {
			return err
		}
		for _, event := range b.g.waiter.until(min(b.limit, now()+int64(repeatAfter)/4)) {
			if err := b.take(int(event.Fd)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bringing) begin() error {
	for len(b.open) < dialogues && b.begun < len(b.clients) {
		c := &b.clients[b.begun]
		b.begun++
		b.open = append(b.open, c)
		if err := b.ask(c); err != nil {
			return err
		}
	}
	return nil
}

func (b *bringing) ask(c *client) error {
	request, err := c.session.request()
	if err != nil {
		return err
	}
	return b.send(c, request)
}

// send leaves a request for flush.
func (b *bringing) send(c *client, request []byte) error {
	if b.g.scratch.full() || b.socket != c.socket {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.socket, c.sentAt = c.socket, now()
	copy(b.g.scratch.add(b.g.Server, c.source, len(request)), request)
	return nil
}

// flush sends what has been asked, with one system call for many clients where they share a socket.
func (b *bringing) flush() error {
	if b.g.scratch.used == 0 {
		return nil
	}
	return b.g.scratch.send(b.socket)
}

// repeat sends unanswered requests anew, as they were: another transaction would be a second allocation (RFC 8489 6.2.1).
func (b *bringing) repeat() error {
	at := now()
	for _, c := range b.open {
		if at-c.sentAt > int64(repeatAfter) {
			if err := b.send(c, c.session.asked.Raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// take hands what a socket has to the sessions.
func (b *bringing) take(fd int) error {
	in := b.g.received
	for {
		if err := in.receive(fd, b.g.byChoice); err != nil {
			return err
		}
		for i := range in.used {
			if fd != b.g.peer {
				if err := b.answer(fd, in, i); err != nil {
					return err
				}
			}
		}
		if in.used < batchSlots {
			return nil
		}
	}
}

func (b *bringing) answer(fd int, in *batch, i int) error {
	c := b.whose(fd, in, i)
	if c == nil {
		return nil
	}
	taken, err := c.session.answer(in.payload(i))
	if err != nil || !taken {
		return err
	}
	if c.session.step >= b.goal {
		b.finish(c)
		return nil
	}
	return b.ask(c)
}

func (b *bringing) whose(fd int, in *batch, i int) *client {
	if b.g.byChoice {
		n := sourceNumber(in.destination(i)) - b.first
		if n < 0 || n >= len(b.clients) {
			return nil
		}
		return &b.clients[n]
	}
	for _, c := range b.open {
		if c.socket == fd {
			return c
		}
	}
	return nil
}

func (b *bringing) finish(c *client) {
	for i, open := range b.open {
		if open == c {
			b.open = append(b.open[:i], b.open[i+1:]...)
			b.finished++
			return
		}
	}
}

// countAllocations makes allocations and releases them until an instant, each of a client that was never seen before where
// the server is on loopback, and returns how many. Each takes a challenge, an Allocate and a Refresh.
func (g *generator) countAllocations(limit int64) (made int, err error) {
	const group = 4 * dialogues
	count := group
	if !g.byChoice {
		count = min(group, len(g.sockets))
	}
	clients := make([]client, count)
	for first := maxClients; now() < limit; first += group {
		g.renew(clients, first)
		if err := g.cycle(clients); err != nil {
			return 0, err
		}
		made += len(clients)
	}
	return made, nil
}

// cycle allocates and releases each client.
func (g *generator) cycle(clients []client) error {
	if err := g.bring(clients, stepBind); err != nil {
		return err
	}
	for i := range clients {
		clients[i].session.step = stepRelease
	}
	return g.bring(clients, stepReleased)
}

// weighIdle holds allocations and returns by how much the server's resident memory grew.
func (g *generator) weighIdle() (bytes int64, granted int, err error) {
	if !g.byChoice || g.PID == 0 {
		return 0, 0, nil
	}
	before, err := rssOf(g.PID)
	if err != nil {
		return 0, 0, err
	}
	clients := g.newClients(maxClients+maxAllocs, g.Idle)
	if err := g.bring(clients, stepBind); err != nil {
		return 0, 0, fmt.Errorf("hold %d allocations: %w", g.Idle, err)
	}
	after, err := rssOf(g.PID)
	if err != nil {
		return 0, 0, err
	}
	for i := range clients {
		clients[i].session.step = stepRelease
	}
	return after - before, g.Idle, g.bring(clients, stepReleased)
}
