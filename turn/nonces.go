package turn

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"time"

	"tourbillon/timing"
	"tourbillon/turn/nonce"
)

const (
	// nonceLife is how long a nonce is good for (RFC 8489 9.2 leaves it to the server; RFC 5766 4 had one hour).
	nonceLife = time.Hour
	// nonceStep is the period that a nonce is of.
	nonceStep = time.Minute
)

// nonces are those of one process, under a key that dies with it.
type nonces struct{ key nonce.Key }

func newNonces() *nonces {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // It does not fail (crypto/rand).
	return &nonces{nonce.Key{binary.NativeEndian.Uint64(raw[:]), binary.NativeEndian.Uint64(raw[8:])}}
}

func nonceStepAt(now timing.Instant) uint32 { return uint32(int64(now) / int64(nonceStep)) }

// at is the nonce for a client.
func (n *nonces) at(now timing.Instant, client netip.AddrPort) (text [nonce.Size]byte) {
	source := nonce.SourceOf(client)
	nonce.Put(&text, &n.key, nonceStepAt(now), &source)
	return text
}

// good tells whether a nonce is ours, this client's and not out of date.
func (n *nonces) good(text []byte, now timing.Instant, client netip.AddrPort) bool {
	step, ok := nonce.Step(text, &n.key, nonce.SourceOf(client))
	age := nonceStepAt(now) - step // A step of the future has a great age.
	return ok && age <= uint32(nonceLife/nonceStep)
}
