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

// errSilent ends a link on which nothing was heard for too long.
var errSilent = errors.New("the server was silent")

// Refusal is an error of the server, in its own words.
type Refusal struct {
	// Re is the id of the message that was refused, where it had one.
	Re      string `json:"re"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
	// Fatal means that the server closes the connection.
	Fatal bool `json:"fatal"`
}

// Error returns code, message and remedy in one line.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s: %s", r.Code, r.Message, r.Remedy) }

// rejoins are the refusals of a resume after which the room is joined anew.
var rejoins = []string{"session-unknown", "session-used", "bad-session", "replay-lost"}

// passing are the refusals of a join that may not be repeated the next time.
var passing = []string{"join-timeout", "slow-consumer", "rate-limited", "draining", "session-used"}

// final reports whether a refusal on the way in, or a fatal one, ends the room.
func (r *Refusal) final() bool { return !slices.Contains(passing, r.Code) }
