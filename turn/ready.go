package turn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
)

// readyInterval is how often the probe is sent until it is answered (RFC 8489 6.2.1 begins with the same).
const readyInterval = 500 * time.Millisecond

// Ready sends a STUN Binding request to the first UDP listener, through the socket like any client, and waits until
// ctx ends for the response. It is what a watchdog asks: the listener's loop is alive and answers. One caller at a
// time is exempt from the rate limit; a second one at the same moment may be throttled under a flood from this host.
func (s *Server) Ready(ctx context.Context) error {
	if len(s.listeners) == 0 || s.listeners[0].packets == nil {
		return ErrNoUDPListener
	}
	target := reachable(s.listeners[0].addr)
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(target))
	if err != nil {
		return fmt.Errorf("turn: probe %v: %w", target, err)
	}
	defer conn.Close()
	source := addrPort(conn.LocalAddr())
	s.core.probe.Store(&source)
	defer s.core.probe.Store(nil)

	// The past wakes the read when ctx ends.
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	if _, err := exchange(conn, s.core.clock); err != nil {
		return fmt.Errorf("turn: probe %v: %w", target, errors.Join(err, ctx.Err()))
	}
	return nil
}

// exchange repeats a Binding request until its response arrives, which it returns, or reading fails.
func exchange(conn net.Conn, clock timing.Clock) ([]byte, error) {
	// An attribute makes the request pass through the loop and up, and not be answered by the loop alone.
	ask, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewSoftware("ready"))
	if err != nil {
		return nil, fmt.Errorf("build a Binding request: %w", err)
	}
	send := func(timing.Tick) { _, _ = conn.Write(ask.Raw) } // A lost request is one that is repeated.
	send(timing.Tick{})
	repeat := timing.Every(clock, clock.Now().Add(readyInterval), readyInterval, send)
	defer repeat.Stop()
	answer := make([]byte, maxFrameBytes)
	for {
		n, err := conn.Read(answer)
		if errors.Is(err, net.ErrClosed) || isTimeout(err) {
			return nil, fmt.Errorf("no answer to a Binding request: %w", err)
		}
		const id = 8 // The transaction id begins here (RFC 8489 5).
		if err == nil && n >= stunHeaderBytes && bytes.Equal(answer[id:stunHeaderBytes], ask.TransactionID[:]) {
			return answer[:n], nil
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// reachable is the address to dial for a bound one: loopback for the wildcard.
func reachable(bound netip.AddrPort) netip.AddrPort {
	if !bound.Addr().IsUnspecified() {
		return bound
	}
	loopback := netip.IPv6Loopback()
	if bound.Addr().Is4() {
		loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(loopback, bound.Port())
}
