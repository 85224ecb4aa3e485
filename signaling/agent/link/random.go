package link

import (
	"crypto/rand"
	"encoding/binary"

	"tourbillon/signaling/agent/consent"
)

// secret draws from the system's generator, so that neither instants nor transactions can be guessed.
type secret struct{}

func (secret) Uniform() float64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // Never fails (crypto/rand).
	return float64(binary.BigEndian.Uint64(b[:])>>11) / (1 << 53)
}

func (secret) Transaction() (id consent.TransactionID) {
	_, _ = rand.Read(id[:])
	return id
}
