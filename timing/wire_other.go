//go:build !linux

package timing

import (
	"fmt"
	"net"
	"net/netip"
)

func openWireExecutor(w *Wire, _ WireConfig) (wireExecutor, WireReport) {
	return newClockExecutor(w, "needs Linux's io_uring")
}

// wireEndpoint is the caller's own connection: where the wire's clock sends, a closed connection is an error.
type wireEndpoint struct{ conn *net.UDPConn }

func openWireEndpoint(conn *net.UDPConn) (wireEndpoint, error) { return wireEndpoint{conn}, nil }

func (e wireEndpoint) reaches(to netip.AddrPort) error {
	if !to.IsValid() || to.Port() == 0 {
		return fmt.Errorf("%w: %v", ErrWireAddress, to)
	}
	return nil
}

func (e wireEndpoint) send(datagram []byte, to netip.AddrPort) error {
	_, err := e.conn.WriteToUDPAddrPort(datagram, to)
	return err
}

func (e wireEndpoint) close() error { return nil }
