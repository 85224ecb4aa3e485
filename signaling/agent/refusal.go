package agent

import (
	"errors"
	"fmt"
	"strings"
)

// What a caller is refused for, or its call ended.
var (
	// ErrBusy says that there are as many calls as there may be.
	ErrBusy = errors.New("as many calls as there may be")
	// ErrBadOffer says that an offer is too large, cannot be read or lacks something.
	ErrBadOffer = errors.New("bad offer")
	// ErrBadCandidate says that a candidate is too long or cannot be read.
	ErrBadCandidate = errors.New("bad candidate")
	// ErrNoCall says that a message belongs to no call, which an offer begins, or that the offer's ended before it was taken.
	ErrNoCall = errors.New("no call")
	// ErrTooMany says that a call has had all the candidates or messages that it may have.
	ErrTooMany = errors.New("too many candidates or messages")
	// ErrStopped says that the answerer is closed.
	ErrStopped = errors.New("stopped")
	// ErrBound says that a call has reached one of its [Limits].
	ErrBound = errors.New("a bound of the call is reached")
	// ErrNoRoute says that no restart of ICE worked.
	ErrNoRoute = errors.New("no route")
	// ErrFault says that the fault is ours.
	ErrFault = errors.New("a fault of the appliance")
)

// remedies are what would be right, where the error itself does not say it.
var remedies = []struct {
	kind   error
	remedy string
}{
	{ErrBusy, "call again when others have hung up; who operates the server sets agents.calls"},
	{ErrBadOffer, "send the peer connection's own offer, with a data channel"},
	{ErrBadCandidate, "send RTCIceCandidate.candidate as it is"},
	{ErrNoCall, "begin with an offer"},
	{ErrTooMany, "gather from fewer interfaces and servers, or make an offer with an ICE restart"},
	{ErrStopped, "call again when the server is back"},
	{ErrBound, "call again"},
	{ErrNoRoute, "call again; where UDP is blocked, who operates the server sets agents.tcp"},
	{ErrFault, "call again; the server's log says more"},
}

// CallError is why an offer or a candidate is refused, a message dropped, or a call ended. Of the caller's own text it
// holds at most what pion repeats of it.
type CallError struct {
	// Kind is one of the errors of this package.
	Kind error
	// Wrong says what is wrong, Remedy what would be right; with it the configuration key for who operates the server.
	Wrong, Remedy string
}

func (e *CallError) Error() string {
	wrong, remedy := e.Advice()
	return wrong + ": " + remedy
}

// Unwrap returns the kind.
func (e *CallError) Unwrap() error { return e.Kind }

// Advice returns what is wrong and, apart from it, what would be right.
func (e *CallError) Advice() (wrong, remedy string) {
	if e.Wrong == "" {
		return e.Kind.Error(), e.Remedy
	}
	return e.Kind.Error() + ": " + e.Wrong, e.Remedy
}

func badOffer(remedy, wrong string, args ...any) error {
	return &CallError{Kind: ErrBadOffer, Wrong: fmt.Sprintf(wrong, args...), Remedy: remedy}
}

// reached says that a call has reached a bound, which a configuration key sets.
func reached(key, wrong string, args ...any) *CallError {
	return &CallError{Kind: ErrBound, Wrong: fmt.Sprintf(wrong, args...), Remedy: "call again; who operates the server sets " + key}
}

// advised gives an error the remedy of its kind, where it has none of its own.
func advised(err error) *CallError {
	var known *CallError
	if errors.As(err, &known) {
		return known
	}
	for _, r := range remedies {
		if errors.Is(err, r.kind) {
			wrong := strings.TrimSuffix(strings.TrimSuffix(err.Error(), r.kind.Error()), ": ") // The kind is said before it.
			return &CallError{Kind: r.kind, Wrong: wrong, Remedy: r.remedy}
		}
	}
	return &CallError{Kind: ErrFault, Wrong: err.Error(), Remedy: remedyOf(ErrFault)}
}

func remedyOf(kind error) string {
	for _, r := range remedies {
		if r.kind == kind {
			return r.remedy
		}
	}
	return "call again"
}
