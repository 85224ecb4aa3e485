package bench

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tourbillon/timing"
)

// messageEvery is how often each client sends to the other one of its room.
const messageEvery = time.Second

// loadOrder asks for signaling connections that are busy.
type loadOrder struct {
	// Addr is the host:port of the HTTP listener.
	Addr    string `json:"addr"`
	Clients int    `json:"clients"`
}

// readyLine is what the load says when all clients are connected and know each other.
const readyLine = "ready"

// load is the running clients.
type load struct {
	clients []*client
	readers sync.WaitGroup
	// broken receives the first reason for which a connection ended by itself.
	broken chan error
	ending atomic.Bool
}

// run connects the clients and keeps them busy until in ends. A connection that is lost is an error: the figures would
// be those of less load.
func (o *loadOrder) run(in io.Reader, out io.Writer) (err error) {
	l := &load{broken: make(chan error, 1)}
	defer l.close()
	for i := range o.Clients {
		c, err := connect(o.Addr, fmt.Sprintf("bench-%d", i/2))
		if err != nil {
			return fmt.Errorf("signaling client %d: %w", i+1, err)
		}
		l.clients = append(l.clients, c)
		l.readers.Go(func() { l.end(c.read()) })
	}
	for _, c := range l.clients {
		select {
		case <-c.paired:
		case err := <-l.broken:
			return err
		}
	}
	if len(l.clients) > 0 {
		var clock timing.Runtime
		interval := messageEvery / time.Duration(len(l.clients))
		var sent atomic.Uint64 // A message that hangs does not hold up the next.
		messages := timing.Every(clock, clock.Now(), interval, func(timing.Tick) {
			l.clients[(sent.Add(1)-1)%uint64(len(l.clients))].message()
		})
		defer messages.Stop()
	}
	fmt.Fprintln(out, readyLine)
	over := make(chan struct{})
	go func() { // Ends with in, which the parent closes, at the latest when this process ends.
		_, _ = io.Copy(io.Discard, in)
		close(over)
	}()
	select {
	case <-over:
		return nil
	case err := <-l.broken:
		return err
	}
}

func (l *load) end(err error) {
	if l.ending.Load() {
		return
	}
	select {
	case l.broken <- fmt.Errorf("a signaling connection ended: %w", err):
	default:
	}
}

func (l *load) close() {
	l.ending.Store(true)
	for _, c := range l.clients {
		_ = c.conn.Close()
	}
	l.readers.Wait()
}

// client is a WebSocket client of as few instructions as will do, since it shares the CPUs with what is measured.
type client struct {
	conn   net.Conn
	in     *bufio.Reader
	paired chan struct{} // Closed when candidate is set.

	mu        sync.Mutex // Guards writing, and candidate.
	candidate []byte
}

// readBuffer holds most messages whole; a thousand clients of the usual 4 KiB would take as many megabytes for nothing.
const readBuffer = 2048

// connect opens a connection and joins a room.
func connect(addr, room string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, readBuffer), paired: make(chan struct{})}
	// The key is any 16 bytes in base64 (RFC 6455 section 4.1).
	_, err = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: tourbillon.v1\r\n\r\n", addr)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	response, err := http.ReadResponse(c.in, nil)
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("the server answered %s", response.Status)
	}
	if err == nil {
		err = c.send([]byte(`{"type":"join","room":"` + room + `"}`))
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// Opcodes of frames (RFC 6455 section 5.2), and the bits beside them.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
	final   = 0x80
	masked  = 0x80
)

// send writes one text frame. The mask is zero: it protects proxies, of which there is none here.
func (c *client) send(text []byte) error { return c.write(opText, text) }

func (c *client) write(op byte, payload []byte) error {
	frame := []byte{final | op}
	if len(payload) < 126 {
		frame = append(frame, masked|byte(len(payload)))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, masked|126), uint16(len(payload)))
	}
	frame = append(append(frame, 0, 0, 0, 0), payload...)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Write(frame)
	return err
}

// message sends a candidate to the room's other client. A failure shows at the reader.
func (c *client) message() {
	c.mu.Lock()
	text := c.candidate
	c.mu.Unlock()
	_ = c.send(text)
}

// read answers pings until the connection ends, and says why it did.
func (c *client) read() error {
	var payload []byte
	for {
		op, length, err := readHeader(c.in)
		if err != nil {
			return err
		}
		payload = append(payload[:0], make([]byte, length)...)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return err
		}
		switch op {
		case opText:
			err = c.take(payload)
		case opPing:
			err = c.write(opPong, payload)
		case opClose:
			return fmt.Errorf("closed by the server: %q", payload)
		}
		if err != nil {
			return err
		}
	}
}

// maxMessage is more than the server ever sends.
const maxMessage = 1 << 20

// readHeader reads the head of a frame from a server, which masks none.
func readHeader(r *bufio.Reader) (op byte, length uint64, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, 0, err
	}
	op, length = head[0]&0x0f, uint64(head[1]&0x7f)
	switch length {
	case 126:
		_, err = io.ReadFull(r, head[:2])
		length = uint64(binary.BigEndian.Uint16(head[:]))
	case 127:
		_, err = io.ReadFull(r, head[:8])
		length = binary.BigEndian.Uint64(head[:])
	}
	if err == nil && (head[1]&masked != 0 && length < 126 || length > maxMessage) {
		err = errors.New("a frame that no server sends")
	}
	return op, length, err
}

// take deals with one message of the server.
func (c *client) take(text []byte) error {
	if bytes.HasPrefix(text, []byte(`{"type":"ping"`)) {
		_, after, _ := bytes.Cut(text, []byte(`"seq":`))
		seq, err := strconv.Atoi(string(after[:max(0, bytes.IndexAny(after, ",}"))]))
		if err != nil {
			return fmt.Errorf("a ping without a number: %w", err)
		}
		return c.send(append(strconv.AppendInt([]byte(`{"type":"pong","seq":`), int64(seq), 10), '}'))
	}
	if c.candidate != nil { // Written by this goroutine alone.
		return c.refused(text)
	}
	var m struct {
		Type  string
		Peers []struct{ ID string }
		Peer  json.RawMessage // An object in "peer-joined", the own id in "joined".
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("a message that is no JSON: %w", err)
	}
	switch {
	case m.Type == "error":
		return c.refused(text)
	case m.Type == "joined" && len(m.Peers) == 1:
		c.pair(m.Peers[0].ID)
	case m.Type == "peer-joined":
		var peer struct{ ID string }
		if err := json.Unmarshal(m.Peer, &peer); err != nil {
			return fmt.Errorf("a newcomer without id: %w", err)
		}
		c.pair(peer.ID)
	}
	return nil
}

// refused looks for the server's objections among what needs no answer.
func (c *client) refused(text []byte) error {
	if bytes.HasPrefix(text, []byte(`{"type":"error"`)) {
		return fmt.Errorf("the server refuses: %s", text)
	}
	return nil
}

// pair notes whom to send to.
func (c *client) pair(peer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.candidate = fmt.Appendf(nil, `{"type":"candidate","to":%q,"candidate":{"candidate":"candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host","sdpMid":"0","sdpMLineIndex":0}}`, peer)
	close(c.paired)
}
