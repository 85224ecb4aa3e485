package signaling

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
)

// rawClient has done a handshake by hand and writes frames as it likes.
type rawClient struct {
	net.Conn
	read *bufio.Reader
}

func dialRaw(address string) (rawClient, error) {
	tcp, err := net.Dial("tcp", address)
	if err != nil {
		return rawClient{}, fmt.Errorf("dial: %w", err)
	}
	c := rawClient{tcp, bufio.NewReaderSize(tcp, 512)}
	_, _ = fmt.Fprintf(tcp, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Sec-WebSocket-Protocol: %s\r\n\r\n", address, Subprotocol)
	answer, err := http.ReadResponse(c.read, nil)
	if err != nil {
		return rawClient{}, fmt.Errorf("read handshake: %w", err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return rawClient{}, fmt.Errorf("handshake answered %s", answer.Status)
	}
	return c, nil
}

// frame returns a client's frame of less than 64 KiB, masked with a key of zeros.
func frame(first byte, payload []byte) []byte {
	head := []byte{first, 0x80 | 126, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(head[2:], uint16(len(payload)))
	if len(payload) < 126 {
		head = []byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}
	}
	return append(head, payload...)
}

// frame reads one frame of the server.
func (c rawClient) frame() (first byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.read, head[:]); err != nil {
		return 0, nil, fmt.Errorf("read frame: %w", err)
	}
	size := int(head[1])
	if size == 126 {
		var extended [2]byte
		_, _ = io.ReadFull(c.read, extended[:])
		size = int(binary.BigEndian.Uint16(extended[:]))
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(c.read, payload); err != nil {
		return 0, nil, fmt.Errorf("read payload: %w", err)
	}
	return head[0], payload, nil
}

// closeCode reads frames up to the close frame and returns its code.
func (c rawClient) closeCode() (uint16, error) {
	for {
		first, payload, err := c.frame()
		if err != nil {
			return 0, err
		}
		if first == 0x88 {
			return binary.BigEndian.Uint16(payload), nil
		}
	}
}

func TestMalformedFrames(t *testing.T) {
	huge := []byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	negative := []byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	chunk := bytes.Repeat([]byte(" "), 32<<10)
	fragments := frame(0x01, chunk)
	for range 4 {
		fragments = append(fragments, frame(0x00, chunk)...)
	}
	for name, test := range map[string]struct {
		bytes []byte
		code  uint16
	}{
		"unmasked":               {[]byte{0x81, 0x02, '{', '}'}, 1002},
		"invalid UTF-8":          {frame(0x81, []byte{'"', 0xff, '"'}), 1007},
		"fragments over limit":   {fragments, 1009},
		"length of 2^63-1":       {huge, 1009},
		"length of 2^64-1":       {negative, 1002},
		"reserved bit":           {frame(0xc1, []byte("{}")), 1002},
		"reserved opcode":        {frame(0x83, []byte("{}")), 1002},
		"fragmented ping":        {frame(0x09, nil), 1002},
		"long ping":              {frame(0x89, chunk[:126]), 1002},
		"stray continuation":     {frame(0x80, []byte("{}")), 1002},
		"message within message": {append(frame(0x01, []byte("{")), frame(0x81, []byte("{}"))...), 1002},
		"close with code 1":      {frame(0x88, []byte{0, 1}), 1002},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, Config{})
			neighbour, _ := h.join("demo", "")
			c, err := dialRaw(h.http.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = c.Write(frame(0x81, []byte(`{"type":"join","room":"demo"}`)))
			neighbour.message(typePeerJoined)
			_, _ = c.Write(test.bytes)
			neighbour.message(typePeerLeft)
			if code, err := c.closeCode(); code != test.code {
				t.Errorf("closed with %d (%v), want %d", code, err, test.code)
			}
		})
	}
}

func TestEmptyFragmentsAndPingsAreHarmless(t *testing.T) {
	h := newHost(t, Config{})
	c, err := dialRaw(h.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	flood := frame(0x01, nil)
	for range 1000 {
		flood = append(flood, frame(0x00, nil)...)
	}
	flood = append(flood, frame(0x80, []byte(`{"type":"join","room":"demo"}`))...)
	flood = append(flood, frame(0x89, []byte("echo"))...)
	_, _ = c.Write(flood)
	var seen []byte
	for !bytes.Contains(seen, []byte(`"joined"`)) || !bytes.Contains(seen, []byte("\x8a\x04echo")) {
		b, err := c.read.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, b)
	}
}

func TestHalfAMessageIsNoMessage(t *testing.T) {
	h := newHost(t, Config{})
	c, err := dialRaw(h.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	whole := frame(0x81, []byte(`{"type":"join","room":"demo"}`))
	_, _ = c.Write(whole[:len(whole)-1])
	for h.server.Stats().Opened == 0 { // The handshake's answer comes before the connection is counted.
		runtime.Gosched()
	}
	_ = c.Close()
	if err := h.shutdown(); err != nil {
		t.Error(err)
	}
	if s := h.server.Stats(); s.Joined != 0 || s.Opened != 1 {
		t.Errorf("stats %+v", s)
	}
}
