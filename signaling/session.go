package signaling

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// session is the proof that a client holds a seat: signed, so that a restarted server with the same key honours it
// without having stored anything, and nobody can make one up.
type session struct {
	room, peer string
	// generation counts the connections of the seat: each session serves one of them.
	generation uint64
	// token is the token of the first join, by which seats are counted; 0 for none.
	token tokenID
	// can is what that token allowed.
	can     Capabilities
	expires time.Time
}

// sessionFields is the number of parts in a session's text.
const sessionFields = 6

// sign returns the session's text: its fields, and their HMAC-SHA256.
func (s session) sign(key []byte) string {
	fields := fmt.Sprintf("%s|%s|%d|%x|%d|%d", s.room, s.peer, s.generation, uint64(s.token), s.can, s.expires.Unix())
	return base64.RawURLEncoding.EncodeToString([]byte(fields)) + "." +
		base64.RawURLEncoding.EncodeToString(sessionMAC(key, fields))
}

// parseSession returns the session of a text that was signed with the key and has not expired.
func parseSession(key []byte, text string, now time.Time) (session, bool) {
	encoded, proof, _ := strings.Cut(text, ".")
	fields, fieldsErr := base64.RawURLEncoding.Strict().DecodeString(encoded)
	mac, proofErr := base64.RawURLEncoding.Strict().DecodeString(proof)
	if fieldsErr != nil || proofErr != nil || !hmac.Equal(mac, sessionMAC(key, string(fields))) {
		return session{}, false
	}
	s, ok := readSession(strings.Split(string(fields), "|"))
	return s, ok && now.Before(s.expires)
}

// readSession reads fields that are ours; no name of a room or peer holds the separator.
func readSession(fields []string) (session, bool) {
	if len(fields) != sessionFields {
		return session{}, false
	}
	generation, err1 := strconv.ParseUint(fields[2], 10, 64)
	token, err2 := strconv.ParseUint(fields[3], 16, 64)
	can, err3 := strconv.ParseUint(fields[4], 10, 8)
	expires, err4 := strconv.ParseInt(fields[5], 10, 64)
	return session{
		room: fields[0], peer: fields[1], generation: generation, token: tokenID(token),
		can: Capabilities(can), expires: time.Unix(expires, 0),
	}, err1 == nil && err2 == nil && err3 == nil && err4 == nil
}

func sessionMAC(key []byte, fields string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("tourbillon session v2\x00" + fields))
	return mac.Sum(nil)
}
