package timing

import (
	"bytes"
	"net/netip"
)

// clockExecutor sends from timers of the injected clock: the wire's second tier.
type clockExecutor struct {
	wire  *Wire
	clock Clock
}

func newClockExecutor(w *Wire, reason string) (wireExecutor, WireReport) {
	return clockExecutor{w, Inline(w.clock)}, WireReport{Mode: WireClock, Reason: reason}
}

func (e clockExecutor) submit(x *WireSend, datagram []byte, to netip.AddrPort) error {
	datagram = bytes.Clone(datagram)
	x.timer = e.clock.At(x.due, func() {
		err := x.socket.endpoint.send(datagram, to)
		// The waker's thread must not wait for the wire's lock.
		go e.settle(x, err)
	})
	return nil
}

func (e clockExecutor) settle(x *WireSend, err error) {
	e.wire.mu.Lock()
	defer e.wire.mu.Unlock()
	e.wire.settleLocked(x, err)
}

func (e clockExecutor) cancel(x *WireSend, reason error) {
	if x.timer.Stop() {
		e.wire.settleLocked(x, reason)
	}
}

func (clockExecutor) collect() {}

func (clockExecutor) close() error { return nil }
