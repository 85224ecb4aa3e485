package turn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync/atomic"
	"time"

	"tourbillon/timing"
)

const (
	// nonceLife is how long a nonce is good for (RFC 8489 9.2 leaves it to the server; RFC 5766 4 had one hour).
	nonceLife = time.Hour
	// nonceStep is how long the same nonce is given to everybody.
	nonceStep = time.Minute
	// nonceProofBytes is how much of the HMAC a nonce carries.
	nonceProofBytes = 12
	nonceBytes      = 4 + nonceProofBytes
)

// nonces makes nonces that hold their own proof, so that a challenge leaves no state behind (RFC 8489 9.2: a nonce is
// chosen so that it cannot be guessed): the number of a minute of the process's clock and an HMAC of that under a key
// that dies with the process. It is safe for concurrent use.
type nonces struct {
	key    [32]byte
	latest atomic.Pointer[nonce]
}

type nonce struct {
	step uint32
	text []byte
}

func newNonces() *nonces {
	n := &nonces{}
	_, _ = rand.Read(n.key[:]) // It does not fail (crypto/rand).
	return n
}

func nonceStepAt(now timing.Instant) uint32 { return uint32(int64(now) / int64(nonceStep)) }

// at is the nonce to give out.
func (n *nonces) at(now timing.Instant) []byte {
	step := nonceStepAt(now)
	latest := n.latest.Load()
	if latest == nil || latest.step != step {
		latest = &nonce{step: step, text: n.sign(step)}
		n.latest.Store(latest)
	}
	return latest.text
}

func (n *nonces) sign(step uint32) []byte {
	raw := binary.BigEndian.AppendUint32(make([]byte, 0, 4+sha256.Size), step)
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(raw)
	return base64.RawURLEncoding.AppendEncode(nil, mac.Sum(raw)[:nonceBytes])
}

// good tells whether a nonce is ours and not out of date.
func (n *nonces) good(text []byte, now timing.Instant) bool {
	var raw [nonceBytes]byte
	if base64.RawURLEncoding.DecodedLen(len(text)) != nonceBytes {
		return false
	}
	if _, err := base64.RawURLEncoding.Decode(raw[:], text); err != nil {
		return false
	}
	step := binary.BigEndian.Uint32(raw[:])
	if age := nonceStepAt(now) - step; age > uint32(nonceLife/nonceStep) { // A step of the future has a great age.
		return false
	}
	if latest := n.latest.Load(); latest != nil && latest.step == step {
		return hmac.Equal(text, latest.text)
	}
	return hmac.Equal(text, n.sign(step))
}
