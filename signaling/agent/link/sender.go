package link

import (
	"net/netip"
	"sync"

	"tourbillon/timing"
)

// sender has a prepared datagram leave at an instant. done is called once, with when it left or why not, and not from
// within sendAt; after a cancel that came in time it may be called or not.
type sender interface {
	sendAt(at timing.Instant, datagram []byte, to netip.AddrPort, w writer, done func(left timing.Instant, err error)) (prepared, error)
	// close gives up what the sender holds; paths are closed before.
	close() error
}

// writer counts the writes of a path: none begins once it is closed.
type writer interface {
	begin() bool
	end()
}

// prepared is a datagram that waits to leave.
type prepared interface{ Cancel() bool }

// wireSender queues in the kernel, which needs no Go processor at the instant.
type wireSender struct {
	socket *timing.WireSocket
	kernel bool
}

func (w wireSender) sendAt(at timing.Instant, datagram []byte, to netip.AddrPort, _ writer, done func(timing.Instant, error)) (prepared, error) {
	return w.socket.SendAt(at, datagram, to, func(s timing.Sent) {
		left := s.At
		if w.kernel {
			left = s.Due // The word of it may come much later.
		}
		done(left, s.Err)
	})
}

func (w wireSender) close() error { return w.socket.Close() }

// clockSender writes from a timer's callback.
type clockSender struct {
	clock timing.Clock
	conn  packetWriter
}

// timedSend is one datagram of a clockSender.
type timedSend struct {
	timer timing.Timer
	mu    sync.Mutex
	off   bool
}

func (c clockSender) sendAt(at timing.Instant, datagram []byte, to netip.AddrPort, w writer, done func(timing.Instant, error)) (prepared, error) {
	x := &timedSend{}
	x.mu.Lock() // The callback may run before At returns.
	defer x.mu.Unlock()
	x.timer = c.clock.At(at, func() {
		if !x.begin() || !w.begin() {
			return
		}
		left := c.clock.Now()
		_, err := c.conn.WriteToAddrPort(datagram, to)
		w.end()
		done(left, err)
	})
	return x, nil
}

func (x *timedSend) begin() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	begun := !x.off
	x.off = true
	return begun
}

// Cancel reports true when the datagram does not leave.
func (x *timedSend) Cancel() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	in := !x.off
	x.off = true
	x.timer.Stop()
	return in
}

func (c clockSender) close() error { return nil }
