//go:build linux

package bench

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

// step sends what is due, waits for what comes, at most until an instant, and takes it.
func (g *generator) step(until timing.Instant) error {
	g.sendDue(g.clock.Now())
	if err := g.arm(min(until, g.nextAsk, g.nextBeat)); err != nil {
		return err
	}
	n, err := unix.EpollWait(g.poll, g.events, -1)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for events: %w", err)
	}
	for _, e := range g.events[:max(n, 0)] {
		switch e.Fd {
		case atTimer:
			var fires [8]byte
			_, _ = unix.Read(g.timer, fires[:])
		case atInput:
			if err := g.takeInput(); err != nil {
				return err
			}
		default:
			g.take(int(e.Fd))
		}
	}
	return nil
}

// takeInput reads the parent's word, after which its end alone matters.
func (g *generator) takeInput() error {
	var word [16]byte
	n, err := unix.Read(int(os.Stdin.Fd()), word[:])
	if n <= 0 && !errors.Is(err, unix.EINTR) {
		return errOrphan
	}
	g.told = true
	return nil
}

// arm sets the timer, unless it stands there already.
func (g *generator) arm(at timing.Instant) error {
	if at == g.armed {
		return nil
	}
	g.armed = at
	spec := unix.ItimerSpec{}
	if at != timing.Never {
		spec.Value = unix.NsecToTimespec(int64(max(at, 1)))
	}
	if err := unix.TimerfdSettime(g.timer, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		return fmt.Errorf("set the timer: %w", err)
	}
	return nil
}

func (g *generator) sendDue(now timing.Instant) {
	for range sendsAtOnce {
		switch {
		case g.nextBeat <= now && g.nextBeat <= g.nextAsk:
			g.send(g.beatOf, g.beat)
			g.beatOf = (g.beatOf + 1) % g.Conns
			g.nextBeat = g.nextBeat.Add(g.beatGap())
		case g.nextAsk <= now:
			g.ask()
			g.nextAsk = g.nextAsk.Add(g.askGap())
		default:
			return
		}
	}
}

func (g *generator) ask() {
	i := g.asker
	g.asker = (g.asker + 1) % g.Conns
	c := &g.clients[i]
	if c.fd <= 0 {
		return
	}
	now := g.clock.Now()
	stampNote(c.note, c.kindAt, kindAsk, now)
	if g.inWindow(now) {
		g.result.Asked++
	}
	g.send(i, c.note)
}

func (g *generator) inWindow(at timing.Instant) bool { return at >= g.from && at < g.until }

func (g *generator) send(i int, frame []byte) {
	if c := &g.clients[i]; c.fd > 0 {
		if err := c.write(frame); err != nil {
			g.fail(i, err)
		}
	}
}

// fail gives a connection up. The first reason is kept.
func (g *generator) fail(i int, why error) {
	c := &g.clients[i]
	_ = unix.Close(c.fd) // Which takes it out of the epoll.
	c.fd = -1
	g.failed++
	if g.why == nil {
		g.why = fmt.Errorf("connection %d: %w", i, why)
	}
}
