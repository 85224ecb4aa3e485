//go:build linux

package bench

import (
	"bytes"
	"strings"
	"testing"
)

func TestNoteCarriesItsStamp(t *testing.T) {
	for _, d := range []dialect{tourbillonDialect{}, peerJSDialect{}} {
		frame, kindAt := noteFrame(d, "partner")
		stampNote(frame, kindAt, kindReply, 0x0123456789abcdef)
		kind, at, ok := readNote(frame)
		if !ok || kind != kindReply || at != 0x0123456789abcdef {
			t.Errorf("%T: %c %x %v", d, kind, at, ok)
		}
		if what, _, _ := d.hear(0, frame[bytes.IndexByte(frame, '{'):]); d == (peerJSDialect{}) && what != isNote {
			t.Errorf("%T does not hear its note", d)
		}
	}
	for _, text := range []string{"", mark, mark + "q0123", mark + "qxxxxxxxxxxxxxxxx"} {
		if _, _, ok := readNote([]byte(text)); ok {
			t.Errorf("%q is no note", text)
		}
	}
}

func TestTourbillonHears(t *testing.T) {
	for text, want := range map[string]struct {
		what        event
		word, reply string
	}{
		`{"type":"ping","seq":17,"rtt_us":4}`:                                    {isPing, "", `{"type":"pong","seq":17}`},
		`{"type":"joined","room":"r","peer":"me","peers":[]}`:                    {isReady, "", ""},
		`{"type":"joined","room":"r","peer":"me","peers":[{"id":"other"}]}`:      {isReady, "other", ""},
		`{"type":"peer-joined","n":1,"peer":{"id":"other","polite":false}}`:      {hasPartner, "other", ""},
		`{"type":"candidate","n":3,"from":"other","candidate":{}}`:               {isNote, "", ""},
		`{"type":"error","code":"rate-limited","message":"x","remedy":"slower"}`: {isRefusal, "rate-limited", ""},
		`{"type":"something"}`: {nothing, "", ""},
		`no JSON`:              {nothing, "", ""},
	} {
		what, word, reply := tourbillonDialect{}.hear(0, []byte(text))
		if what != want.what || !strings.Contains(word, want.word) || string(reply) != want.reply {
			t.Errorf("%s: %v %q %q", text, what, word, reply)
		}
	}
}

func TestServerFrame(t *testing.T) {
	long := strings.Repeat("x", 300)
	huge := strings.Repeat("y", 70000)
	stream := "\x81\x02hi" + "\x81\x7e\x01\x2c" + long + "\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x70" + huge
	for cut := range len("\x81\x02hi\x81\x7e\x01\x2c") + 300 {
		data, whole := []byte(stream)[:cut], 0
		for {
			_, _, rest, ok, err := serverFrame(data)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			data, whole = rest, whole+1
		}
		if want := min(cut/4, 1); whole != want {
			t.Fatalf("%d whole frames in %d bytes, want %d", whole, cut, want)
		}
	}
	var texts []string
	for data := []byte(stream); len(data) > 0; {
		opcode, payload, rest, ok, err := serverFrame(data)
		if err != nil || !ok || opcode != opText {
			t.Fatal(opcode, ok, err)
		}
		texts, data = append(texts, string(payload)), rest
	}
	if len(texts) != 3 || texts[0] != "hi" || texts[1] != long || texts[2] != huge {
		t.Errorf("%d frames", len(texts))
	}
	for _, bad := range []string{"\x01\x02hi", "\x81\x82hi"} {
		if _, _, _, _, err := serverFrame([]byte(bad)); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestReadHandshake(t *testing.T) {
	rest, ok, err := readHandshake([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nmore"))
	if !ok || err != nil || string(rest) != "more" {
		t.Error(ok, err, rest)
	}
	if _, ok, err := readHandshake([]byte("HTTP/1.1 101 Switch")); ok || err != nil {
		t.Error(ok, err)
	}
	if _, _, err := readHandshake([]byte("HTTP/1.1 429 Too Many\r\n\r\n")); err == nil || !strings.Contains(err.Error(), "429") {
		t.Error(err)
	}
}
