//go:build !linux

package relay

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Options, Plane, Loop, Listener, Relay, Client, Flow and Traffic exist on Linux only; here they are what the rest of
// the program is compiled against.
type (
	// Options is described on Linux.
	Options struct {
		Loops       int
		MinWait     time.Duration
		WithoutRing bool
		BindingsPerSecond,
		ChallengesPerSecond int
		BytesPerSecond int
	}
	// Plane is described on Linux.
	Plane struct{}
	// Loop is described on Linux.
	Loop struct{}
	// Stream is described on Linux.
	Stream struct{}
	// Listener is described on Linux.
	Listener struct{ net.PacketConn }
	// Relay is described on Linux.
	Relay struct{ net.PacketConn }
	// Client is described on Linux.
	Client struct {
		Listener                         *Listener
		Addr                             netip.AddrPort
		Local                            netip.Addr
		Stream                           *Stream
		PacketsPerSecond, BytesPerSecond int
	}
	// Flow is described on Linux.
	Flow struct {
		Peer, Announced netip.AddrPort
		Channel         uint16
		WhileLive       bool
		LiveSet         int
		LivePort        uint16
	}
	// Traffic is described on Linux.
	Traffic struct{ Packets, Bytes uint64 }
)

var errNotLinux = errors.New("relay: the data plane needs Linux")

// Open fails but on Linux.
func Open(Options) (*Plane, error) { return nil, errNotLinux }

// Notes is described on Linux.
func (*Plane) Notes() []string { return nil }

// Close is described on Linux.
func (*Plane) Close() error { return nil }

// Live is described on Linux.
func (*Plane) Live(int, uint16, bool) {}

// Draw is described on Linux.
func (*Plane) Draw(int) bool { return false }

// AdmitReply is described on Linux.
func (*Plane) AdmitReply(Reply, netip.Addr) bool { return false }

// SetChallenge is described on Linux.
func (*Plane) SetChallenge(Challenge) {}

// Admit is described on Linux.
func (*Relay) Admit(Direction, int) Refusal { return Admitted }

// Counters is described on Linux.
func (*Plane) Counters() Counters { return Counters{} }

// Listen is described on Linux.
func (*Plane) Listen(netip.AddrPort, bool) ([]*Listener, error) { return nil, errNotLinux }

// Serve is described on Linux.
func (*Listener) Serve(func([]byte, netip.AddrPort, netip.Addr)) {}

// ReadPacket is described on Linux.
func (*Listener) ReadPacket([]byte) (int, netip.AddrPort, netip.Addr, error) {
	return 0, netip.AddrPort{}, netip.Addr{}, errNotLinux
}

// WritePacket is described on Linux.
func (*Listener) WritePacket([]byte, netip.AddrPort, netip.Addr) error { return errNotLinux }

// Loop is described on Linux.
func (*Listener) Loop() *Loop { return nil }

// NextForStream is described on Linux.
func (*Plane) NextForStream() *Loop { return nil }

// OpenRelay is described on Linux.
func (*Loop) OpenRelay(netip.AddrPort) (*Relay, error) { return nil, errNotLinux }

// OpenStream is described on Linux.
func (*Loop) OpenStream(syscall.Conn, StreamReceiver) (*Stream, error) { return nil, errNotLinux }

// StreamReceiver is described on Linux.
type StreamReceiver interface {
	Frame(frame []byte)
	Over(garbage bool)
	Ended()
}

// Start is described on Linux.
func (*Stream) Start([]byte) error { return errNotLinux }

// Write is described on Linux.
func (*Stream) Write([]byte, bool) error { return errNotLinux }

// Close is described on Linux.
func (*Stream) Close() error { return nil }

// Receiver is described on Linux.
type Receiver interface {
	Packet(from netip.AddrPort, data []byte)
	Ended()
}

// Deliver is described on Linux.
func (*Relay) Deliver(Receiver) {}

// Attach is described on Linux.
func (*Relay) Attach(Client) {}

// SetFlow is described on Linux.
func (*Relay) SetFlow(Flow) {}

// RemoveFlow is described on Linux.
func (*Relay) RemoveFlow(netip.AddrPort) {}

// RemoveFlows is described on Linux.
func (*Relay) RemoveFlows() {}

// Traffic is described on Linux.
func (*Relay) Traffic() (toPeers, fromPeers Traffic, dropped Drops) { return }

// Ended is described on Linux.
func (*Relay) Ended() <-chan struct{} { return nil }

// Batches is described on Linux.
type Batches struct{}

// NewBatches returns nil but on Linux.
func NewBatches(net.PacketConn) *Batches { return nil }

// Read is described on Linux.
func (*Batches) Read(func(netip.AddrPort, []byte)) error { return errNotLinux }

// Wildcard is described on Linux.
type Wildcard struct{ *net.UDPConn }

// NewWildcard fails but on Linux.
func NewWildcard(*net.UDPConn) (*Wildcard, error) { return nil, errNotLinux }

// ReadPacket is described on Linux.
func (*Wildcard) ReadPacket([]byte) (int, netip.AddrPort, netip.Addr, error) {
	return 0, netip.AddrPort{}, netip.Addr{}, errNotLinux
}

// WritePacket is described on Linux.
func (*Wildcard) WritePacket([]byte, netip.AddrPort, netip.Addr) error { return errNotLinux }
