//go:build linux

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"tourbillon/timing"
)

// client is one connection of the generator.
type client struct {
	fd int
	// began is when it began to connect.
	began timing.Instant
	// open is true after the handshake, ready after the answer to the join.
	open, ready bool
	// left is the beginning of a frame whose end has not come.
	left []byte
	// note is the frame to the partner, whose kind is at kindAt; nil before the partner is known.
	note   []byte
	kindAt int
}

// dial connects. On loopback the kernel answers at once, whatever the server's process does, unless its queue is full.
func dial(server netip.AddrPort) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make a socket: %w", err)
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()})
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("connect to the server: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// errBacklog says that the server does not read what it is sent.
var errBacklog = errors.New("the server has not read for so long that the kernel's buffer is full")

// write writes whole frames. The generator never waits: a server that far behind has lost the connection.
func (c *client) write(frames []byte) error {
	n, err := unix.Write(c.fd, frames)
	switch {
	case errors.Is(err, unix.EAGAIN) || err == nil && n < len(frames):
		return errBacklog
	case err != nil:
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// errGone says that the server ended the connection.
var errGone = errors.New("the server closed the connection")

// read reads what is there into buffer. The frames' beginnings that are not whole are kept in left.
func (c *client) read(buffer []byte) (data []byte, err error) {
	n, err := unix.Read(c.fd, buffer)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read: %w", err)
	case n == 0:
		return nil, errGone
	case len(c.left) > 0:
		data = append(c.left, buffer[:n]...)
		c.left = nil
		return data, nil
	}
	return buffer[:n], nil
}

// keep keeps the beginning of a frame for the next read.
func (c *client) keep(data []byte) {
	if len(data) > 0 {
		c.left = bytes.Clone(data)
	}
}

// handshake is what a client sends first (RFC 6455 section 4.1). The key is any: nobody in between caches.
func handshake(server netip.AddrPort, path, subprotocol string) []byte {
	text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %v\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", path, server)
	if subprotocol != "" {
		text += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	return []byte(text + "\r\n")
}

// readHandshake takes the answer to the handshake off data; ok is false while it is not whole.
func readHandshake(data []byte) (rest []byte, ok bool, err error) {
	head, rest, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if !ok {
		return data, false, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return nil, false, fmt.Errorf("the server refused the handshake: %.300q", data)
	}
	return rest, true, nil
}
