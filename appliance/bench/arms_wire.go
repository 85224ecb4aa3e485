//go:build linux

package bench

import (
	"errors"
	"fmt"
	"net"
	"time"

	"tourbillon/timing"
)

// How far ahead the wire arm queues: enough for the refill to wait a second for a Go processor, and never fewer than four
// datagrams of one timer.
const (
	wireAheadTime  = time.Second
	wireAheadLeast = 4
)

// wireArm is the wire tier: datagrams queued several ahead on timing.Wire, as consent checks are, each completion
// queueing one more.
type wireArm struct {
	*receiver
	engine *timing.Engine
	conn   *net.UDPConn
	wire   *timing.Wire
	socket *timing.WireSocket
}

func newWireArm(t trial) (arm, error) {
	r, err := newReceiver()
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the sender's socket: %w", err), r.close())
	}
	engine, err := timing.NewEngine()
	if err != nil {
		return nil, errors.Join(err, conn.Close(), r.close())
	}
	wire := timing.NewWire(engine, timing.WireConfig{Capacity: t.Timers * wireAhead(t.Interval), CPUs: t.pinned()})
	socket, err := wire.Socket(conn)
	if err != nil {
		return nil, errors.Join(err, wire.Close(), engine.Close(), conn.Close(), r.close())
	}
	return &wireArm{receiver: r, engine: engine, conn: conn, wire: wire, socket: socket}, nil
}

func (a *wireArm) start(g *grid) error {
	a.receiver.start(g)
	for _, t := range g.timers {
		ahead := wireAhead(t.interval)
		for n := range min(ahead, t.count) {
			if err := a.queue(t, n, ahead); err != nil {
				return fmt.Errorf("queue a datagram: %w", err)
			}
		}
	}
	return nil
}

// queue hands deadline n's datagram to the wire, and on its completion the one that comes ahead places later.
func (a *wireArm) queue(t *gridTimer, n, ahead int) error {
	var datagram [markLength]byte
	putMark(datagram[:], t.index, n)
	_, err := a.socket.SendAt(t.due(n), datagram[:], a.local, func(timing.Sent) {
		if n+ahead < t.count {
			_ = a.queue(t, n+ahead, ahead) // What never leaves counts as missed.
		}
	})
	return err
}

func wireAhead(interval time.Duration) int { return max(wireAheadLeast, int(wireAheadTime/interval)) }

func (a *wireArm) facts() armFacts {
	report := a.wire.Report()
	facts := armFacts{policy: report.Policy, notes: report.Notes}
	if report.Reason != "" {
		facts.notes = append(facts.notes, "the wire is not the kernel's: "+report.Reason)
	}
	return facts
}

func (a *wireArm) close() error {
	return errors.Join(a.wire.Close(), a.engine.Close(), a.conn.Close(), a.receiver.close())
}
