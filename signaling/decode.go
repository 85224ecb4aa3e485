package signaling

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds how deep a message nests; a candidate needs two levels, metadata and messages are the client's own.
const maxDepth = 16

// Limits of single fields, in bytes. Tokens and sessions have fixed shapes, the rest of a candidate is one SDP line.
const (
	maxIDBytes        = 64
	maxTokenBytes     = 4 << 10
	maxSessionBytes   = 512
	maxCandidateBytes = 4 << 10
	maxMetadataBytes  = 4 << 10
	maxStatsBytes     = 4 << 10
	maxReasonBytes    = 64
)

// decode reads one message of a client. Size and depth are judged before anything is parsed. The message that a
// refusal is about is told as far as it could be read.
func decode(text []byte, limits Limits) (inbound, *Error) {
	var m inbound
	if len(text) > limits.MessageBytes {
		return m, errTooLarge(len(text), limits.MessageBytes)
	}
	// Counted first, many bytes at a time: nearly no message has so many brackets.
	if bytes.Count(text, []byte("{"))+bytes.Count(text, []byte("[")) > maxDepth && depth(text) > maxDepth {
		return m, errBadMessage(fmt.Sprintf("nested deeper than %d levels", maxDepth), "send a flat JSON object")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return inbound{ID: clip(m.ID, maxIDBytes)}, errNotJSON(err)
	}
	return m, m.check(limits)
}

// errNotJSON puts encoding/json's words into ours, which name no Go type and repeat no foreign text.
func errNotJSON(err error) *Error {
	const remedy = "send one JSON object per text frame, with the field types of tourbillon.v1"
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return errBadMessage(fmt.Sprintf("no valid JSON at byte %d", syntax.Offset), remedy)
	case errors.As(err, &kind) && kind.Field != "":
		return errBadMessage(fmt.Sprintf("field %q is of the wrong type", kind.Field), remedy)
	}
	return errBadMessage("no JSON object", remedy)
}

// check judges the fields that m's type needs. An unknown type passes: it is answered where types are told apart.
func (m *inbound) check(limits Limits) *Error {
	if len(m.ID) > maxIDBytes {
		m.ID = ""
		return errFieldTooLarge("id", maxIDBytes+1, maxIDBytes)
	}
	switch m.Type {
	case "":
		return errBadMessage(`no "type"`, `give each message a "type"`)
	case typeHello:
		return m.checkClass()
	case typeJoin, typeUpdate:
		return m.checkJoin()
	case typeResume:
		return m.checkResume()
	case typeOffer, typeAnswer:
		return m.checkDescription(limits)
	case typeCandidate:
		return m.checkCandidate()
	case typeRestart:
		return m.checkRestart()
	case typeMessage:
		return checkBytes("data", len(m.Data), 1, limits.DataBytes)
	case typeStats:
		return m.checkStats()
	}
	return nil
}

func (m *inbound) checkClass() *Error {
	if m.Class != "" && !m.Class.known() {
		return errBadMessage("no client class "+quote(string(m.Class)), `name "browser" or "native", or leave "class" out`)
	}
	return nil
}

func (m *inbound) checkJoin() *Error {
	if refusal := checkBytes("token", len(m.Token), 0, maxTokenBytes); refusal != nil {
		return refusal
	}
	if refusal := checkBytes("session", len(m.Session), 0, maxSessionBytes); refusal != nil {
		return refusal
	}
	if len(m.Metadata) == 0 {
		return nil
	}
	return checkObject("metadata", m.Metadata, maxMetadataBytes)
}

func (m *inbound) checkResume() *Error {
	return checkBytes("session", len(m.Session), 1, maxSessionBytes)
}

func (m *inbound) checkDescription(limits Limits) *Error {
	if m.To == "" {
		return errNoAddressee()
	}
	return checkBytes("sdp", len(m.SDP), 1, limits.SDPBytes)
}

func (m *inbound) checkCandidate() *Error {
	switch {
	case m.To == "":
		return errNoAddressee()
	case len(m.Candidate) > maxCandidateBytes:
		return errFieldTooLarge("candidate", len(m.Candidate), maxCandidateBytes)
	case len(m.Candidate) == 0 || m.Candidate[0] != '{' && string(m.Candidate) != "null":
		return errBadMessage(`"candidate" is no object`, `send an RTCIceCandidateInit, or null for the end of candidates`)
	}
	return nil
}

func (m *inbound) checkRestart() *Error {
	if m.To == "" {
		return errNoAddressee()
	}
	return checkBytes("reason", len(m.Reason), 0, maxReasonBytes)
}

// checkStats wants measurements, a word about one path, or both.
func (m *inbound) checkStats() *Error {
	if m.State == "" {
		return checkObject("stats", m.Stats, maxStatsBytes)
	}
	if len(m.Stats) > 0 {
		if refusal := checkObject("stats", m.Stats, maxStatsBytes); refusal != nil {
			return refusal
		}
	}
	if m.To == "" {
		return errNoAddressee()
	}
	for _, field := range []struct {
		name, value string
		choices     []string
	}{
		{"state", m.State, reportable}, {"via", m.Via, []string{"", "direct", "relay"}},
		{"transport", m.Transport, []string{"", "udp", "tcp", "tls"}},
	} {
		if !slices.Contains(field.choices, field.value) {
			choices := strings.TrimPrefix(strings.Join(field.choices, ", "), ", ")
			return errBadMessage(fmt.Sprintf("no %s %s", field.name, quote(field.value)), "say one of "+choices)
		}
	}
	return nil
}

func checkBytes(field string, size, least, most int) *Error {
	switch {
	case size < least:
		return errBadMessage(fmt.Sprintf("no %q", field), fmt.Sprintf("give the message its %q", field))
	case size > most:
		return errFieldTooLarge(field, size, most)
	}
	return nil
}

func checkObject(field string, value json.RawMessage, most int) *Error {
	if len(value) > most {
		return errFieldTooLarge(field, len(value), most)
	}
	if len(value) == 0 || value[0] != '{' {
		return errBadMessage(fmt.Sprintf("%q is no object", field), fmt.Sprintf("send a JSON object as %q", field))
	}
	return nil
}

func errNoAddressee() *Error { return errBadMessage(`no "to"`, `name the peer in "to"`) }

// depth returns how deep the objects and arrays of a JSON text nest. It needs no valid JSON: brackets outside strings
// are counted.
func depth(text []byte) int {
	level, deepest, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			level++
			deepest = max(deepest, level)
		case b == '}' || b == ']':
			level--
		}
	}
	return deepest
}

// parsePong reads a pong that is written without spaces, "type" first, then "seq", then perhaps "last", and nothing
// else; false for any other text, which decode is to judge. It needs little stack.
func parsePong(text []byte) (seq, last uint64, ok bool) {
	const head, middle = `{"type":"pong","seq":`, `,"last":`
	rest, ok := bytes.CutPrefix(text, []byte(head))
	if !ok {
		return 0, 0, false
	}
	if seq, rest, ok = cutNumber(rest); !ok {
		return 0, 0, false
	}
	if after, found := bytes.CutPrefix(rest, []byte(middle)); found {
		if last, rest, ok = cutNumber(after); !ok {
			return 0, 0, false
		}
	}
	return seq, last, len(rest) == 1 && rest[0] == '}'
}

// cutNumber reads the number at the head of a text, of at most 18 digits and as JSON writes it.
func cutNumber(text []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(text) && i < 18 && text[i] >= '0' && text[i] <= '9'; i++ {
		n = 10*n + uint64(text[i]-'0')
	}
	return n, text[i:], i > 0 && (text[0] != '0' || i == 1)
}
