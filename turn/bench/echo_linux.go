package bench

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"
)

// A server that somebody runs on loopback relays to nobody there but to its own relays. So the echo is a client then, with
// an allocation and a permission for the address of all relays: what the server tells it of in Data indications it sends
// back in Send indications. Both hold the same attributes (RFC 8656 11.1, 11.6), so that only the method differs.

// Second bytes of the two indications' types; the first is 0.
const (
	sendIndication = 0x16
	dataIndication = 0x17
)

// turnedAround makes a Send indication of a Data indication, in place. It reports false for anything else.
func turnedAround(p []byte) bool {
	if len(p) < 2 || p[0] != 0 || p[1] != dataIndication {
		return false
	}
	p[1] = sendIndication
	return true
}

// turnAround turns what was received around. What else came, late answers, goes back as well: the server passes it over.
func (b *batch) turnAround() {
	for i := range b.used {
		turnedAround(b.payload(i))
	}
}

// allocateEcho makes the echo a client of the server, and its relay the clients' peer.
func (g *generator) allocateEcho() error {
	echo := &session{login: g.Login, echo: true}
	if err := converse(g.peer, g.Server, echo, stepReady); err != nil {
		return err
	}
	g.echo, g.Peer = echo, echo.peer
	return nil
}

// releaseEcho gives the echo's allocation back, if it has one.
func (g *generator) releaseEcho() error {
	if g.echo == nil {
		return nil
	}
	g.echo.step, g.echo.waiting = stepRelease, false
	return converse(g.peer, g.Server, g.echo, stepReleased)
}

// converse takes one session over a UDP socket to a step.
func converse(fd int, server netip.AddrPort, s *session, goal step) error {
	w, err := newWaiter(fd)
	if err != nil {
		return err
	}
	defer w.close()
	b, limit := newBatch(), now()+int64(setUpPatience)
	for s.step < goal {
		if now() > limit {
			return fmt.Errorf("%v did not answer within %v", server, setUpPatience)
		}
		request := s.asked.Raw
		if !s.waiting {
			if request, err = s.request(); err != nil {
				return err
			}
		}
		copy(b.add(server, netip.Addr{}, len(request)), request)
		if err := b.send(fd); err != nil {
			return err
		}
		if err := await(w, fd, b, s); err != nil {
			return err
		}
	}
	return nil
}

// await waits for the answer to the session's request, for as long as a request waits until it is repeated.
func await(w *waiter, fd int, b *batch, s *session) error {
	defer func() { b.used = 0 }()
	for until := now() + int64(repeatAfter); s.waiting && now() < until; {
		w.until(until)
		if err := b.receive(fd, false); err != nil {
			return err
		}
		for i := range b.used {
			if _, err := s.answer(b.payload(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// openEcho opens the echo of a workload over streams.
func (g *streams) openEcho() (err error) {
	if !g.RelayedEcho {
		g.peer, err = openUDP(g.Peer, false)
		return err
	}
	if g.via, err = g.connect(); err != nil {
		return err
	}
	g.via.session = session{login: g.Login, echo: true}
	if err := g.via.bring(stepReady); err != nil {
		return err
	}
	g.Peer = g.via.session.peer
	return nil
}

// startEcho has the echo answer until hangUp, after which end frees what it held.
func (g *streams) startEcho() (end func(), err error) {
	if g.via != nil {
		g.tasks.Go(g.echoStream)
		return func() {}, nil
	}
	w, err := newWaiter(g.peer)
	if err != nil {
		return nil, err
	}
	g.tasks.Go(func() { g.echo(w) })
	return w.close, nil
}

// echo sends everything back that comes out of the relays.
func (g *streams) echo(w *waiter) {
	runtime.LockOSThread()
	b := newBatch()
	for !g.quit.Load() {
		if len(w.block(int64(50*time.Millisecond))) == 0 {
			continue
		}
		for {
			if b.receive(g.peer, false) != nil || b.used == 0 {
				break
			}
			b.reflect()
			if b.send(g.peer) != nil {
				return
			}
		}
	}
}

// echoStream does the same through the echo's own relay, until its connection ends.
func (g *streams) echoStream() {
	for {
		frame, err := g.via.frame()
		if err != nil {
			return
		}
		if !turnedAround(frame) {
			continue
		}
		if _, err := g.via.Write(frame); err != nil {
			return
		}
	}
}

// localAddressTo is the address of this host from which an address is reached. It sends nothing.
func localAddressTo(at netip.AddrPort) (local netip.Addr, err error) {
	conn, err := net.Dial("udp4", at.String())
	if err != nil {
		return local, fmt.Errorf("find the way to the server: %w", err)
	}
	local = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return local, errors.Join(err, conn.Close())
}
