package signaling

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Code says what an [Error] is about. The package comment lists them all.
type Code string

// The codes of the protocol.
const (
	CodeBadMessage    Code = "bad-message"
	CodeTooLarge      Code = "too-large"
	CodeUnknownType   Code = "unknown-type"
	CodeNotJoined     Code = "not-joined"
	CodeAlreadyJoined Code = "already-joined"
	CodeBadRoom       Code = "bad-room"
	CodeBadToken      Code = "bad-token"
	CodeTokenRequired Code = "token-required"
	CodeRoomFull      Code = "room-full"
	CodeUnknownPeer   Code = "unknown-peer"
	CodeRateLimited   Code = "rate-limited"
	CodeSlowConsumer  Code = "slow-consumer"
	CodeJoinTimeout   Code = "join-timeout"
	CodeTokenFull     Code = "token-full"
	CodeNotAllowed    Code = "not-allowed"
	CodeBadSession    Code = "bad-session"
	CodeSessionUsed   Code = "session-used"
	CodeSessionGone   Code = "session-unknown"
	CodeReplayLost    Code = "replay-lost"
	CodeDraining      Code = "draining"
	CodeCallRefused   Code = "call-refused"
	CodeCallEnded     Code = "call-ended"
)

// Error is a refusal in the words that the client gets to read. It never holds a token, and of the client's own text
// at most [quoteRunes] characters, or [localRunes] where the local peer's words repeat it.
type Error struct {
	// Re is the "id" of the message that is refused, where it had one.
	Re      string `json:"re,omitempty"`
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Remedy says what would be right.
	Remedy string `json:"remedy"`
	// Fatal means that the server closes the connection.
	Fatal bool `json:"fatal"`
}

// Error returns code, message and remedy in one line.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %s", e.Code, e.Message, e.Remedy) }

func errBadMessage(message, remedy string) *Error {
	return &Error{Code: CodeBadMessage, Message: message, Remedy: remedy}
}

// errTooLarge refuses a whole message. It is fatal because RFC 6455 section 7.4.1 (close code 1009) is.
func errTooLarge(size, limit int) *Error {
	return &Error{
		Code:    CodeTooLarge,
		Message: fmt.Sprintf("message of %d bytes", size),
		Remedy:  fmt.Sprintf("send at most %d bytes in one message", limit),
		Fatal:   true,
	}
}

func errFieldTooLarge(field string, size, limit int) *Error {
	return &Error{
		Code:    CodeTooLarge,
		Message: fmt.Sprintf("%q of %d bytes", field, size),
		Remedy:  fmt.Sprintf("send at most %d bytes in %q", limit, field),
	}
}

func errUnknownType(name string) *Error {
	return &Error{
		Code:    CodeUnknownType,
		Message: "no message type " + quote(name),
		Remedy: "send hello, join, resume, update, offer, answer, candidate, restart, message, ice-servers, stats, " +
			"heartbeat, pong or leave",
	}
}

func errNotJoined() *Error {
	return &Error{Code: CodeNotJoined, Message: "no room joined on this connection", Remedy: `send "join" first`}
}

func errAlreadyJoined() *Error {
	return &Error{
		Code:    CodeAlreadyJoined,
		Message: "a room is joined on this connection already",
		Remedy:  "open another connection for another room",
	}
}

func errBadRoom(name string) *Error {
	return &Error{
		Code:    CodeBadRoom,
		Message: "no valid room name: " + quote(name),
		Remedy:  "use 1 to 64 letters (a-z, A-Z), digits, '-', '_' or '.'",
	}
}

func errBadToken(why string) *Error {
	return &Error{Code: CodeBadToken, Message: why, Remedy: "get a fresh token for this room", Fatal: true}
}

func errTokenRequired() *Error {
	return &Error{
		Code:    CodeTokenRequired,
		Message: "rooms of this server are not open",
		Remedy:  `send "join" with a "token" for this room`,
	}
}

func errRoomFull(limit int) *Error {
	return &Error{
		Code:    CodeRoomFull,
		Message: fmt.Sprintf("the room holds its %d peers", limit),
		Remedy:  "join later or join another room",
	}
}

func errUnknownPeer(peer string) *Error {
	return &Error{
		Code:    CodeUnknownPeer,
		Message: "no peer " + quote(peer) + " in this room",
		Remedy:  `address a peer from "joined" or "peer-joined"`,
	}
}

// Advised is an error of the local peer's that says apart what is wrong and what would be right.
type Advised interface {
	error
	Advice() (wrong, remedy string)
}

