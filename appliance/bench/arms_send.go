//go:build linux

package bench

import (
	"errors"
	"fmt"
	"net"

	"tourbillon/timing"
)

// runtimeSendArm is time.AfterFunc with a callback that sends a datagram, as a program does that has no wire tier.
type runtimeSendArm struct {
	*receiver
	conn *net.UDPConn
}

func newRuntimeSendArm() (arm, error) {
	r, err := newReceiver()
	if err != nil {
		return nil, err
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.local))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the sender's socket: %w", err), r.close())
	}
	return &runtimeSendArm{receiver: r, conn: conn}, nil
}

func (a *runtimeSendArm) start(g *grid) error {
	a.receiver.start(g)
	startOn(timing.Runtime{}, g, a.send)
	return nil
}

// send leaves a failure to the receiver: what does not arrive counts as missed.
func (a *runtimeSendArm) send(t *gridTimer, n int, _ timing.Instant) {
	var datagram [markLength]byte
	putMark(datagram[:], t.index, n)
	_, _ = a.conn.Write(datagram[:])
}

func (a *runtimeSendArm) facts() armFacts { return armFacts{policy: policyOther} }

func (a *runtimeSendArm) close() error { return errors.Join(a.conn.Close(), a.receiver.close()) }
