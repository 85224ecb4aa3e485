package probe

import (
	"errors"
	"testing"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]Target{
		"stun:example.org":                         {STUN, "example.org", 3478, UDP},
		"STUN:192.0.2.1:19302":                     {STUN, "192.0.2.1", 19302, UDP},
		"stuns:example.org":                        {STUNS, "example.org", 5349, TLS},
		"turn:example.org":                         {TURN, "example.org", 3478, UDP},
		"turn:example.org?transport=tcp":           {TURN, "example.org", 3478, TCP},
		"turn:[2001:db8::1]:80?transport=udp":      {TURN, "2001:db8::1", 80, UDP},
		"turns:[::1]":                              {TURNS, "::1", 5349, TLS},
		"turns:turn.example.org:443?transport=tcp": {TURNS, "turn.example.org", 443, TLS},
	} {
		got, err := ParseURL(raw)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", raw, got, err, want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, raw := range []string{
		"", "stun:", "http://example.org", "example.org:3478", "stun://example.org", "stun:example.org?transport=udp",
		"turn:example.org?transport=sctp", "turn:example.org?", "turns:example.org?transport=udp", "turn:2001:db8::1", "turn:[::1",
		"turn:[192.0.2.1]", "turn:[::1]80", "turn:h:0", "turn:h:65536", "turn:h:", "turn:a b", "turn:user@h", "turn:h\x1b[31m",
	} {
		var wrong *URLError
		if got, err := ParseURL(raw); !errors.As(err, &wrong) || wrong.Remedy == "" {
			t.Errorf("%q: %+v, %v, want an error with a remedy", raw, got, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"stun:h", "turn:[::1]:1?transport=tcp", "turns:a.b:443", "turn:h:x", "stuns:[fe80::1%eth0]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		target, err := ParseURL(raw)
		if err != nil {
			return
		}
		if again, err := ParseURL(target.String()); err != nil || again != target {
			t.Errorf("%q: %+v, written %q, read again %+v, %v", raw, target, target, again, err)
		}
	})
}
