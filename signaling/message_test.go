package signaling

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestDecodeRefuses(t *testing.T) {
	limits := Limits{}.withDefaults()
	for name, test := range map[string]struct {
		text  string
		code  Code
		fatal bool
	}{
		"empty":                {``, CodeBadMessage, false},
		"cut off":              {`{"type":"jo`, CodeBadMessage, false},
		"two objects":          {`{"type":"leave"}{"type":"leave"}`, CodeBadMessage, false},
		"array":                {`[]`, CodeBadMessage, false},
		"null":                 {`null`, CodeBadMessage, false},
		"no type":              {`{"room":"r"}`, CodeBadMessage, false},
		"type not text":        {`{"type":1}`, CodeBadMessage, false},
		"sequence not number":  {`{"type":"pong","seq":"1"}`, CodeBadMessage, false},
		"sequence negative":    {`{"type":"pong","seq":-1}`, CodeBadMessage, false},
		"deep":                 {`{"type":"candidate","to":"p","candidate":` + strings.Repeat("[", 5000), CodeBadMessage, false},
		"deep and valid":       {`{"type":"leave","x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, CodeBadMessage, false},
		"offer to nobody":      {`{"type":"offer","sdp":"v=0"}`, CodeBadMessage, false},
		"offer without SDP":    {`{"type":"offer","to":"p"}`, CodeBadMessage, false},
		"large SDP":            {`{"type":"offer","to":"p","sdp":"` + long(limits.SDPBytes+1) + `"}`, CodeTooLarge, false},
		"large message":        {`{"type":"offer","to":"p","sdp":"` + long(limits.MessageBytes) + `"}`, CodeTooLarge, true},
		"candidate to nobody":  {`{"type":"candidate","candidate":null}`, CodeBadMessage, false},
		"no candidate":         {`{"type":"candidate","to":"p"}`, CodeBadMessage, false},
		"candidate not object": {`{"type":"candidate","to":"p","candidate":"c"}`, CodeBadMessage, false},
		"large candidate":      {`{"type":"candidate","to":"p","candidate":{"c":"` + long(maxCandidateBytes) + `"}}`, CodeTooLarge, false},
		"large token":          {`{"type":"join","room":"r","token":"` + long(maxTokenBytes+1) + `"}`, CodeTooLarge, false},
		"large session":        {`{"type":"join","room":"r","session":"` + long(maxSessionBytes+1) + `"}`, CodeTooLarge, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, refusal := decode([]byte(test.text), limits)
			if refusal == nil || refusal.Code != test.code || refusal.Fatal != test.fatal {
				t.Fatalf("got %+v, want code %s, fatal %v", refusal, test.code, test.fatal)
			}
			if strings.Contains(refusal.Error(), "xxx") || strings.Contains(refusal.Error(), "signaling.") {
				t.Errorf("%q repeats the message or names a Go type", refusal)
			}
		})
	}
}

func TestDepthIgnoresStrings(t *testing.T) {
	for text, want := range map[string]int{
		``: 0, `1`: 0, `{}`: 1, `{"a":[{}]}`: 3, `{"a":"[[[[{\"[["}`: 1, `[][]`: 1, `"\\"[`: 1,
	} {
		if got := depth([]byte(text)); got != want {
			t.Errorf("depth(%s) = %d, want %d", text, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"type":"join","room":"demo"}`))
	f.Add([]byte(`{"type":"candidate","to":"p","candidate":{"candidate":"c"}}`))
	limits := Limits{}.withDefaults()
	f.Fuzz(func(t *testing.T, text []byte) {
		m, refusal := decode(text, limits)
		if refusal == nil {
			encode(relayMessage{Type: m.Type, SDP: m.SDP, Candidate: m.Candidate})
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("Ada\x00\n Lovelace\u202e")
	f.Add(long(300))
	f.Fuzz(func(t *testing.T, name string) {
		clean := cleanName(name)
		if utf8.RuneCountInString(clean) > maxNameRunes || strings.ContainsFunc(clean, unicode.IsControl) {
			t.Errorf("cleanName(%q) = %q", name, clean)
		}
	})
}

func TestRoomNames(t *testing.T) {
	for name, want := range map[string]bool{
		"demo": true, "A-b_c.9": true, long(64): true,
		"": false, long(65): false, "a b": false, "ä": false, "a/b": false, "a\n": false, "*": false,
	} {
		if got := validRoom(name); got != want {
			t.Errorf("validRoom(%q) = %v", name, got)
		}
	}
}
