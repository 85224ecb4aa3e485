package link

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/pion/ice/v4"

	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/pacing"
	"tourbillon/timing"
)

// Path is one agent's way over the socket. Make one with [Socket.NewPath] and Close it when its agent has ended.
type Path struct {
	socket *Socket
	id     uint64
	lost   func(since timing.Instant)
	// stopped is true from the expiry of consent until another pair is selected or a restart has begun.
	stopped atomic.Bool

	// mu guards what follows. Nothing is written to the network and nobody is called back under it.
	mu          sync.Mutex
	machine     *consent.Machine
	credentials consent.Credentials
	// streams are the agent's TCP sides by family (true is IPv6); stream is that of the selected pair, nil for UDP.
	streams  map[bool]*streamGate
	stream   *streamGate
	prepared map[consent.TransactionID]prepared
	timer    timing.Timer
	closed   bool
	// writing counts the writes that have begun; idle is signalled when there are none.
	writing int
	idle    sync.Cond
}

// ErrClosed says that the socket is closed.
var ErrClosed = errors.New("link: closed")

// NewPath returns a path for one agent. lost is called, on a goroutine of the clock's, when consent has expired; it must
// not block.
func (s *Socket) NewPath(lost func(since timing.Instant)) (*Path, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	s.lastID++
	p := &Path{
		socket: s, id: s.lastID, lost: lost,
		machine: consent.NewMachine(s.config.Random), prepared: map[consent.TransactionID]prepared{},
		streams: map[bool]*streamGate{},
	}
	p.idle.L = &p.mu
	s.paths[p] = struct{}{}
	return p, nil
}

// Mux is what the path's agent gets as its UDP mux.
func (p *Path) Mux() ice.UDPMux { return pathMux{UDPMux: p.socket.mux, path: p} }

// Status is how a path stands.
type Status struct {
	Consent consent.State
	// Remote is the address of the selected pair.
	Remote netip.AddrPort
	// Renewed is the last sign of consent.
	Renewed timing.Instant
	Quality consent.Quality
	// Pacing is of this path's connectivity checks.
	Pacing pacing.Counts
}

// Status returns how the path stands now.
func (p *Path) Status() Status {
	counts := p.socket.pacer.countsOf(p.id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return Status{
		Consent: p.machine.State(), Remote: p.machine.Remote(), Renewed: p.machine.Renewed(), Quality: p.machine.Quality(),
		Pacing: counts,
	}
}

// Select begins consent on the pair to a remote address that ICE has chosen. On one that the admission rule forbids it
// does not begin: no check may go there.
func (p *Path) Select(remote netip.AddrPort, credentials consent.Credentials) {
	p.choose(remote, false, credentials)
}

// SelectStream is Select for a pair of TCP.
func (p *Path) SelectStream(remote netip.AddrPort, credentials consent.Credentials) {
	p.choose(remote, true, credentials)
}

func (p *Path) choose(remote netip.AddrPort, stream bool, credentials consent.Credentials) {
	remote = canonical(remote)
	if !p.socket.config.Admit(remote) {
		p.socket.counts.forbidden.Add(1)
		return
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.credentials = credentials
	if p.stream = nil; stream {
		p.stream = p.streams[remote.Addr().Is6()]
		p.socket.release(p)
	} else {
		p.socket.own(p, remote)
	}
	p.stopped.Store(false)
	since := p.applyLocked(consent.Selected{Remote: remote})
	p.mu.Unlock()
	p.tell(since)
}

// Await says that the peer is about to get our answer and to begin with checks: ours wait for the first of them, but not
// long (package pacing). It is not for a peer that is ICE-lite, which sends none.
func (p *Path) Await() { p.socket.pacer.await(p.id) }

// Restarted says that ICE has begun anew: what it sends from here on belongs to pairs that are being checked.
func (p *Path) Restarted() { p.stopped.Store(false) }

// Close ends consent: no check leaves afterwards, nor any datagram of the path's agent. It waits for writes that have
// begun.
func (p *Path) Close() {
	p.socket.pacer.end(p.id)
	p.mu.Lock()
	p.closed = true
	p.applyLocked(consent.Closed{})
	if p.timer != nil {
		p.timer.Stop()
	}
	for p.writing > 0 {
		p.idle.Wait()
	}
	p.mu.Unlock()
	p.socket.forget(p)
}

func (s *Socket) own(p *Path, remote netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disownLocked(p)
	if s.owners[remote] == nil {
		s.owners[remote] = p
	}
}

func (s *Socket) disownLocked(p *Path) {
	for remote, owner := range s.owners {
		if owner == p {
			delete(s.owners, remote)
		}
	}
}

func (s *Socket) forget(p *Path) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disownLocked(p)
	delete(s.paths, p)
}

// answer judges an answer to one of the path's checks.
func (p *Path) answer(id consent.TransactionID, datagram []byte, from netip.AddrPort, now timing.Instant) {
	p.mu.Lock()
	credentials := p.credentials
	p.mu.Unlock()
	if err := credentials.Verify(datagram); err != nil {
		p.socket.counts.forged.Add(1)
		return
	}
	p.applyAt(consent.Answered{ID: id, From: from}, now)
}

func (p *Path) apply(e consent.Event) { p.applyAt(e, p.socket.config.Consent.Now()) }

func (p *Path) applyAt(e consent.Event, now timing.Instant) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	since := p.carryOut(p.machine.Apply(e, now))
	p.mu.Unlock()
	p.tell(since)
}

