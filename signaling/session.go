package signaling

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// newSession returns the proof that a peer of a room held an id. It is an HMAC-SHA256 over both, so that a restarted
// server with the same key honours it without having stored anything.
func newSession(key []byte, room, peer string) string {
	return peer + "." + base64.RawURLEncoding.EncodeToString(sessionMAC(key, room, peer))
}

// sessionPeer returns the peer id that a session proves for a room.
func sessionPeer(key []byte, room, session string) (peer string, ok bool) {
	peer, proof, _ := strings.Cut(session, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(proof)
	if err != nil || !hmac.Equal(mac, sessionMAC(key, room, peer)) {
		return "", false
	}
	return peer, true
}

// sessionMAC separates its parts by a byte that neither holds, so that no two pairs run together.
func sessionMAC(key []byte, room, peer string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("tourbillon session v1\x00" + room + "\x00" + peer))
	return mac.Sum(nil)
}
