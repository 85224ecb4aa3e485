package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// told builds a server's answer to a request.
func told(t *testing.T, class stun.MessageClass, setters ...stun.Setter) *stun.Message {
	t.Helper()
	all := append([]stun.Setter{stun.TransactionID, stun.NewType(stun.MethodAllocate, class)}, setters...)
	return stun.MustBuild(all...)
}

func challenge(t *testing.T, code stun.ErrorCode, nonce string) *stun.Message {
	t.Helper()
	return told(t, stun.ClassErrorResponse, code, stun.NewRealm("r"), stun.NewNonce(nonce))
}

// TestLogin walks each way through the authentication, as a list of answers.
func TestLogin(t *testing.T) {
	key := stun.NewLongTermIntegrity("u", "r", "p")
	fail := func(code stun.ErrorCode) *stun.Message {
		return told(t, stun.ClassErrorResponse, stun.ErrorCodeAttribute{Code: code})
	}
	good := told(t, stun.ClassSuccessResponse, key)
	first := challenge(t, stun.CodeUnauthorized, "n1")
	stale := challenge(t, stun.CodeStaleNonce, "n2")
	for name, c := range map[string]struct {
		answers []*stun.Message
		last    decision
		code    string
	}{
		"good":            {[]*stun.Message{first, good}, accepted, ""},
		"stale once":      {[]*stun.Message{first, stale, good}, accepted, ""},
		"stale for ever":  {[]*stun.Message{first, stale, stale, stale}, rejected, CodeNonceLoop},
		"wrong password":  {[]*stun.Message{first, first}, rejected, CodeWrongUser},
		"wrong, as pion":  {[]*stun.Message{first, fail(400)}, rejected, CodeWrongUser},
		"other user":      {[]*stun.Message{first, fail(441)}, rejected, CodeWrongUser},
		"turned":          {[]*stun.Message{first, good, first}, rejected, CodeWrongUser},
		"bad after good":  {[]*stun.Message{first, good, fail(400)}, rejected, CodeErrorAnswer},
		"not signed":      {[]*stun.Message{first, told(t, stun.ClassSuccessResponse)}, accepted, CodeUnsigned},
		"signed by other": {[]*stun.Message{first, told(t, stun.ClassSuccessResponse, stun.NewLongTermIntegrity("u", "r", "q"))}, rejected, CodeIntegrity},
		"open relay":      {[]*stun.Message{told(t, stun.ClassSuccessResponse)}, accepted, ""},
		"no nonce":        {[]*stun.Message{told(t, stun.ClassErrorResponse, stun.CodeUnauthorized, stun.NewRealm("r"))}, rejected, CodeMalformed},
		"no code":         {[]*stun.Message{told(t, stun.ClassErrorResponse)}, rejected, CodeMalformed},
		"quota":           {[]*stun.Message{first, fail(486)}, rejected, CodeQuota},
		"no ports":        {[]*stun.Message{first, fail(508)}, rejected, CodeCapacity},
		"forbidden":       {[]*stun.Message{fail(403)}, rejected, CodeForbidden},
		"no family":       {[]*stun.Message{first, fail(440)}, rejected, CodeUnsupported},
		"elsewhere":       {[]*stun.Message{fail(300)}, rejected, CodeAlternate},
		"other error":     {[]*stun.Message{fail(500)}, rejected, CodeErrorAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			l := &login{user: "u", password: "p"}
			for i, m := range c.answers {
				next, problem := l.judge("s", m, time.Unix(0, 0))
				if i < len(c.answers)-1 {
					if next == rejected || problem != nil {
						t.Fatalf("answer %d: %v, %v", i, next, problem)
					}
					continue
				}
				if next != c.last || (problem == nil) != (c.code == "") || problem != nil && (problem.Code != c.code || problem.Remedy == "") {
					t.Errorf("%v, %+v, want %v with %q", next, problem, c.last, c.code)
				}
			}
		})
	}
}

func TestLoginWithoutCredentials(t *testing.T) {
	_, problem := (&login{}).judge("s", challenge(t, stun.CodeUnauthorized, "n"), time.Unix(0, 0))
	if problem == nil || problem.Code != CodeNoUser || !strings.Contains(problem.Remedy, "--password-file") || strings.Contains(problem.Remedy+" ", "--secret ") {
		t.Errorf("%+v", problem)
	}
}

func TestLoginExpired(t *testing.T) {
	l := &login{user: "1000:u", password: "p", expires: time.Unix(1000, 0)}
	for _, c := range []struct {
		now  int64
		code string
	}{{999, CodeWrongUser}, {1001, CodeExpired}} {
		l.nonce = nil
		if next, _ := l.judge("s", challenge(t, stun.CodeUnauthorized, "n"), time.Unix(c.now, 0)); next != again {
			t.Fatal("not challenged")
		}
		if _, problem := l.judge("s", challenge(t, stun.CodeUnauthorized, "n"), time.Unix(c.now, 0)); problem == nil || problem.Code != c.code {
			t.Errorf("at %d: %+v, want %s", c.now, problem, c.code)
		}
	}
}
