package agent_test

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/transport/v4"

	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing/timingtest"
)

// natNet is a host behind an address translator that can forget its mapping: the socket stays, its outside changes.
type natNet struct {
	hostNet
	mu      sync.Mutex
	conns   []*natConn
	rebound bool
}

func (n *natNet) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	inner, err := n.hostNet.ListenUDP(network, at)
	if err != nil {
		return nil, err
	}
	c := &natConn{udpConn: inner.(udpConn), nat: n, outside: inner.(udpConn)}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rebound {
		fresh, err := n.network.Listen(netip.AddrPortFrom(peerHost, 0))
		if err != nil {
			return nil, err
		}
		_ = inner.Close() // The inside address is a name from here on; nothing reaches it.
		c.outside = udpConn{fresh}
	}
	n.conns = append(n.conns, c)
	return c, nil
}

func (n *natNet) ListenPacket(network, address string) (net.PacketConn, error) {
	at, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}
	return n.ListenUDP(network, at)
}

// rebind gives every open socket another outside address, as a translator that was restarted does.
func (n *natNet) rebind(t *testing.T) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rebound = true
	for _, c := range n.conns {
		fresh, err := n.network.Listen(netip.AddrPortFrom(peerHost, 0))
		check(t, "rebind", err)
		c.mu.Lock()
		old, closed := c.outside, c.closed
		c.outside = udpConn{fresh}
		c.mu.Unlock()
		_ = old.Close()
		if closed {
			_ = fresh.Close()
		}
	}
}

type natConn struct {
	udpConn
	nat *natNet

	mu      sync.Mutex
	outside udpConn
	closed  bool
}

func (c *natConn) current() (udpConn, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outside, c.closed
}

func (c *natConn) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		outside, _ := c.current()
		n, from, err := outside.ReadFromAddrPort(b)
		if now, closed := c.current(); err == nil || closed || now == outside {
			return n, from, err
		}
	}
}

func (c *natConn) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	outside, _ := c.current()
	return outside.WriteToAddrPort(b, to)
}

func (c *natConn) Close() error {
	c.mu.Lock()
	c.closed = true
	outside := c.outside
	c.mu.Unlock()
	return outside.Close()
}

// TestNATRebinding has the client's translator forget its mapping. The client notices nothing; our checks go into the
// void, consent expires, the client is asked to restart, and the call goes on from its other outside address.
func TestNATRebinding(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		b := &blackout{v: v}
		b.nat = &natNet{}
		b.open(t)
		b.echo(t)
		before := b.answerer.Calls()[0].Path.Remote
		b.nat.rebind(t)
		began := v.Clock.Now()
		for len(b.client.restarts) == 0 && v.Clock.Now().Sub(began) < 40*time.Second {
			v.Pass(100 * time.Millisecond)
		}
		b.restart(t, <-b.client.restarts)
		took := v.Clock.Now().Sub(began)
		v.Pass(3 * time.Second)
		b.echo(t)
		s := b.answerer.Calls()[0]
		t.Logf("asked to restart after %v; %v became %v", took, before, s.Path.Remote)
		if s.State != orchestrate.Connected || s.Path.Remote.Addr() != peerHost {
			t.Errorf("%+v", s)
		}
		b.close(t)
	})
}
