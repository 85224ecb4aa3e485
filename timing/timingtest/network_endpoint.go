package timingtest

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"tourbillon/timing"
)

// Endpoint is one address of a [Network], a [net.PacketConn] with the deadlines of a socket. Its methods are safe for
// concurrent use; only reads block.
type Endpoint struct {
	network *Network
	at      netip.AddrPort

	// mu guards the rest; changed tells readers of a packet, a deadline that passed, or the end.
	mu      sync.Mutex
	changed sync.Cond
	queue   []Packet
	closed  bool
	// deadline is the read deadline in force, nil for none; expired tells that it has passed.
	deadline *readDeadline
	expired  bool
}

// readDeadline is one arming of a read deadline. Its identity tells a callback whether it was overtaken.
type readDeadline struct{ timer timing.Timer }

func newEndpoint(n *Network, at netip.AddrPort) *Endpoint {
	e := &Endpoint{network: n, at: at}
	e.changed.L = &e.mu
	return e
}

// Address is the endpoint's own.
func (e *Endpoint) Address() netip.AddrPort { return e.at }

// LocalAddr is Address as a [*net.UDPAddr].
func (e *Endpoint) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(e.at) }

// WriteTo sends a packet; the network does not keep data. The destination has to be a [*net.UDPAddr].
func (e *Endpoint) WriteTo(data []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("write to %v: the network in memory knows UDP addresses alone, not %T", to, to)
	}
	return e.WriteToAddrPort(data, udp.AddrPort())
}

// WriteToAddrPort sends a packet; the network does not keep data.
func (e *Endpoint) WriteToAddrPort(data []byte, to netip.AddrPort) (int, error) {
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return 0, fmt.Errorf("write to %v: %w", to, net.ErrClosed)
	}
	e.network.send(e.at, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()), data)
	return len(data), nil
}

// ReadFrom blocks until a packet comes, the read deadline passes or the endpoint is closed. What does not fit into the
// buffer is lost.
func (e *Endpoint) ReadFrom(buffer []byte) (int, net.Addr, error) {
	n, from, err := e.ReadFromAddrPort(buffer)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromAddrPort is ReadFrom.
func (e *Endpoint) ReadFromAddrPort(buffer []byte) (int, netip.AddrPort, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		switch {
		case e.closed:
			return 0, netip.AddrPort{}, fmt.Errorf("read on %v: %w", e.at, net.ErrClosed)
		case e.expired:
			return 0, netip.AddrPort{}, fmt.Errorf("read on %v: %w", e.at, os.ErrDeadlineExceeded)
		case len(e.queue) > 0:
			p := e.queue[0]
			e.queue = e.queue[1:]
			return copy(buffer, p.Data), p.From, nil
		}
		e.changed.Wait()
	}
}

func (e *Endpoint) take(p Packet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.queue = append(e.queue, p)
		e.changed.Broadcast()
	}
}

// SetDeadline is SetReadDeadline, since writes do not block.
func (e *Endpoint) SetDeadline(t time.Time) error { return e.SetReadDeadline(t) }

// SetWriteDeadline does nothing, since writes do not block.
func (e *Endpoint) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline sets the date, as the network's clock tells it, from which on reads fail; the zero Time is never.
func (e *Endpoint) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return fmt.Errorf("set a deadline on %v: %w", e.at, net.ErrClosed)
	}
	e.dropDeadlineLocked()
	if t.IsZero() {
		return nil
	}
	left := e.network.until(t)
	if left <= 0 {
		e.expired = true
		e.changed.Broadcast()
		return nil
	}
	d := &readDeadline{}
	e.deadline = d
	d.timer = e.network.clock.AfterFunc(left, func() { e.expire(d) })
	return nil
}

func (e *Endpoint) expire(d *readDeadline) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.deadline == d {
		e.deadline, e.expired = nil, true
		e.changed.Broadcast()
	}
}

func (e *Endpoint) dropDeadlineLocked() {
	if e.deadline != nil {
		e.deadline.timer.Stop()
	}
	e.deadline, e.expired = nil, false
}

// Close ends the reads that wait and frees the address. It may be called again.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	e.closed = true
	e.queue = nil
	e.dropDeadlineLocked()
	e.changed.Broadcast()
	e.mu.Unlock()
	e.network.forget(e)
	return nil
}

// Dial returns the endpoint as a connection to one peer. Closing it closes the endpoint.
func (e *Endpoint) Dial(peer netip.AddrPort) net.Conn { return &connection{Endpoint: e, peer: peer} }

// connection is an endpoint that talks to one peer and hears nobody else.
type connection struct {
	*Endpoint
	peer netip.AddrPort
}

func (c *connection) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.peer) }

func (c *connection) Write(data []byte) (int, error) { return c.WriteToAddrPort(data, c.peer) }

func (c *connection) Read(buffer []byte) (int, error) {
	for {
		n, from, err := c.ReadFromAddrPort(buffer)
		if err != nil || from == c.peer {
			return n, err
		}
	}
}
