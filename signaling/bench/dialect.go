//go:build linux

package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"tourbillon/timing"
)

// event is what a message of the server means to the generator.
type event int

const (
	nothing event = iota
	// isReady is the answer to the join; hasPartner tells the partner's id, which may come with it.
	isReady
	hasPartner
	// isPing wants the reply that came with it; isNote is a request or an answer of the partner.
	isPing
	isNote
	// isRefusal is an error of the server.
	isRefusal
)

// dialect is what the clients of one protocol say. It is pure.
type dialect interface {
	// path is what client i of n asks for, with its subprotocol or "".
	path(i int) (path, subprotocol string)
	// join is what client i says first; nil for nothing.
	join(i int) []byte
	// hear says what a text message of the server means, with the partner's id or the reply to send.
	hear(i int, text []byte) (what event, word string, reply []byte)
	// note is a message to the partner with the text of a candidate.
	note(to, candidate string) []byte
	// beat is what clients say at each heartbeat; nil for nothing.
	beat() []byte
}

func dialectOf(protocol string) dialect {
	if protocol == protocolPeerJS {
		return peerJSDialect{}
	}
	return tourbillonDialect{}
}

// A note carries a mark, after which come its kind and the instant of the request in hexadecimal.
const (
	mark      = " ufrag "
	kindAsk   = 'q'
	kindReply = 'r'
	stampSize = 16
	// candidate is one as browsers send them (RFC 8839 section 5.1).
	candidate = "candidate:842163049 1 udp 1677729535 192.0.2.17 46154 typ srflx raddr 198.51.100.17 rport 46154 generation 0" +
		mark + "q0000000000000000 network-cost 999"
)

// noteFrame is a frame with a note, and where its kind is; the stamp follows.
func noteFrame(d dialect, to string) (frame []byte, kindAt int) {
	frame = clientFrame(opText, d.note(to, candidate))
	return frame, bytes.Index(frame, []byte(mark)) + len(mark)
}

// stampNote writes kind and instant into a frame.
func stampNote(frame []byte, kindAt int, kind byte, at timing.Instant) {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(at))
	frame[kindAt] = kind
	hex.Encode(frame[kindAt+1:], raw[:])
}

// readNote reads kind and instant out of a note.
func readNote(text []byte) (kind byte, at timing.Instant, ok bool) {
	i := bytes.Index(text, []byte(mark))
	if i < 0 || len(text) < i+len(mark)+1+stampSize {
		return 0, 0, false
	}
	i += len(mark)
	var raw [8]byte
	if _, err := hex.Decode(raw[:], text[i+1:i+1+stampSize]); err != nil {
		return 0, 0, false
	}
	return text[i], timing.Instant(binary.BigEndian.Uint64(raw[:])), true
}

// tourbillonDialect is tourbillon.v1: rooms of two, pings of the server.
type tourbillonDialect struct{}

func (tourbillonDialect) path(int) (string, string) { return "/ws", "tourbillon.v1" }

func (tourbillonDialect) join(i int) []byte {
	return fmt.Appendf(nil, `{"type":"join","room":"bench-%d"}`, i/2)
}

func (tourbillonDialect) beat() []byte { return nil }

func (tourbillonDialect) note(to, candidate string) []byte {
	return fmt.Appendf(nil, `{"type":"candidate","to":%q,"candidate":{"candidate":%q,"sdpMid":"0","sdpMLineIndex":0}}`, to, candidate)
}

var (
	prefixPing = []byte(`{"type":"ping","seq":`)
	prefixNote = []byte(`{"type":"candidate",`)
)

func (d tourbillonDialect) hear(_ int, text []byte) (event, string, []byte) {
	switch {
	case bytes.HasPrefix(text, prefixNote):
		return isNote, "", nil
	case bytes.HasPrefix(text, prefixPing):
		digits := text[len(prefixPing):]
		end := bytes.IndexAny(digits, ",}")
		return isPing, "", fmt.Appendf(nil, `{"type":"pong","seq":%s}`, digits[:max(end, 0)])
	}
	return d.hearRest(text)
}

// hearRest reads what comes before the load.
func (tourbillonDialect) hearRest(text []byte) (event, string, []byte) {
	var m struct {
		Type  string
		Peers []struct{ ID string }
		// Peer is an id or an object.
		Peer json.RawMessage
	}
	if json.Unmarshal(text, &m) != nil {
		return nothing, "", nil
	}
	switch m.Type {
	case "joined":
		if len(m.Peers) > 0 {
			return isReady, m.Peers[0].ID, nil
		}
		return isReady, "", nil
	case "peer-joined":
		var newcomer struct{ ID string }
		_ = json.Unmarshal(m.Peer, &newcomer)
		return hasPartner, newcomer.ID, nil
	case "error", "bye":
		return isRefusal, string(text), nil
	}
	return nothing, "", nil
}

// peerJSDialect is that of the npm package peerjs: clients beat, partners know each other's id.
type peerJSDialect struct{}

func (peerJSDialect) id(i int) string { return "bench" + strconv.Itoa(i) }

func (d peerJSDialect) path(i int) (string, string) {
	return "/peerjs?key=peerjs&id=" + d.id(i) + "&token=bench&version=1.5.5", ""
}

func (peerJSDialect) join(int) []byte { return nil }

func (peerJSDialect) beat() []byte { return []byte(`{"type":"HEARTBEAT"}`) }

func (peerJSDialect) note(to, candidate string) []byte {
	return fmt.Appendf(nil, `{"type":"CANDIDATE","payload":{"candidate":{"candidate":%q,"sdpMLineIndex":0,"sdpMid":"0"},"type":"data","connectionId":"dc_bench"},"dst":%q}`, candidate, to)
}

func (d peerJSDialect) hear(i int, text []byte) (event, string, []byte) {
	switch {
	case bytes.Contains(text, []byte(mark)):
		return isNote, "", nil
	case bytes.Contains(text, []byte(`"OPEN"`)):
		return isReady, d.id(i ^ 1), nil
	}
	return isRefusal, string(text), nil
}
