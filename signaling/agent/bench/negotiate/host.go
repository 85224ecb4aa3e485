package negotiate

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/transport/v4"
)

// Addresses are of the range for benchmarks (RFC 2544 appendix C.2.2, RFC 6890): each session's caller has one of the
// first half, each callee one of the second.
var (
	callers = netip.MustParsePrefix("198.18.0.0/16")
	callees = netip.MustParsePrefix("198.19.0.0/16")
)

// hostOf is the i-th address of a range, from .0.1 on.
func hostOf(p netip.Prefix, i int) netip.Addr {
	a := p.Addr().As4()
	a[2], a[3] = byte((i+1)>>8), byte(i+1)
	return netip.AddrFrom4(a)
}

// host is one address behind the link, as pion's network. Methods of transport.Net that are not here panic, so that no
// packet can leave by another way. Ports are given out in order, so that the link treats arms alike.
type host struct {
	transport.Net
	address netip.Addr
	link    *net.UDPAddr

	mu   sync.Mutex // Guards last.
	last uint16
}

func newHost(address netip.Addr, link *net.UDPAddr) *host {
	return &host{address: address, link: link, last: 1023}
}

// patience bounds the wait for the link's word on a new port, of tries tries.
const (
	patience = time.Second
	tries    = 10
)

// listen opens the next port. It blocks until the link knows it.
func (h *host) listen() (*port, error) {
	h.mu.Lock()
	h.last++
	at := netip.AddrPortFrom(h.address, h.last)
	h.mu.Unlock()
	conn, err := net.DialUDP("udp4", nil, h.link)
	if err != nil {
		return nil, fmt.Errorf("listen on %v: %w", at, err)
	}
	p := &port{UDPConn: conn, at: at, buffer: make([]byte, 1<<16)}
	if err := p.tell(registration); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %v: %w", at, err), conn.Close())
	}
	return p, nil
}

func (h *host) ListenPacket(network, address string) (net.PacketConn, error) {
	at, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}
	return h.ListenUDP(network, at)
}

func (h *host) ListenUDP(_ string, at *net.UDPAddr) (transport.UDPConn, error) {
	if at.Port != 0 || at.IP != nil && !at.IP.IsUnspecified() && !at.IP.Equal(h.address.AsSlice()) {
		return nil, fmt.Errorf("listen on %v: this host is %v and gives out its ports itself", at, h.address)
	}
	return h.listen()
}

func (h *host) Interfaces() ([]*transport.Interface, error) {
	i := transport.NewInterface(net.Interface{Index: 1, MTU: 1500, Name: "link0", Flags: net.FlagUp})
	i.AddAddress(&net.IPNet{IP: h.address.AsSlice(), Mask: net.CIDRMask(15, 32)})
	return []*transport.Interface{i}, nil
}

// port is an open port of a host: a socket that is connected to the link. It is what pion and package link want of one.
type port struct {
	*net.UDPConn
	at netip.AddrPort

	mu     sync.Mutex // Guards buffer.
	buffer []byte
}

// tell says something to the link itself and waits for its answer.
func (p *port) tell(what netip.AddrPort) error {
	datagram := make([]byte, headBytes)
	putHead(datagram, p.at, what)
	defer p.SetReadDeadline(time.Time{})
	for range tries {
		if _, err := p.UDPConn.Write(datagram); err != nil {
			return err
		}
		_ = p.SetReadDeadline(time.Now().Add(patience)) // Fails on a closed socket, as does the read.
		if _, err := p.UDPConn.Read(p.buffer); err == nil {
			return nil
		} else if errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return errors.New("the link does not answer")
}

// LocalAddr is the port's address behind the link.
func (p *port) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(p.at) }

// RemoteAddr is none.
func (p *port) RemoteAddr() net.Addr { return nil }

func (p *port) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		n, err := p.UDPConn.Read(p.buffer)
		if err != nil {
			return 0, netip.AddrPort{}, err
		}
		if from, to, err := head(p.buffer[:n]); err == nil && to == p.at {
			return copy(b, p.buffer[headBytes:n]), from, nil
		}
	}
}

func (p *port) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.ReadFromAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

func (p *port) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	datagram := slices.Grow(make([]byte, headBytes), len(b))
	putHead(datagram, p.at, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	if _, err := p.UDPConn.Write(append(datagram, b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (p *port) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("write to %v: UDP addresses alone, not %T", to, to)
	}
	return p.WriteToAddrPort(b, udp.AddrPort())
}

// What a connected socket has in pion's interface is not used on an unconnected one.

func (p *port) Read([]byte) (int, error)  { return 0, transport.ErrNotSupported }
func (p *port) Write([]byte) (int, error) { return 0, transport.ErrNotSupported }

func (p *port) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, from, err := p.ReadFromAddrPort(b)
	return n, net.UDPAddrFromAddrPort(from), err
}

func (p *port) WriteToUDP(b []byte, to *net.UDPAddr) (int, error) { return p.WriteTo(b, to) }

func (p *port) ReadMsgUDP(b, _ []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, from, err = p.ReadFromUDP(b)
	return n, 0, 0, from, err
}

func (p *port) WriteMsgUDP(b, _ []byte, to *net.UDPAddr) (n, oobn int, err error) {
	n, err = p.WriteTo(b, to)
	return n, 0, err
}
