package peerjs

import (
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/lxzan/gws"

	"tourbillon/signaling/socket"
)

// newUpgrader answers WebSocket handshakes. What comes after them is not the library's.
func newUpgrader() *gws.Upgrader {
	return gws.NewUpgrader(gws.BuiltinEventHandler{}, &gws.ServerOption{
		NewSession: func() gws.SessionStorage { return nil },
		Logger:     silent{},
	})
}

// upgrade takes the connection over from net/http and answers the handshake.
func upgrade(u *gws.Upgrader, w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	taken, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	if buffered.Reader.Buffered() > 0 { // RFC 6455 section 4.1: the client waits for the handshake's end.
		_ = taken.Close()
		return nil, errors.New("upgrade: data before the end of the handshake")
	}
	if _, err := u.UpgradeFromConn(taken, nil, r); err != nil {
		_ = taken.Close() // The library has answered.
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	return taken, nil
}

// Quick takes a heartbeat as the client package writes it.
func (c *conn) Quick(m socket.Message) bool {
	if m.Opcode != socket.OpText || string(m.Payload) != heartbeatText {
		return false
	}
	now := c.srv.clock.Now()
	if limits := c.srv.config.Limits; !limits.Off && !c.pace.take(now, limits.MessagesPerSecond, limits.MessageBurst) {
		return false
	}
	c.beat.Store(int64(now))
	return true
}

// Take takes one message of the client. Nothing about it blocks.
func (c *conn) Take(m socket.Message, _ bool) bool {
	switch m.Opcode {
	case socket.OpPing:
		if c.out.push(socket.OpPong, m.Payload) {
			c.out.flush()
		} else {
			c.sock.Cut()
		}
	case socket.OpPong: // None is waited for.
	case socket.OpClose:
		c.srv.drop(c, &farewell{code: socket.CloseCode(m.Payload)})
	default:
		c.receive(m.Payload, m.Opcode == socket.OpText)
	}
	return true
}

// Refuse ends the connection of a client that broke RFC 6455.
func (c *conn) Refuse(f *socket.Fault) {
	c.srv.config.Log.Debug("PeerJS client broke the WebSocket protocol", "network", c.network, "error", f)
	c.srv.drop(c, &farewell{code: f.Code, abandon: true})
}

// Ended is told once that nothing more will be received.
func (c *conn) Ended(cause error) {
	c.srv.detach(c, cause)
	c.srv.forget(c)
}

// silent drops the library's own log lines; what they could say is reported by our return values.
type silent struct{}

func (silent) Error(...any) {}
