package signaling

import (
	"crypto/rand"
	"encoding/base32"
	"regexp"
	"strings"
	"unicode"
)

// peerEncoding is Crockford's base32 in small letters: no letter that is taken for a digit when read aloud.
var peerEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newPeerID returns 16 characters, 80 random bits: no server sees two equal ones, so a room need not look.
func newPeerID() string {
	var id [10]byte
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails; it ends the program instead.
	return peerEncoding.EncodeToString(id[:])
}

var roomName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func validRoom(name string) bool { return roomName.MatchString(name) }

// maxNameRunes bounds the name that a peer shows to the others, in characters.
const maxNameRunes = 64

// cleanName makes a peer's name fit to show: no control or invisible formatting characters, which could turn the
// direction of the text around it, no space at the ends, at most maxNameRunes.
func cleanName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, clip(name, 4*maxNameRunes))
	return clip(strings.TrimSpace(name), maxNameRunes)
}
