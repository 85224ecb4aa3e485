package signaling

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/lxzan/gws"
)

// socket is what a connection asks of the WebSocket library. lxzan/gws serves it: an idle connection takes half the
// memory that it takes with coder/websocket (BenchmarkIdleConnection).
type socket interface {
	// Send writes one text message, given in parts. It blocks for as long as the network does, or until Abort.
	Send(parts ...[]byte) error
	// Close writes a close frame and then sends no more; the client's own closing ends the connection.
	Close(code uint16, reason string)
	// Abort cuts the TCP connection, which ends every blocked call. It does not block and may be called repeatedly.
	Abort()
}

const (
	// readBuffer is the bytes of buffer per connection: a pong fits many times, a larger message passes it by.
	readBuffer = 512
	// discardBytes bounds what is read and dropped after the server has closed, see gwsSocket.run.
	discardBytes = 1 << 20
)

// gwsUpgrader turns HTTP requests into sockets.
type gwsUpgrader struct{ upgrader *gws.Upgrader }

// newUpgrader accepts messages up to twice the limit, so that one over the limit can be answered in words before the
// connection closes; what is larger still, the library closes with 1009 on its own.
func newUpgrader(limit int) gwsUpgrader {
	return gwsUpgrader{gws.NewUpgrader(gwsEvents{}, &gws.ServerOption{
		ReadMaxPayloadSize: 2 * limit,
		CheckUtf8Enabled:   true, // RFC 6455 section 8.1: invalid UTF-8 fails the connection.
		SubProtocols:       []string{Subprotocol},
		NewSession:         func() gws.SessionStorage { return nil }, // Ours hangs on the link instead.
		Logger:             silent{},
	})}
}

// upgrade takes the connection over from net/http and answers the handshake.
func (u gwsUpgrader) upgrade(w http.ResponseWriter, r *http.Request) (*gwsSocket, error) {
	tcp, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	if rw.Reader.Buffered() > 0 { // RFC 6455 section 4.1: the client waits for the handshake's end.
		_ = tcp.Close()
		return nil, errors.New("upgrade: data before the end of the handshake")
	}
	s := &gwsSocket{}
	l := &link{Conn: tcp, socket: s}
	s.link = l
	if s.ws, err = u.upgrader.UpgradeFromConn(l, bufio.NewReaderSize(l, readBuffer), r); err != nil {
		l.cut()
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	return s, nil
}

// gwsSocket is a socket over lxzan/gws.
type gwsSocket struct {
	ws   *gws.Conn
	link *link
	// receive gets each message; text is valid during the call. isText is false for a binary frame.
	receive func(text []byte, isText bool)
}

func (s *gwsSocket) Send(parts ...[]byte) error { return s.ws.Writev(gws.OpcodeText, parts...) }

func (s *gwsSocket) Close(code uint16, reason string) { _ = s.ws.WriteClose(code, []byte(reason)) }

func (s *gwsSocket) Abort() { s.link.cut() }

// run reads until the connection ends; ended is called as soon as nothing more will be received. After a fault of the
// client the library has closed with data unread, and closing the TCP connection now would reset it and could take the
// close frame along. So run reads on and drops, until the client closes, Abort, or discardBytes.
func (s *gwsSocket) run(receive func([]byte, bool), ended func(cause any)) {
	s.receive = receive
	ended(s.read())
	_, _ = io.CopyN(io.Discard, s.link.Conn, discardBytes)
	s.link.cut()
}

// read returns nil at the connection's end, or what the library panicked with: a frame length of 2⁶³ or more becomes
// a negative one there.
func (s *gwsSocket) read() (cause any) {
	defer func() { cause = recover() }()
	s.ws.ReadLoop()
	return nil
}

// link is the TCP or TLS connection under a gwsSocket. The library closes it right after its close frame; link only
// ends the sending direction then, so that the client gets to read what was sent.
type link struct {
	net.Conn
	socket *gwsSocket
	once   sync.Once
}

// Read cuts the connection when nothing more comes: a WebSocket does not work one way, and a writer that is blocked
// must not wait for a client that is gone.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err != nil {
		l.cut()
	}
	return n, err
}

// Close ends the sending direction.
func (l *link) Close() error {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	l.cut()
	return nil
}

// cut closes the TCP connection itself: closing TLS would first write an alert and wait for the network.
func (l *link) cut() {
	l.once.Do(func() {
		if t, ok := l.Conn.(*tls.Conn); ok {
			_ = t.NetConn().Close()
			return
		}
		_ = l.Conn.Close()
	})
}

// gwsEvents hands the library's callbacks to the socket that they concern.
type gwsEvents struct{ gws.BuiltinEventHandler }

func (gwsEvents) OnPing(ws *gws.Conn, payload []byte) { _ = ws.WritePong(payload) }

func (gwsEvents) OnMessage(ws *gws.Conn, m *gws.Message) {
	defer m.Close()
	ws.NetConn().(*link).socket.receive(m.Bytes(), m.Opcode == gws.OpcodeText)
}

// silent drops the library's own log lines; what they could say is reported by our return values.
type silent struct{}

func (silent) Error(...any) {}
