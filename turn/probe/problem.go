package probe

import (
	"fmt"
	"time"

	"github.com/pion/stun/v4"
)

// Codes of problems, stable for machines.
const (
	CodeResolve     = "resolve"
	CodeConnect     = "connect"
	CodeRefused     = "refused"
	CodeNoAnswer    = "no-answer"
	CodeMalformed   = "malformed"
	CodeNotSTUN     = "not-stun"
	CodeClosed      = "closed"
	CodeInterrupted = "interrupted"
	CodeAddress     = "address"
	CodeCertificate = "certificate"
	CodeNoTLS       = "no-tls"
	CodeNoUser      = "credentials-wanted"
	CodeWrongUser   = "wrong-credentials"
	CodeExpired     = "credentials-expired"
	CodeNonceLoop   = "nonce-loop"
	CodeIntegrity   = "integrity"
	CodeUnsigned    = "unsigned"
	CodeForbidden   = "forbidden"
	CodeQuota       = "quota"
	CodeCapacity    = "capacity"
	CodeUnsupported = "unsupported"
	CodeFamily      = "address-family"
	CodeAlternate   = "try-alternate"
	CodeErrorAnswer = "error-answer"
	CodeOpenRelay   = "open-relay"
	CodePeerDenied  = "peer-denied"
	CodeNoEcho      = "no-echo"
	CodeLoss        = "loss"
	CodeLossLimit   = "loss-over-limit"
)

// Problem is something wrong with a server, in words.
type Problem struct {
	// Step is where it showed, Code what it is for machines.
	Step string `json:"step"`
	Code string `json:"code"`
	// What is what was seen, Remedy what to do about it.
	What   string `json:"what"`
	Remedy string `json:"remedy"`
	// Fatal tells that the server counts as failed. What is not fatal is worth knowing.
	Fatal bool `json:"fatal"`

	refusal stun.ErrorCode // What the server answered; 0 where it did not refuse.
}

// stops tells whether nothing that builds on a step can follow it: it failed, or was interrupted.
func (p *Problem) stops() bool { return p != nil && (p.Fatal || p.Code == CodeInterrupted) }

func (p *Problem) Error() string { return p.What + ": " + p.Remedy }

func fatal(step, code, what, remedy string) *Problem {
	return &Problem{Step: step, Code: code, What: what, Remedy: remedy, Fatal: true}
}

// remark is a problem that does not fail the server.
func remark(step, code, what, remedy string) *Problem {
	return &Problem{Step: step, Code: code, What: what, Remedy: remedy}
}

// interrupted is the end of the caller's context. It says nothing about the server.
func interrupted(step, what string) *Problem {
	return remark(step, CodeInterrupted, what, "run it again")
}

func noAnswer(step string, t Target, after time.Duration, requests int) *Problem {
	return fatal(step, CodeNoAnswer, fmt.Sprintf("no answer to %s within %v", count(requests, "request"), after.Round(time.Millisecond)),
		fmt.Sprintf("see that the server runs and that a firewall lets %s to %s pass, both ways", t.network(), t.Address()))
}

// count is a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (t Target) network() string {
	if t.Transport == UDP {
		return "UDP"
	}
	return "TCP"
}

// refused puts a server's error answer into words; alternate is the server that it names instead.
func refused(step string, code stun.ErrorCodeAttribute, alternate string) *Problem {
	problem := refusedFor(step, code, alternate)
	problem.refusal = code.Code
	return problem
}

func refusedFor(step string, code stun.ErrorCodeAttribute, alternate string) *Problem {
	what := "the server answered " + codeText(code)
	switch code.Code {
	case stun.CodeTryAlternate:
		return fatal(step, CodeAlternate, what+", and names "+alternate, "probe that server")
	case stun.CodeForbidden:
		return fatal(step, CodeForbidden, what, "its policy denies this client or peer: see its allowed and denied addresses")
	case stun.CodeAllocQuotaReached:
		return fatal(step, CodeQuota, what, "this user has as many allocations as it may: wait until they expire, or raise the quota")
	case stun.CodeInsufficientCapacity:
		return fatal(step, CodeCapacity, what, "the server has no relay port left: widen its range of ports")
	case stun.CodeUnsupportedTransProto, stun.CodeAddrFamilyNotSupported, stun.CodePeerAddrFamilyMismatch:
		return fatal(step, CodeUnsupported, what, "the server does not relay this transport or address family: see its relay addresses")
	case stun.CodeUnknownAttribute:
		return fatal(step, CodeUnsupported, what, "the server does not know an attribute that RFC 8656 requires: see whether it is a TURN server")
	}
	return fatal(step, CodeErrorAnswer, what, "see the server's log for the reason")
}
