package client

import (
	"errors"
	"fmt"
	"slices"
)

// What ends a room besides a [*Refusal].
var (
	// ErrLeft says that the room was left.
	ErrLeft = errors.New("room left")
	// ErrReplaced says that another connection took the session over. Coming back would take it away from that one.
	ErrReplaced = errors.New("session taken up elsewhere")
	// ErrNotReceived says that more events waited than Options.Waiting.
	ErrNotReceived = errors.New("events were not received in time")
	// ErrOutboxFull says that more waits to be sent than is kept; the message was not taken.
	ErrOutboxFull = errors.New("too much waits for the server to come back")
)

// TooLarge says that a message was not taken, since the server would refuse it for its size: for all of it, which ends the
// connection, or for one field.
type TooLarge struct {
	// Field is what is too large: "sdp", "data", or "message" for all of it.
	Field string
	// Bytes is how large it is as JSON text, but for "sdp", which counts as it is. Limit is the server's.
	Bytes, Limit int
}

// Error says what to do, too.
func (e *TooLarge) Error() string {
	return fmt.Sprintf("%q of %d bytes: send at most %d bytes", e.Field, e.Bytes, e.Limit)
}

// errSilent ends a link on which nothing was heard for too long.
var errSilent = errors.New("the server was silent")

// Refusal is an error of the server, in its own words.
type Refusal struct {
	// Re is the id of the message that was refused, where it had one.
	Re      string `json:"re"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
	// Fatal means that the server closes the connection. The client comes back without the message that is refused.
	Fatal bool `json:"fatal"`
}

// unsaid is the refusal of a server that closed the connection over the size of a message before it read it.
func unsaid() *Refusal {
	return &Refusal{
		Code: codeTooLarge, Message: "a message was larger than the server reads",
		Remedy: "send less in one message", Fatal: true,
	}
}

// Error returns code, message and remedy in one line.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s: %s", r.Code, r.Message, r.Remedy) }

// codeTooLarge is the code of a message over a limit (tourbillon.v1).
const codeTooLarge = "too-large"

// rejoins are the refusals of a resume after which the room is joined anew.
var rejoins = []string{"session-unknown", "session-used", "bad-session", "replay-lost"}

// passing are the refusals of a join that may not be repeated the next time.
var passing = []string{"join-timeout", "slow-consumer", "rate-limited", "draining", "session-used"}

// final reports whether the same would be refused again: on the way in that ends the room, and later, where the server
// closes the connection over a message, the room goes on without that message.
func (r *Refusal) final() bool { return !slices.Contains(passing, r.Code) }
