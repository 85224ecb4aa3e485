package turn_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/turn"
)

// framed has each Read of a stream return one frame, so that a rawClient can speak over it.
type framed struct {
	net.Conn
	frame []byte
}

func (f *framed) Read(p []byte) (int, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(f.Conn, head); err != nil {
		return 0, err
	}
	size := int(binary.BigEndian.Uint16(head[2:]))
	if head[0] < 0x40 {
		size += 16
	} else {
		size = (size + 3) &^ 3
	}
	f.frame = append(head, make([]byte, size)...)
	_, err := io.ReadFull(f.Conn, f.frame[4:])
	return copy(p, f.frame), err
}

func newStreamClient(t *testing.T, server *turn.Server) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addressOf(t, server, turn.TCP).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	username, password := issued("alice", time.Now())
	return &rawClient{t: t, conn: &framed{Conn: conn}, username: username, password: password}
}

// TestStreamsComeAndGo allocates and releases over many connections, one after the other and all at once.
func TestStreamsComeAndGo(t *testing.T) {
	server := listen(t, turn.Config{TCP: []string{"127.0.0.1:0"}, Limits: turn.LimitsOff()})
	peer := netip.MustParseAddrPort("8.8.8.8:9")
	for i := range 600 {
		c := newStreamClient(t, server)
		c.expectSigned("allocate", c.allocate(), 0)
		c.expectSigned("bind", c.request(stun.MethodChannelBind, attr(stun.AttrChannelNumber, 0x40, 0, 0, 0), peerAddress(peer)), 0)
		if i%2 == 0 {
			c.expectSigned("release", c.request(stun.MethodRefresh, attr(stun.AttrLifetime, 0, 0, 0, 0)), 0)
		}
		c.conn.Close()
	}
	eventually(t, "allocations end with their connections", func() bool { return server.Stats().Allocations == 0 })
}
