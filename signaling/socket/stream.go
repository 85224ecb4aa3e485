package socket

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"syscall"
)

// stream is a wire over a connection that is read by a goroutine of its own.
type stream struct {
	net.Conn
	// raw is nil where the connection cannot be written to without waiting, as with TLS.
	raw  syscall.RawConn
	once sync.Once
}

func newStream(c net.Conn) *stream {
	s := &stream{Conn: c}
	if tcp, ok := c.(syscall.Conn); ok {
		s.raw, _ = tcp.SyscallConn() // Nil where it cannot be had.
	}
	return s
}

func (s *stream) read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n == 0 && err == nil {
		err = io.ErrNoProgress // Not of net.Conn's ways; a loop over it would not end.
	}
	return n, err
}

func (s *stream) tryWrite(p []byte) (written int, err error) {
	if s.raw == nil {
		return 0, nil
	}
	failure := s.raw.Write(func(fd uintptr) bool {
		written, err = tryWrite(int(fd), p)
		return true
	})
	if failure != nil {
		err = failure
	}
	return written, err
}

func (s *stream) write(p []byte) error {
	_, err := s.Conn.Write(p)
	return err
}

func (s *stream) closeWrite() {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // A connection that is gone needs none.
		return
	}
	s.cut()
}

// cut closes the TCP connection itself: closing TLS would first write an alert and wait for the network.
func (s *stream) cut() {
	s.once.Do(func() {
		if t, ok := s.Conn.(*tls.Conn); ok {
			_ = t.NetConn().Close()
			return
		}
		_ = s.Conn.Close()
	})
}

func (s *stream) close() { s.cut() }
