package peerjs

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/lxzan/gws"
)

const (
	// readBuffer is the bytes of buffer per connection: a candidate fits, a larger message passes it by.
	readBuffer = 512
	// discardBytes bounds what is read and dropped of a client that was told to go.
	discardBytes = 1 << 20
)

// newUpgrader answers WebSocket handshakes. A message over the limit closes the connection with 1009.
func newUpgrader(limits Limits) *gws.Upgrader {
	return gws.NewUpgrader(frames{}, &gws.ServerOption{
		ReadMaxPayloadSize: limits.MessageBytes,
		CheckUtf8Enabled:   true, // RFC 6455 section 8.1: invalid UTF-8 fails the connection.
		NewSession:         func() gws.SessionStorage { return nil },
		Logger:             silent{},
	})
}

// link is the TCP or TLS connection under a WebSocket, as the library sees it: it reads from the network and writes to
// the connection's sender, so that pongs and close frames queue up with all else.
type link struct {
	net.Conn
	ws *gws.Conn
	// owner is nil during the handshake.
	owner *conn
	once  sync.Once
}

// upgrade takes the connection over from net/http and answers the handshake.
func upgrade(u *gws.Upgrader, w http.ResponseWriter, r *http.Request) (*link, error) {
	taken, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	l := &link{Conn: taken}
	if buffered.Reader.Buffered() > 0 { // RFC 6455 section 4.1: the client waits for the handshake's end.
		l.cut()
		return nil, errors.New("upgrade: data before the end of the handshake")
	}
	if l.ws, err = u.UpgradeFromConn(l, bufio.NewReaderSize(l, readBuffer), r); err != nil {
		l.cut()
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	return l, nil
}

// read gives the owner each message and returns at the connection's end, with an error if something panicked: the
// library does at a frame's length of 2⁶³ or more, which becomes negative there.
func (l *link) read() (fault error) {
	defer func() {
		if cause := recover(); cause != nil {
			fault = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	l.ws.ReadLoop()
	return nil
}

// discard reads on and drops, until the client closes or l is cut: closing a TCP connection with data unread resets it,
// which could take the close frame along.
func (l *link) discard() { _, _ = io.CopyN(io.Discard, l.Conn, discardBytes) }

// Read cuts the connection when nothing more comes: a WebSocket does not work one way.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err != nil {
		l.cut()
	}
	return n, err
}

// Write is the library's. It does not block after the handshake.
func (l *link) Write(p []byte) (int, error) {
	if l.owner == nil {
		return l.Conn.Write(p)
	}
	if !l.owner.out.pushRaw(p) {
		l.cut()
		return 0, net.ErrClosed
	}
	l.owner.out.flush()
	return len(p), nil
}

// Close is what the library does right after its close frame; the frame goes out first.
func (l *link) Close() error {
	if l.owner == nil {
		l.cut()
		return nil
	}
	l.owner.end(&farewell{})
	l.owner.out.flush()
	return nil
}

// endSending closes the sending direction, so that the client gets to read what was sent.
func (l *link) endSending() {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // A connection that is gone needs none.
	}
}

// cut closes the TCP connection itself: closing TLS would first write an alert and wait for the network. It ends every
// blocked call, does not block, and may be called repeatedly.
func (l *link) cut() {
	l.once.Do(func() {
		if t, ok := l.Conn.(*tls.Conn); ok {
			_ = t.NetConn().Close()
			return
		}
		_ = l.Conn.Close()
	})
}

// frames hands the library's callbacks to the connection that they concern.
type frames struct{ gws.BuiltinEventHandler }

func (frames) OnPing(ws *gws.Conn, payload []byte) { _ = ws.WritePong(payload) }

func (frames) OnMessage(ws *gws.Conn, m *gws.Message) {
	defer m.Close()
	ws.NetConn().(*link).owner.receive(m.Bytes(), m.Opcode == gws.OpcodeText)
}

// silent drops the library's own log lines; what they could say is reported by our return values.
type silent struct{}

func (silent) Error(...any) {}