// errLocal tells what the local peer said, with its own remedy where it is an [Advised].
func errLocal(code Code, err error) *Error {
	said := map[Code]string{
		CodeCallRefused: " does not take this: ", CodeCallEnded: " has ended the call: ", CodeRateLimited: " drops messages: ",
	}[code]
	wrong, remedy := err.Error(), "call again later"
	var advised Advised
	if errors.As(err, &advised) {
		wrong, remedy = advised.Advice()
	}
	return &Error{Code: code, Message: LocalPeerID + said + printable(wrong, localRunes), Remedy: printable(remedy, localRunes)}
}

// localRunes bounds, in characters, what an error repeats of the local peer's words, which may have been a client's.
const localRunes = 240

func errTooFast(perSecond, burst float64) *Error {
	return &Error{
		Code:    CodeRateLimited,
		Message: "message dropped, and so are the next ones until the rate is kept",
		Remedy:  fmt.Sprintf("send at most %g messages a second, %g at once", perSecond, burst),
	}
}

func errReportsTooFast() *Error {
	return &Error{
		Code:    CodeRateLimited,
		Message: "more reports about one path than a connection has states",
		Remedy:  fmt.Sprintf("report at most %d a second, %d at once", reportsPerSecond, reportsBurst),
	}
}

func errRoomTooFast(perSecond float64) *Error {
	return &Error{
		Code:    CodeRateLimited,
		Message: "more is sent to the room than it may carry",
		Remedy:  fmt.Sprintf("keep all messages times receivers to %g a second", perSecond),
	}
}

func errJoinsTooFast(perSecond float64) *Error {
	return &Error{
		Code:    CodeRateLimited,
		Message: "too many joins from this address",
		Remedy:  fmt.Sprintf("join at most %g times a second", perSecond),
	}
}

func errCandidates(limit int) *Error {
	return &Error{
		Code:    CodeRateLimited,
		Message: fmt.Sprintf("more than %d candidates for one peer since the last offer or answer", limit),
		Remedy:  "restart ICE with a new offer",
	}
}

func errSlowConsumer() *Error {
	return &Error{
		Code:    CodeSlowConsumer,
		Message: "too much was waiting to be read",
		Remedy:  "read without pause, then connect again with the session",
		Fatal:   true,
	}
}

func errJoinTimeout() *Error {
	return &Error{
		Code:    CodeJoinTimeout,
		Message: "no room was joined in time",
		Remedy:  `send "join" as soon as the connection is open`,
		Fatal:   true,
	}
}

func errTokenFull(limit int) *Error {
	return &Error{
		Code:    CodeTokenFull,
		Message: fmt.Sprintf("the token serves its %d peers", limit),
		Remedy:  "get a token of your own, or wait until a peer leaves",
	}
}

func errNotAllowed(wanted Capabilities) *Error {
	return &Error{
		Code:    CodeNotAllowed,
		Message: fmt.Sprintf("the token does not allow %q", wanted),
		Remedy:  fmt.Sprintf(`join with a token whose "can" lists %q`, wanted),
	}
}

func errBadSession() *Error {
	return &Error{
		Code:    CodeBadSession,
		Message: "the session is none of this server, or has expired",
		Remedy:  `send "join" with a token`,
	}
}

func errSessionUsed() *Error {
	return &Error{
		Code:    CodeSessionUsed,
		Message: "the session was resumed before",
		Remedy:  `use the session of the latest "joined" or "resumed", or send "join" with a token`,
	}
}

func errSessionGone() *Error {
	return &Error{
		Code:    CodeSessionGone,
		Message: "no seat is kept for the session",
		Remedy:  `send "join" with the session`,
	}
}

func errReplayLost() *Error {
	return &Error{
		Code:    CodeReplayLost,
		Message: "more was missed than is kept",
		Remedy:  `send "join" with the session`,
	}
}

func errDraining() *Error {
	return &Error{Code: CodeDraining, Message: "the server is stopping", Remedy: `come back as "bye" says`}
}

// quoteRunes bounds, in characters, what an error repeats of a client's own text.
const quoteRunes = 64

// quote puts foreign text between quotation marks, shortened and with everything unprintable replaced, so that it can
// stand in an error or a log line.
func quote(s string) string {
	return `"` + printable(s, quoteRunes) + `"`
}

// printable returns at most n characters of s, with everything unprintable replaced.
func printable(s string, n int) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, clip(s, n))
}

// clip returns at most n runes of s.
func clip(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
