package agent_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/pion/logging"
	"github.com/pion/transport/v4"

	"tourbillon/timing/timingtest"
)

// hostNet is what a host with one address on a network in memory offers to pion. Methods of transport.Net that are not
// here panic, so that no packet can leave by another way.
type hostNet struct {
	transport.Net
	network *timingtest.Network
	address netip.Addr
}

func (h hostNet) ListenPacket(network, address string) (net.PacketConn, error) {
	at, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}
	return h.ListenUDP(network, at)
}

func (h hostNet) ListenUDP(_ string, at *net.UDPAddr) (transport.UDPConn, error) {
	if at.IP != nil && !at.IP.IsUnspecified() && !at.IP.Equal(h.address.AsSlice()) {
		return nil, fmt.Errorf("listen on %v: this host is %v", at, h.address)
	}
	e, err := h.network.Listen(netip.AddrPortFrom(h.address, uint16(at.Port)))
	if err != nil {
		return nil, err
	}
	return udpConn{e}, nil
}

func (hostNet) ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	at, err := netip.ParseAddrPort(address) // Numbers alone: nothing is looked up.
	if err != nil {
		return nil, err
	}
	return net.UDPAddrFromAddrPort(at), nil
}

func (h hostNet) Interfaces() ([]*transport.Interface, error) {
	i := transport.NewInterface(net.Interface{Index: 1, MTU: 1500, Name: "mem0", Flags: net.FlagUp})
	i.AddAddress(&net.IPNet{IP: h.address.AsSlice(), Mask: net.CIDRMask(24, 32)})
	return []*transport.Interface{i}, nil
}

// udpConn is an endpoint as the UDP socket that pion wants; what only a connected one has fails.
type udpConn struct{ *timingtest.Endpoint }

func (udpConn) RemoteAddr() net.Addr      { return nil }
func (udpConn) SetReadBuffer(int) error   { return nil }
func (udpConn) SetWriteBuffer(int) error  { return nil }
func (udpConn) Read([]byte) (int, error)  { return 0, transport.ErrNotSupported }
func (udpConn) Write([]byte) (int, error) { return 0, transport.ErrNotSupported }

func (c udpConn) ReadFromUDP(b []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.ReadFromAddrPort(b)
	return n, net.UDPAddrFromAddrPort(from), err
}

func (c udpConn) WriteToUDP(b []byte, to *net.UDPAddr) (int, error) { return c.WriteTo(b, to) }

func (c udpConn) ReadMsgUDP(b, _ []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, from, err = c.ReadFromUDP(b)
	return n, 0, 0, from, err
}

func (c udpConn) WriteMsgUDP(b, _ []byte, to *net.UDPAddr) (n, oobn int, err error) {
	n, err = c.WriteTo(b, to)
	return n, 0, err
}

// Hosts of the tests (RFC 5737 documentation addresses), one address each.
var (
	// inMemory is where the hosts of these networks are, which no agent may send to otherwise.
	inMemory   = netip.MustParsePrefix("192.0.2.0/24")
	clientHost = netip.MustParseAddr("192.0.2.1")
	peerHost   = netip.MustParseAddr("192.0.2.2")
	serverHost = netip.MustParseAddr("192.0.2.3")
)

// memory makes a network on the clock of virtual time, closed when the test ends.
func memory(t *testing.T, v *timingtest.VirtualTime, rule timingtest.Rule) *timingtest.Network {
	t.Helper()
	network := timingtest.NewNetwork(v.Clock, rule)
	t.Cleanup(func() { _ = network.Close() }) // Returns nil always.
	return network
}

func listen(t *testing.T, network *timingtest.Network, host netip.Addr) *timingtest.Endpoint {
	t.Helper()
	e, err := network.Listen(netip.AddrPortFrom(host, 0))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// silent keeps pion's log lines out of a test's output.
func silent() logging.LoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.DefaultLogLevel = logging.LogLevelDisabled
	return f
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
