package peerjs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// The types of message, as in the package comment.
const (
	typeOpen      = "OPEN"
	typeTaken     = "ID-TAKEN"
	typeError     = "ERROR"
	typeLeave     = "LEAVE"
	typeExpire    = "EXPIRE"
	typeOffer     = "OFFER"
	typeAnswer    = "ANSWER"
	typeCandidate = "CANDIDATE"
	typeHeartbeat = "HEARTBEAT"
)

// heartbeatText is a heartbeat as the client package writes it.
const heartbeatText = `{"type":"HEARTBEAT"}`

// message is one of a client's. Payload is passed on as it came; it is part of the text that decode was given.
type message struct {
	Type, Dst string
	Payload   []byte
}

// MessageError says what is wrong with a client's message, in words that name no Go type and repeat no foreign text.
type MessageError struct {
	// Wrong is what is wrong, Remedy what would be right.
	Wrong, Remedy string
}

func (e *MessageError) Error() string { return e.Wrong + ": " + e.Remedy }

// errIgnored marks a message of a type that the server does not know.
var errIgnored = errors.New("unknown type")

// maxDepth bounds how deep a message nests: a payload's metadata is the application's own.
const maxDepth = 32

// decode reads one message of a client. The caller has judged its size. It returns errIgnored or a *MessageError.
//
// A message is read by json.Valid and a look at the outermost members: filling a struct by encoding/json took a fifth of
// the server's CPU time under load.
func decode(text []byte, limits Limits) (message, error) {
	if deeper(text, maxDepth) {
		return message{}, &MessageError{fmt.Sprintf("nested deeper than %d levels", maxDepth), "send a flatter object"}
	}
	m, ok := message{}, json.Valid(text)
	if ok {
		m, ok = members(text)
	}
	if !ok {
		return message{}, &MessageError{"no valid message", "send one JSON object per text frame, with a type and a dst that are strings"}
	}
	return m, m.check(limits)
}

func (m message) check(limits Limits) error {
	switch m.Type {
	case typeHeartbeat:
		return nil
	case typeLeave:
		if m.Dst == "" {
			return nil
		}
	case typeOffer, typeAnswer, typeCandidate:
	case typeOpen, typeError, typeTaken, typeExpire:
		return &MessageError{"a type that only the server may send", "send OFFER, ANSWER, CANDIDATE, LEAVE or HEARTBEAT"}
	case "":
		return &MessageError{"no type", "give each message a type"}
	default:
		return errIgnored
	}
	if !validID(m.Dst, limits.IDBytes) {
		return &MessageError{"no valid dst", fmt.Sprintf("name the peer's id in dst, at most %d bytes", limits.IDBytes)}
	}
	return nil
}

// validID reports whether an id is one that the client package accepts: letters and digits, with single spaces, dashes
// or underscores between them. Such an id can stand in JSON as it is.
func validID(id string, most int) bool {
	if id == "" || len(id) > most {
		return false
	}
	joint := true // Whether a joint may not stand here: at the start, and after another.
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			joint = false
		case (c == ' ' || c == '_' || c == '-') && !joint:
			joint = true
		default:
			return false
		}
	}
	return !joint
}

// members reads the outermost members of a valid JSON text; false when it is no object, or type or dst is no string.
// As in JavaScript the last one of a name counts. Names, types and ids that are written with escapes are none of ours.
func members(text []byte) (m message, ok bool) {
	at := bytes.IndexByte(text, '{')
	if at < 0 || len(bytes.TrimSpace(text[:at])) > 0 {
		return m, false
	}
	for at++; ; at++ { // Behind "{" or ",".
		name, value, end := member(text, at)
		if name == nil {
			return m, true
		}
		switch string(name) {
		case `"type"`:
			m.Type, ok = unquote(value)
		case `"dst"`:
			m.Dst, ok = unquote(value)
		default:
			ok = true
		}
		if string(name) == `"payload"` {
			m.Payload = value
		}
		if !ok || text[end] == '}' {
			return m, ok
		}
		at = end
	}
}

// member returns name and value of the member that begins at or after at, and where the comma or brace behind it is;
// a nil name before a brace.
func member(text []byte, at int) (name, value []byte, end int) {
	begin := at
	for text[begin] != '"' {
		if text[begin] == '}' {
			return nil, nil, begin
		}
		begin++
	}
	colon := behindString(text, begin)
	name = text[begin:colon]
	for text[colon] != ':' {
		colon++
	}
	for end = colon + 1; text[end] != ',' && text[end] != '}'; {
		switch text[end] {
		case '"':
			end = behindString(text, end)
		case '{', '[':
			end = behindBrackets(text, end)
		default:
			end++
		}
	}
	return name, bytes.TrimSpace(text[colon+1 : end]), end
}

// behindString returns where the string that begins at at has ended.
func behindString(text []byte, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// behindBrackets returns where the object or array that begins at at has ended.
func behindBrackets(text []byte, at int) int {
	for level := 0; ; {
		switch text[at] {
		case '"':
			at = behindString(text, at)
			continue
		case '{', '[':
			level++
		case '}', ']':
			level--
		}
		if at++; level == 0 {
			return at
		}
	}
}

// unquote returns what is between the quotation marks of a JSON string; false for another value. Null stands for none.
func unquote(value []byte) (string, bool) {
	if string(value) == "null" {
		return "", true
	}
	if value[0] != '"' {
		return "", false
	}
	return string(value[1 : len(value)-1]), true
}

// deeper reports whether objects and arrays nest deeper than most. It needs no valid JSON: brackets outside strings
// are counted.
func deeper(text []byte, most int) bool {
	if bytes.Count(text, []byte("{"))+bytes.Count(text, []byte("[")) <= most {
		return false // As nearly always, and counted many bytes at a time.
	}
	level, quoted, escaped := 0, false, false
	for _, b := range text {
		switch {
		case escaped:
			escaped = false
		case quoted && b == '\\':
			escaped = true
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{', b == '[':
			if level++; level > most {
				return true
			}
		case b == '}', b == ']':
			level--
		}
	}
	return false
}

// What the server says in full. The client shows msg to the application.
var (
	textOpen    = []byte(`{"type":"OPEN"}`)
	textTaken   = []byte(`{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}`)
	textMissing = errorText("No id, token, or key supplied to websocket server")
	textKey     = errorText("Invalid key provided")
	textFull    = errorText("Server has reached its concurrent user limit")
)

func errorText(msg string) []byte {
	quoted, _ := json.Marshal(msg) // A string is always JSON.
	return fmt.Appendf(nil, `{"type":"ERROR","payload":{"msg":%s}}`, quoted)
}

// relayText is what dst gets to read. Both ids are valid and the payload is JSON, so that nothing needs quoting.
func relayText(kind, src, dst string, payload []byte) []byte {
	const frame = len(`{"type":"","src":"","dst":"","payload":}`)
	text := make([]byte, 0, frame+len(kind)+len(src)+len(dst)+len(payload))
	text = append(text, `{"type":"`...)
	text = append(text, kind...)
	text = append(text, `","src":"`...)
	text = append(text, src...)
	text = append(text, `","dst":"`...)
	text = append(text, dst...)
	text = append(text, '"')
	if len(payload) > 0 {
		text = append(text, `,"payload":`...)
		text = append(text, payload...)
	}
	return append(text, '}')
}
