package relay

import (
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Wildcard is a socket on a wildcard address that no loop reads. Like a [Listener] it tells and chooses the address of
// this host. One goroutine at a time reads; any number writes.
type Wildcard struct {
	*net.UDPConn
	family int
}

// NewWildcard has a socket tell local addresses. It belongs to the Wildcard from here on, if there is no error.
func NewWildcard(conn *net.UDPConn) (*Wildcard, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("ask for the local address of packets: %w", err)
	}
	w := &Wildcard{UDPConn: conn}
	var problem error
	err = raw.Control(func(fd uintptr) {
		if w.family, problem = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN); problem == nil {
			problem = tellLocal(int(fd), w.family)
		}
	})
	if err == nil {
		err = problem
	}
	return w, err
}

// ReadPacket is ReadFrom, and tells at which address of this host the packet came in.
func (w *Wildcard) ReadPacket(b []byte) (n int, from netip.AddrPort, local netip.Addr, err error) {
	var room [payloadAt/8 + 1]uint64 // laid out as a loop's buffer
	p := packet{payload: unsafe.Pointer(&room[payloadAt/8])}
	n, length, _, from, err := w.ReadMsgUDPAddrPort(b, unsafe.Slice((*byte)(p.control()), controlBytes))
	if err != nil {
		return 0, from, local, err
	}
	p.controlLen = uint32(length)
	p.readLocal()
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), p.local.local(), nil
}

// WritePacket is WriteTo from an address of this host that ReadPacket told, or that the kernel chooses where it is
// invalid.
func (w *Wildcard) WritePacket(b []byte, to netip.AddrPort, local netip.Addr) error {
	var control [controlBytes / 8]uint64
	length := sourceControl(local, w.family, &control)
	_, _, err := w.WriteMsgUDPAddrPort(b, unsafe.Slice((*byte)(unsafe.Pointer(&control)), controlBytes)[:length], to)
	return err
}
