package link

import (
	"net/netip"
	"sync"

	"tourbillon/signaling/agent/pacing"
	"tourbillon/timing"
)

// check is one Binding request of pion's that waits for its turn.
type check struct {
	path     *Path
	through  packetWriter
	datagram []byte
	to       netip.AddrPort
}

// packetWriter sends a packet to an address.
type packetWriter interface {
	WriteToAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// pacer sends checks when the scheduler says. It owns the scheduler and one timer.
type pacer struct {
	clock timing.Clock

	// mu guards what follows; nothing is sent under it.
	mu        sync.Mutex
	scheduler *pacing.Scheduler[check]
	timer     timing.Timer
	armed     timing.Instant // Never while the timer is not armed.
	closed    bool
	// firing counts the timer's callbacks that run; idle is signalled when none does.
	firing int
	idle   sync.Cond
}

func newPacer(clock timing.Clock, config pacing.Config) *pacer {
	p := &pacer{clock: clock, scheduler: pacing.New[check](config), armed: timing.Never}
	p.idle.L = &p.mu
	return p
}

// offer takes a check over; those that are due leave on the caller's goroutine.
func (p *pacer) offer(c check) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	now := p.clock.Now()
	p.scheduler.Offer(c.path.id, c.to, c, now)
	due := p.takeLocked(now)
	p.mu.Unlock()
	send(due)
}

func (p *pacer) fire() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.armed = timing.Never
	p.firing++
	due := p.takeLocked(p.clock.Now())
	p.mu.Unlock()
	send(due)
	p.mu.Lock()
	p.firing--
	p.idle.Broadcast()
	p.mu.Unlock()
}

func (p *pacer) takeLocked(now timing.Instant) (due []check) {
	for {
		r, ok := p.scheduler.Take(now)
		if !ok {
			break
		}
		due = append(due, r.Payload)
	}
	next, ok := p.scheduler.Next()
	switch {
	case !ok || next >= p.armed:
	case p.timer == nil:
		p.timer, p.armed = p.clock.At(next, p.fire), next
	default:
		p.timer.ResetAt(next)
		p.armed = next
	}
	return due
}

func send(due []check) {
	for _, c := range due {
		c.path.sendCheck(c)
	}
}

// await holds an agent's checks back until its peer is heard.
func (p *pacer) await(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scheduler.Await(id, p.clock.Now())
}

// heard lets what was held back for the peer leave: not here, which reads, but with the triggered check that pion offers
// next.
func (p *pacer) heard(id uint64, from netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scheduler.Heard(id, from)
}

func (p *pacer) end(id uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scheduler.End(id)
}

func (p *pacer) countsOf(id uint64) pacing.Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scheduler.CountsOf(id)
}

func (p *pacer) counts() pacing.Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scheduler.Counts()
}

// close lets nothing more leave and waits for what is leaving.
func (p *pacer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for p.firing > 0 {
		p.idle.Wait()
	}
}
