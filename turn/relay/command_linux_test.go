package relay

import (
	"errors"
	"net"
	"testing"
)

// TestStreamsLeaveRoom takes all the entries that streams may have: relays have the others.
func TestStreamsLeaveRoom(t *testing.T) {
	l := &Loop{top: kickSocket + 1}
	take := func(kind uint32) (taken int, err error) {
		for ; ; taken++ {
			if _, err = l.place(kind); err != nil {
				return taken, err
			}
		}
	}
	if n, err := take(kindStream); n != maxStreams || !errors.Is(err, errStreams) {
		t.Errorf("%d streams, then %v", n, err)
	}
	if n, err := take(kindRelay); n != maxSockets-1-maxStreams || !errors.Is(err, errSockets) {
		t.Errorf("%d relays beside them, then %v", n, err)
	}
}

// nobody is a receiver of a stream that says nothing.
type nobody struct{ ended chan struct{} }

func (nobody) Frame([]byte) {}
func (nobody) Over(bool)    {}
func (n nobody) Ended()     { close(n.ended) }

// TestStreamsGiveTheirRoomBack opens and closes streams.
func TestStreamsGiveTheirRoomBack(t *testing.T) {
	p, err := Open(Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // Nothing is read of it.
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := p.NextForStream()
	for range 3 {
		to := nobody{make(chan struct{})}
		s, err := l.OpenStream(conn, to)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		<-to.ended
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams != 0 {
		t.Errorf("%d streams are left", l.streams)
	}
}
