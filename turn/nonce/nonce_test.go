package nonce

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// TestSipHash holds the hash against the authors' reference vector of 24 bytes: key and message count up from 0.
func TestSipHash(t *testing.T) {
	var bytes [24]byte
	for i := range bytes {
		bytes[i] = byte(i)
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(bytes[8*i:]) }
	if got, want := sip(&Key{word(0), word(1)}, word(0), word(1), word(2)), binary.LittleEndian.Uint64([]byte{
		0x94, 0xaf, 0x49, 0xf6, 0xc6, 0x50, 0xad, 0xb8,
	}); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

// TestANonceIsGoodForItsSource changes each thing that a nonce is about, and each of its digits.
func TestANonceIsGoodForItsSource(t *testing.T) {
	key, other := Key{1, 2}, Key{1, 3}
	source := SourceOf(netip.MustParseAddrPort("192.0.2.1:1000"))
	var text [Size]byte
	Put(&text, &key, 0xdeadbeef, &source)
	if step, ok := Step(text[:], &key, source); !ok || step != 0xdeadbeef {
		t.Fatalf("%s: %#x, %v", text, step, ok)
	}
	if _, ok := Step(text[:], &other, source); ok {
		t.Error("good under another key")
	}
	for _, at := range []string{"192.0.2.1:1001", "192.0.2.2:1000", "[2001:db8::1]:1000"} {
		if _, ok := Step(text[:], &key, SourceOf(netip.MustParseAddrPort(at))); ok {
			t.Errorf("good for %s", at)
		}
	}
	for i := range text {
		for _, c := range []byte{0, 'A', 'f', 'p', '0', '@', ' ', text[i] ^ 1, text[i] + 16} {
			changed := text
			if changed[i] = c; changed == text {
				continue
			}
			if _, ok := Step(changed[:], &key, source); ok {
				t.Errorf("good with %q in place of %q at %d", c, text[i], i)
			}
		}
	}
	for _, wrong := range [][]byte{nil, text[:Size-1], append(text[:], 'a')} {
		if _, ok := Step(wrong, &key, source); ok {
			t.Errorf("%q is good", wrong)
		}
	}
}

func FuzzStep(f *testing.F) {
	f.Add([]byte("000000010123456789abcdef"))
	key, source := Key{1, 2}, Source{Lo: 3, Port: 4}
	f.Fuzz(func(t *testing.T, text []byte) {
		if step, ok := Step(text, &key, source); ok {
			var want [Size]byte
			if Put(&want, &key, step, &source); string(want[:]) != string(text) {
				t.Errorf("%q is good for step %d, whose nonce is %q", text, step, want)
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	var text [Size]byte
	key, source := Key{1, 2}, Source{Lo: 3, Port: 4}
	for b.Loop() {
		Put(&text, &key, 5, &source)
	}
}
