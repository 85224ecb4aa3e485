package bench

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

// bufferBytes is asked for on every socket of the generator, so that losses are the server's; the kernel caps it.
const bufferBytes = 8 << 20

// openUDP opens a non-blocking IPv4 socket.
func openUDP(at netip.AddrPort, pktinfo bool) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a UDP socket: %w", err)
	}
	for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF, unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, bufferBytes) // What is refused leaves the buffer smaller.
	}
	if pktinfo {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
			return -1, closing(fd, fmt.Errorf("ask for IP_PKTINFO: %w", err))
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		return -1, closing(fd, fmt.Errorf("bind UDP %v: %w", at, err))
	}
	return fd, nil
}

func closing(fd int, err error) error {
	_ = unix.Close(fd)
	return err
}

// now reads CLOCK_MONOTONIC in nanoseconds, without a system call: the generator asks for each message.
func now() int64 { return int64(timing.Runtime{}.Now()) }

// waiter waits until a socket is readable or an instant has come.
type waiter struct {
	fd     int
	events [16]unix.EpollEvent
}

func newWaiter(sockets ...int) (*waiter, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	w := &waiter{fd: fd}
	for _, s := range sockets {
		if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, s, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s)}); err != nil {
			return nil, closing(fd, fmt.Errorf("watch a socket: %w", err))
		}
	}
	return w, nil
}

// until waits and returns the readable sockets. It keeps its Go processor: the generator runs nothing else meanwhile.
func (w *waiter) until(at int64) []unix.EpollEvent {
	n, _ := epollWait(w.fd, w.events[:], max(at-now(), 0))
	return w.events[:n]
}

func (w *waiter) close() { _ = unix.Close(w.fd) }

// block waits like until, for at most a while, and gives its Go processor up meanwhile.
func (w *waiter) block(while int64) []unix.EpollEvent {
	n, _ := unix.EpollWait(w.fd, w.events[:], int(while/1e6))
	return w.events[:max(n, 0)]
}
