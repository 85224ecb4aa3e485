package stdtime_test

import (
	"net"
	"sync"
	"time"
)

// memnet is a packet network in memory. Deadlines on its sockets are not kept: nothing here relies on one.
type memnet struct {
	mu      sync.Mutex
	sockets map[string]*memSocket
	// lose is asked about each datagram.
	lose func(datagram []byte) bool
}

func newMemnet() *memnet {
	return &memnet{sockets: map[string]*memSocket{}, lose: func([]byte) bool { return false }}
}

// losing sets which datagrams are lost.
func (n *memnet) losing(lose func(datagram []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lose = lose
}

func (n *memnet) socket(port int) *memSocket {
	addr := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: port}
	s := &memSocket{network: n, addr: addr, arrived: make(chan datagram, 1000), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sockets[addr.String()] = s
	return s
}

type datagram struct {
	payload []byte
	from    net.Addr
}

// memSocket is a net.PacketConn and, between two of them, a net.Conn.
type memSocket struct {
	network *memnet
	addr    net.Addr
	peer    net.Addr
	arrived chan datagram
	once    sync.Once
	closed  chan struct{}
}

func (s *memSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-s.arrived:
		return copy(b, d.payload), d.from, nil
	case <-s.closed:
		return 0, nil, net.ErrClosed
	}
}

func (s *memSocket) WriteTo(b []byte, to net.Addr) (int, error) {
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	if receiver := s.network.sockets[to.String()]; receiver != nil && !s.network.lose(b) {
		select {
		case receiver.arrived <- datagram{append([]byte(nil), b...), s.addr}:
		default: // Its buffer is full.
		}
	}
	return len(b), nil
}

func (s *memSocket) Read(b []byte) (int, error) {
	n, _, err := s.ReadFrom(b)
	return n, err
}

func (s *memSocket) Write(b []byte) (int, error) { return s.WriteTo(b, s.peer) }

func (s *memSocket) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *memSocket) LocalAddr() net.Addr              { return s.addr }
func (s *memSocket) RemoteAddr() net.Addr             { return s.peer }
func (s *memSocket) SetDeadline(time.Time) error      { return nil }
func (s *memSocket) SetReadDeadline(time.Time) error  { return nil }
func (s *memSocket) SetWriteDeadline(time.Time) error { return nil }