func (p *Path) applyLocked(e consent.Event) (since timing.Instant) {
	return p.carryOut(p.machine.Apply(e, p.socket.config.Consent.Now()))
}

// carryOut does what the machine asks for, with mu held; since is not Never when consent has expired.
func (p *Path) carryOut(effects []consent.Effect) (since timing.Instant) {
	since = timing.Never
	for _, e := range effects {
		switch e := e.(type) {
		case consent.Check:
			p.prepare(e)
		case consent.Withdraw:
			p.withdraw(e.ID)
		case consent.Wake:
			p.wake(e.At)
		case consent.Stop:
			p.stopped.Store(true)
			since = e.Since
			p.socket.release(p)
		}
	}
	return since
}

// release lets other paths send to the address of one whose consent has expired.
func (s *Socket) release(p *Path) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disownLocked(p)
}

func (p *Path) tell(since timing.Instant) {
	if since != timing.Never && p.lost != nil {
		p.lost(since)
	}
}

// prepare has a check leave at its instant. One that cannot be prepared counts as unsent at that instant.
func (p *Path) prepare(c consent.Check) {
	datagram, err := p.credentials.Request(c.ID)
	if err == nil {
		p.socket.await(c.ID, p)
		var x prepared
		x, err = p.sender().sendAt(c.Due, datagram, c.Remote, p, func(left timing.Instant, err error) { p.left(c.ID, left, err) })
		if err == nil {
			p.prepared[c.ID] = x
			return
		}
	}
	p.prepared[c.ID] = timerCancel{p.socket.config.Consent.At(c.Due, func() { p.apply(consent.Unsent{ID: c.ID}) })}
}

// sender is the kernel's, or a timer for a connection.
func (p *Path) sender() sender {
	if p.stream != nil {
		return clockSender{clock: p.socket.config.Consent, conn: p.stream}
	}
	return p.socket.sender
}

type timerCancel struct{ timing.Timer }

func (t timerCancel) Cancel() bool { return t.Stop() }

func (p *Path) left(id consent.TransactionID, at timing.Instant, err error) {
	switch {
	case err == nil:
		p.apply(consent.Left{ID: id, At: at})
	case !errors.Is(err, timing.ErrWireCancelled) && !errors.Is(err, timing.ErrWireClosed):
		p.apply(consent.Unsent{ID: id})
	}
}

func (p *Path) withdraw(id consent.TransactionID) {
	if x := p.prepared[id]; x != nil {
		x.Cancel()
		delete(p.prepared, id)
	}
	p.socket.mu.Lock()
	defer p.socket.mu.Unlock()
	delete(p.socket.checks, id)
}

func (s *Socket) await(id consent.TransactionID, p *Path) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks[id] = p
}

func (p *Path) wake(at timing.Instant) {
	if p.timer == nil {
		p.timer = p.socket.config.Consent.At(at, func() { p.apply(consent.Woken{}) })
		return
	}
	p.timer.ResetAt(at)
}

// begin says that a write begins; false on a closed path. end has to follow.
func (p *Path) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.writing++
	}
	return !p.closed
}

func (p *Path) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing--; p.writing == 0 {
		p.idle.Broadcast()
	}
}

// sendCheck sends a check whose turn has come.
func (p *Path) sendCheck(c check) {
	_, stream := c.through.(*streamGate)
	if !stream && p.socket.foreign(c.to, p) || !p.begin() {
		return
	}
	defer p.end()
	_, _ = c.through.WriteToAddrPort(c.datagram, c.to) // A lost check: pion sends another.
}
