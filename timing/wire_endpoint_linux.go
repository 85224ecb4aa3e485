package timing

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// wireEndpoint is a descriptor of the wire's own on the caller's socket.
type wireEndpoint struct {
	fd     int
	family int // AF_INET or AF_INET6.
}

func openWireEndpoint(conn *net.UDPConn) (wireEndpoint, error) {
	e := wireEndpoint{fd: -1}
	raw, err := conn.SyscallConn()
	if err != nil {
		return e, err
	}
	var problem error
	if err := raw.Control(func(fd uintptr) { problem = e.duplicate(int(fd)) }); err != nil {
		return e, err
	}
	return e, problem
}

func (e *wireEndpoint) duplicate(fd int) (err error) {
	if e.family, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil {
		return fmt.Errorf("read address family: %w", err)
	}
	if e.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return fmt.Errorf("duplicate descriptor: %w", err)
	}
	return nil
}

func (e wireEndpoint) reaches(to netip.AddrPort) error {
	addr := to.Addr()
	if !addr.IsValid() || to.Port() == 0 || (e.family == unix.AF_INET && !addr.Unmap().Is4()) {
		return fmt.Errorf("%w: %v", ErrWireAddress, to)
	}
	return nil
}

// send never waits: a full socket buffer is an error.
func (e wireEndpoint) send(datagram []byte, to netip.AddrPort) error {
	address, err := e.address(to)
	if err != nil {
		return err
	}
	return unix.Sendto(e.fd, datagram, unix.MSG_DONTWAIT, address)
}

func (e wireEndpoint) address(to netip.AddrPort) (unix.Sockaddr, error) {
	if e.family == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().Unmap().As4()}, nil
	}
	zone, err := zoneID(to.Addr().Zone())
	return &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16(), ZoneId: zone}, err
}

// zoneID is the index of the network interface that an IPv6 zone names or numbers.
func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if index, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(index), nil
	}
	link, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrWireAddress, err)
	}
	return uint32(link.Index), nil
}

func (e wireEndpoint) close() error {
	if err := unix.Close(e.fd); err != nil {
		return fmt.Errorf("wire: close socket: %w", err)
	}
	return nil
}
