package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"tourbillon/timing"
)

const (
	// missedBeats is how many heartbeats may stay away, and minSilence the least silence, before the server counts as
	// lost (tourbillon.v1).
	missedBeats = 3
	minSilence  = 250 * time.Millisecond
	// maxMessage bounds what is read: several times what the server sends at most.
	maxMessage = 1 << 20
	// closeReplaced is the close code of a connection whose session was taken up elsewhere (tourbillon.v1).
	closeReplaced = 4001
	// closeTooLarge is that of a message over the limit (RFC 6455 section 7.4.1).
	closeTooLarge = 1009
)

// link is one WebSocket from the dialling to its end, on the room's goroutine.
type link struct {
	gws.BuiltinEventHandler
	room *Room
	ws   *gws.Conn
	// entered is true once the server has said "joined" or "resumed"; the room's lock guards it.
	entered bool

	// Owned by the room's goroutine: resuming is true until a resume is answered, beaten once a ping has come, refusal is
	// what ended the way in or, fatally, the connection later, closed what the library says ended it.
	resuming, beaten bool
	refusal          *Refusal
	closed           error

	// dead cuts the connection: first unless it is entered in time, then unless the server is heard.
	dead  timing.Timer
	limit time.Duration

	// ctx ends with the link.
	ctx context.Context
	cut context.CancelFunc

	// mu guards what follows.
	mu     sync.Mutex
	conn   net.Conn
	silent bool
}

func newLink(r *Room) *link {
	l := &link{room: r, limit: r.options.JoinTimeout}
	l.ctx, l.cut = context.WithCancel(r.ctx)
	return l
}

// live opens the connection, enters the room and reads until the end, whose cause it returns.
func (l *link) live() error {
	defer l.close()
	defer l.cut()
	context.AfterFunc(l.ctx, l.close)
	l.dead = l.room.options.Clock.AfterFunc(l.limit, l.expire)
	defer l.dead.Stop()
	if err := l.open(); err != nil {
		return fmt.Errorf("connect: %w", cmp.Or(l.silence(), err))
	}
	l.room.mu.Lock()
	l.room.link = l
	l.room.mu.Unlock()
	l.enter()
	if fault := l.read(); fault != nil {
		return fault
	}
	return l.cause()
}

// read reads until the connection ends. The library panics on some frames that no server of ours sends.
func (l *link) read() (fault error) {
	defer func() {
		if cause := recover(); cause != nil {
			fault = fmt.Errorf("read: %v", cause)
		}
	}()
	l.ws.ReadLoop()
	return nil
}

// open dials and does the handshake. It ends when the link is cut.
func (l *link) open() error {
	o := l.room.options
	option := &gws.ClientOption{
		Addr: l.room.url, RequestHeader: o.Header.Clone(), TlsConfig: o.TLS,
		ReadMaxPayloadSize: maxMessage, CheckUtf8Enabled: true, HandshakeTimeout: o.JoinTimeout, Logger: noLog{},
		NewDialer: func() (gws.Dialer, error) { return dialer{l}, nil },
	}
	if option.RequestHeader == nil {
		option.RequestHeader = map[string][]string{}
	}
	option.RequestHeader.Set("Sec-WebSocket-Protocol", subprotocol)
	ws, answer, err := gws.NewClient(l, option)
	if answer != nil && answer.Body != nil && err != nil {
		_ = answer.Body.Close()
	}
	l.ws = ws
	return err
}

// dialer opens the TCP connection of a link.
type dialer struct{ l *link }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.l.room.options.Dial(d.l.ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.l.mu.Lock()
	d.l.conn = conn
	d.l.mu.Unlock()
	if d.l.ctx.Err() != nil {
		d.l.close() // Cut meanwhile.
	}
	return conn, nil
}

// close closes the TCP connection, which ends every blocked call.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// enter says hello and asks for the room, in one go.
func (l *link) enter() {
	o := l.room.options
	l.write(outbound{Type: "hello", Client: clientName, Class: "native", HeartbeatMS: o.Heartbeat.Milliseconds()})
	ask := l.room.enter()
	l.resuming = ask.Type == "resume"
	l.write(ask)
}

// expect is silence beyond some heartbeats being the end from here on.
func (l *link) expect(interval time.Duration) {
	l.limit = max(missedBeats*interval, minSilence) + l.room.options.Tolerance
	l.dead.Reset(l.limit)
}

// expire runs when the server was silent for too long.
func (l *link) expire() {
	l.mu.Lock()
	l.silent = true
	l.mu.Unlock()
	l.cut()
}

// silence is errSilent where that is what ended the link.
func (l *link) silence() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silent {
		return errSilent
	}
	return nil
}

// cause is what ended a link that was open.
func (l *link) cause() error {
	switch {
	case l.silence() != nil:
		return errSilent
	case l.closedWith(closeReplaced):
		return ErrReplaced
	case l.refusal != nil:
		return l.refusal
	case l.closedWith(closeTooLarge):
		return unsaid()
	}
	return l.closed
}

func (l *link) closedWith(code uint16) bool {
	var closed *gws.CloseError
	return errors.As(l.closed, &closed) && closed.Code == code
}

// write sends a message. A failure is noticed by who reads.
func (l *link) write(m outbound) {
	text, err := encode(m)
	if err != nil {
		l.cut() // Room.send has encoded it before, so only Options.Metadata can be at fault.
		return
	}
	_ = l.ws.WriteMessage(gws.OpcodeText, text)
}

// pong answers a ping.
func (l *link) pong(seq, last uint64) {
	text := strconv.AppendUint(append(make([]byte, 0, 64), `{"type":"pong","seq":`...), seq, 10)
	text = strconv.AppendUint(append(text, `,"last":`...), last, 10)
	_ = l.ws.WriteMessage(gws.OpcodeText, append(text, '}'))
}

// OnMessage takes a message of the server.
func (l *link) OnMessage(_ *gws.Conn, message *gws.Message) {
	defer message.Close()
	l.dead.Reset(l.limit)
	var m inbound
	if json.Unmarshal(message.Bytes(), &m) == nil { // Unknown things are to be ignored.
		l.room.receive(l, &m)
	}
}

// OnPing answers a ping of the WebSocket protocol itself.
func (l *link) OnPing(ws *gws.Conn, payload []byte) { _ = ws.WritePong(payload) }

// OnClose notes why the connection ended.
func (l *link) OnClose(_ *gws.Conn, err error) { l.closed = err }

// refused takes an error: on the way in it decides how to go on, later it is the caller's to judge. One with a number is
// news of the session, which a resume tells again unless it was acknowledged.
func (r *Room) refused(l *link, m *inbound) {
	if m.N != 0 && !r.fresh(m.N) {
		return
	}
	refusal := m.Refusal
	switch {
	case l.entered && refusal.Fatal:
		l.refusal = &refusal // Told when the connection has ended.
	case l.entered:
		r.emit(Refused{&refusal})
	case l.resuming && slices.Contains(rejoins, refusal.Code):
		l.resuming = false
		r.rejoin(l, refusal.Code)
	default:
		l.refusal = &refusal
		l.cut()
	}
}

// rejoin asks for the room anew, on the connection on which a resume was refused.
func (r *Room) rejoin(l *link, code string) {
	r.mu.Lock()
	if code == "session-used" || code == "bad-session" {
		r.state.session = ""
	}
	ask := r.joinLocked()
	r.mu.Unlock()
	l.write(ask)
}

// noLog drops the library's own log lines.
type noLog struct{}

func (noLog) Error(...any) {}
