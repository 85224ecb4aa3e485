package probe

import (
	"fmt"
	"time"

	"github.com/pion/stun/v4"
)

// maxStale is how often a server may call its own nonce stale within one request.
const maxStale = 2

// login is the long-term credential mechanism of RFC 8489 section 9.2 as a client runs it. It is pure: it is told each
// answer and says what follows. Its owner serialises calls.
type login struct {
	user, password string
	// expires is when a user name with a date in it stops being good; zero where it has none.
	expires time.Time

	realm  stun.Realm
	nonce  stun.Nonce
	key    stun.MessageIntegrity
	stale  int  // Consecutive answers that called the nonce stale.
	proven bool // A request signed with these credentials has succeeded.
}

// decision is what follows from an answer.
type decision int

const (
	accepted decision = iota
	again             // Send the request once more, signed anew.
	rejected
)

// setters completes a request: with credentials as soon as the server has said for which realm.
func (l *login) setters(method stun.Method, attributes []stun.Setter) []stun.Setter {
	all := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attributes...)
	if l.signs() {
		all = append(all, stun.NewUsername(l.user), l.realm, l.nonce, l.key)
	}
	return append(all, stun.Fingerprint)
}

func (l *login) signs() bool { return len(l.nonce) > 0 }

// judge takes the answer to a request that setters completed.
func (l *login) judge(step string, m *stun.Message, now time.Time) (decision, *Problem) {
	if m.Type.Class == stun.ClassSuccessResponse {
		return l.succeeded(step, m)
	}
	var code stun.ErrorCodeAttribute
	if err := code.GetFrom(m); err != nil {
		return rejected, fatal(step, CodeMalformed, "an error answer without an error code", "see whether this is a STUN server at all")
	}
	switch code.Code {
	case stun.CodeUnauthorized:
		if !l.signs() {
			return l.challenged(step, m)
		}
	case stun.CodeStaleNonce:
		if l.stale++; l.stale > maxStale {
			return rejected, fatal(step, CodeNonceLoop, fmt.Sprintf("the server called its own fresh nonce stale %d times (438)", l.stale),
				"see whether several servers with unlike secrets share this address")
		}
		return l.challenged(step, m)
	case stun.CodeBadRequest, stun.CodeWrongCredentials:
	default:
		return rejected, refused(step, code, alternate(m))
	}
	return rejected, l.unwelcome(step, code, now)
}

func (l *login) succeeded(step string, m *stun.Message) (decision, *Problem) {
	l.stale = 0
	if !l.signs() {
		return accepted, nil
	}
	if !m.Contains(stun.AttrMessageIntegrity) {
		return accepted, remark(step, CodeUnsigned, "the server does not sign its answers", "clients may refuse them (RFC 8489 9.2.5): update the server")
	}
	if err := l.key.Check(m); err != nil {
		return rejected, fatal(step, CodeIntegrity, "the answer is signed with another key", "see whether somebody between here and the server changes packets")
	}
	l.proven = true
	return accepted, nil
}

// challenged takes the realm and the nonce of an answer.
func (l *login) challenged(step string, m *stun.Message) (decision, *Problem) {
	var realm stun.Realm
	var nonce stun.Nonce
	if realm.GetFrom(m) != nil || nonce.GetFrom(m) != nil || len(nonce) == 0 {
		return rejected, fatal(step, CodeMalformed, "a challenge without realm or nonce", "see whether this is a TURN server with long-term credentials")
	}
	if l.user == "" {
		return rejected, fatal(step, CodeNoUser, fmt.Sprintf("the server wants credentials for the realm %q", printable(realm)),
			"give --user with --password-file, or --secret-file (the environment may hold them too: TOURBILLON_TURN_PASSWORD, TOURBILLON_TURN_SECRET)")
	}
	// The message's memory is reused.
	l.realm, l.nonce = append(stun.Realm(nil), realm...), append(stun.Nonce(nil), nonce...)
	l.key = stun.NewLongTermIntegrity(l.user, l.realm.String(), l.password)
	return again, nil
}

// unwelcome says why signed requests are refused: 401 is RFC 8489's answer to a wrong user or password, 441 that to
// another user than the allocation's, and 400 what pion's server says instead of 401.
func (l *login) unwelcome(step string, code stun.ErrorCodeAttribute, now time.Time) *Problem {
	what := "the server answered " + codeText(code)
	switch {
	case !l.signs() || l.proven && code.Code == stun.CodeBadRequest:
		return refused(step, code, "")
	case !l.expires.IsZero() && now.After(l.expires):
		return fatal(step, CodeExpired, fmt.Sprintf("%s, and the user name expired at %s", what, l.expires.UTC().Format(time.RFC3339)),
			"get fresh credentials; if they are fresh, set the clock of the machine that issued them")
	case l.proven:
		return fatal(step, CodeWrongUser, what+" to credentials that it took a moment ago", "see whether its secret is being changed, or several servers share this address")
	}
	return fatal(step, CodeWrongUser, what+" to these credentials",
		"see that user and password, or the shared secret, are the server's own, and for a user name with a time in it that the server's clock is right")
}
