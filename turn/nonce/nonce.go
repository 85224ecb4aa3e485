// Package nonce makes and checks the nonces of TURN's challenges (RFC 8489 9.2). A nonce holds its own proof, so that a
// challenge leaves no state behind: the number of a period, and a keyed hash of that and of the client's address and port,
// for which alone it is good (9.2.4: no two sources have the same). So who sends from an address that is not his never
// gets a nonce for it, and authenticates nothing from there.
//
// The loops of turn/relay make nonces without a Go processor. That forbids what allocates, grows the stack or is
// instrumented, as every keyed hash of the standard library does, hence SipHash-2-4 here.
package nonce

import (
	"crypto/subtle"
	"math/bits"
	"net/netip"
)

// Key is a secret of the process. The zero Key proves nothing.
type Key [2]uint64

// Size is the length of a nonce, which is of hexadecimal digits.
const Size = stepDigits + proofDigits

const (
	stepDigits  = 8
	proofDigits = 16
)

// Source is an IP address, IPv4 in its mapped form, and port, as numbers.
type Source struct {
	Hi, Lo uint64
	Port   uint16
}

// SourceOf is the Source of an address without zone.
func SourceOf(at netip.AddrPort) Source {
	raw := at.Addr().As16()
	var s Source
	for i := range 8 {
		s.Hi, s.Lo = s.Hi<<8|uint64(raw[i]), s.Lo<<8|uint64(raw[8+i])
	}
	s.Port = at.Port()
	return s
}

// Put writes the nonce of a period for a source.
//
//go:nosplit
//go:norace
//go:nocheckptr
func Put(to *[Size]byte, k *Key, step uint32, of *Source) {
	proof := sip(k, uint64(step)|uint64(of.Port)<<32, of.Hi, of.Lo)
	for i := uint(0); i < stepDigits; i++ {
		to[i] = digits[step>>(28-4*i)&15]
	}
	for i := uint(0); i < proofDigits; i++ {
		to[stepDigits+i] = digits[proof>>(60-4*i)&15]
	}
}

var digits = [16]byte{'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'}

// Step returns the period of a nonce that is good for a source; ok is false for one that is not ours or another's. It
// takes as long for a wrong proof as for a right one.
func Step(text []byte, k *Key, of Source) (step uint32, ok bool) {
	if len(text) != Size {
		return 0, false
	}
	for _, c := range text[:stepDigits] {
		step = step<<4 | uint32(value(c))
	}
	var want [Size]byte
	Put(&want, k, step, &of)
	return step, subtle.ConstantTimeCompare(text, want[:]) == 1
}

// value is that of a digit; what is none gives a number whose nonce is not the text.
func value(c byte) byte {
	if c >= 'a' {
		return (c - 'a' + 10) & 15
	}
	return c & 15
}

// sip is SipHash-2-4 of three words (Aumasson and Bernstein, 2012).
//
//go:nosplit
//go:norace
//go:nocheckptr
func sip(k *Key, a, b, c uint64) uint64 {
	const length = 24
	s := [4]uint64{k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d, k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573}
	absorb(&s, a)
	absorb(&s, b)
	absorb(&s, c)
	absorb(&s, length<<56)
	s[2] ^= 0xff
	for i := 0; i < 4; i++ {
		round(&s)
	}
	return s[0] ^ s[1] ^ s[2] ^ s[3]
}

//go:nosplit
//go:norace
//go:nocheckptr
func absorb(s *[4]uint64, word uint64) {
	s[3] ^= word
	round(s)
	round(s)
	s[0] ^= word
}

//go:nosplit
//go:norace
//go:nocheckptr
func round(s *[4]uint64) {
	s[0] += s[1]
	s[1] = bits.RotateLeft64(s[1], 13) ^ s[0]
	s[0] = bits.RotateLeft64(s[0], 32)
	s[2] += s[3]
	s[3] = bits.RotateLeft64(s[3], 16) ^ s[2]
	s[0] += s[3]
	s[3] = bits.RotateLeft64(s[3], 21) ^ s[0]
	s[2] += s[1]
	s[1] = bits.RotateLeft64(s[1], 17) ^ s[2]
	s[2] = bits.RotateLeft64(s[2], 32)
}
