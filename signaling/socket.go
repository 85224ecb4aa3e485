package signaling

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/lxzan/gws"

	"tourbillon/signaling/socket"
)

// link is what a connection asks of its socket: a *socket.Conn, whose methods say more.
type link interface {
	// TryWrite writes what the network takes without waiting, and tells how much that was.
	TryWrite(frames []byte) (int, error)
	// Write writes all. It blocks for as long as the network does, or until Cut.
	Write(frames []byte) error
	// CloseWrite ends the sending direction.
	CloseWrite()
	// Cut ends the connection and every blocked call. It does not block and may be called repeatedly.
	Cut()
}

// newUpgrader answers handshakes. What comes after them is not the library's.
func newUpgrader() *gws.Upgrader {
	return gws.NewUpgrader(gws.BuiltinEventHandler{}, &gws.ServerOption{
		SubProtocols: []string{Subprotocol},
		NewSession:   func() gws.SessionStorage { return nil },
		Logger:       silent{},
	})
}

// upgrade takes the connection over from net/http and answers the handshake.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	tcp, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	if rw.Reader.Buffered() > 0 { // RFC 6455 section 4.1: the client waits for the handshake's end.
		_ = tcp.Close()
		return nil, errors.New("upgrade: data before the end of the handshake")
	}
	if _, err := s.upgrader.UpgradeFromConn(tcp, nil, r); err != nil {
		_ = tcp.Close() // The library has answered.
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	return tcp, nil
}

// messageLimit lets in messages of up to twice the limit, so that one over it can be answered in words before the
// connection closes; what is larger still closes it with 1009 as soon as its length is read.
func messageLimit(l Limits) int { return 2 * l.MessageBytes }

// Quick takes a pong in its plainest form, as our clients write it, by far the most frequent of all messages.
func (c *conn) Quick(m socket.Message) bool {
	return m.Opcode == socket.OpText && c.mine != nil && c.quickPong(m.Payload)
}

// Take takes one message of the client.
func (c *conn) Take(m socket.Message, mayBlock bool) bool {
	switch m.Opcode {
	case socket.OpPing:
		c.echo(m.Payload)
		return true
	case socket.OpPong:
		return true // None is waited for.
	case socket.OpClose:
		c.srv.drop(c, ReasonClosed, farewell{code: socket.CloseCode(m.Payload)})
		return true
	}
	return c.take(m.Payload, m.Opcode == socket.OpText, mayBlock)
}

// Refuse ends the connection of a client that broke RFC 6455.
func (c *conn) Refuse(f *socket.Fault) {
	c.srv.config.Log.Debug("client broke the WebSocket protocol", "address", c.addr, "error", f)
	c.srv.drop(c, ReasonClosed, farewell{code: f.Code, abandon: true})
}

// Ended is told once that nothing more will be received.
func (c *conn) Ended(cause error) {
	c.srv.detach(c, cause)
	c.srv.release(c)
}

// silent drops the library's own log lines; what they could say is reported by our return values.
type silent struct{}

func (silent) Error(...any) {}
