package probe

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// requestedUDP is REQUESTED-TRANSPORT's value for UDP (RFC 8656 section 18.8), familyIPv6 REQUESTED-ADDRESS-FAMILY's for
// IPv6 (section 18.7).
const (
	requestedUDP = 17
	familyIPv6   = 2
)

// maxRounds bounds how often one request is sent anew with what the server said: the challenge, and stale nonces.
const maxRounds = 2 + maxStale

// client is one allocation and the link that holds it. The goroutine of the visit owns it.
type client struct {
	v     *visit
	link  *link
	login *login
	// timeout bounds each transaction.
	timeout time.Duration
	relayed netip.AddrPort
	// otherFamily tells that the server is reached over IPv6 and refused to relay it.
	otherFamily bool
	// abandoned tells that the last request left signed, and that its answer did not come or was not waited for.
	abandoned bool
	said      []string // What the server said while authenticating.
}

func (v *visit) client(l *link, login *login) *client {
	return &client{v: v, link: l, login: login, timeout: v.o.Timeout}
}

// request sends a request and answers challenges. It returns how many requests were sent.
func (c *client) request(ctx context.Context, step string, method stun.Method, attributes ...stun.Setter) (m *stun.Message, requests int, problem *Problem) {
	x := c.v.exchanger(step, c.link)
	x.timeout = c.timeout
	for range maxRounds {
		ask, err := stun.Build(c.login.setters(method, attributes)...)
		if err != nil {
			return nil, requests, fatal(step, CodeWrongUser, "the request cannot be built: "+err.Error(), "shorten user name or password")
		}
		got, problem := x.exchange(ctx, ask)
		requests += got.requests
		if problem != nil {
			c.abandoned = got.requests > 0 && c.login.signs()
			return nil, requests, problem
		}
		next, problem := c.login.judge(step, got.m, c.v.o.Wall())
		c.said = append(c.said, fmt.Sprintf("%v: %s", method, saying(got.m)))
		switch next {
		case accepted:
			return got.m, requests, problem
		case rejected:
			return nil, requests, problem
		}
	}
	return nil, requests, fatal(step, CodeNonceLoop, "the server challenges every request anew", "see whether several servers with unlike secrets share this address")
}

// saying is an answer in a few words.
func saying(m *stun.Message) string {
	if m.Type.Class == stun.ClassSuccessResponse {
		return "success"
	}
	var code stun.ErrorCodeAttribute
	_ = code.GetFrom(m) // Without one the code is 0.
	text := codeText(code)
	var realm stun.Realm
	if realm.GetFrom(m) == nil {
		text += fmt.Sprintf(", realm %q", printable(realm))
	}
	return text
}

// allocate asks for a relayed address. What a request without an answer may have brought about is given back: nothing else
// would, over UDP, before the allocation expires.
func (c *client) allocate(ctx context.Context, step string) (m *stun.Message, requests int, problem *Problem) {
	m, requests, problem = c.requestAllocation(ctx, step)
	if c.abandoned && !c.link.stream() {
		c.timeout = min(c.timeout, farewell)
		more, _ := c.release(ctx) // Refused where there is none, and lost where nobody answers.
		requests += more
	}
	return m, requests, problem
}

// requestAllocation asks for a relayed address of the family that the server is reached over, or else for the one that every
// server has: without REQUESTED-ADDRESS-FAMILY a relay is to be of IPv4 (RFC 8656 section 7.1).
func (c *client) requestAllocation(ctx context.Context, step string) (m *stun.Message, requests int, problem *Problem) {
	transport := raw(stun.AttrRequestedTransport, requestedUDP, 0, 0, 0)
	if c.link.local.Addr().Is6() {
		m, requests, problem = c.request(ctx, step, stun.MethodAllocate, transport, raw(stun.AttrRequestedAddressFamily, familyIPv6, 0, 0, 0))
		c.otherFamily = problem != nil && problem.refusal == stun.CodeAddrFamilyNotSupported
	}
	if !c.link.local.Addr().Is6() || c.otherFamily {
		var more int
		m, more, problem = c.request(ctx, step, stun.MethodAllocate, transport)
		requests += more
	}
	if m == nil {
		return nil, requests, problem
	}
	if c.relayed = xorAddress(m, stun.AttrXORRelayedAddress); !c.relayed.IsValid() {
		return m, requests, fatal(step, CodeMalformed, "an allocation without a relayed address", "see whether this is a TURN server at all")
	}
	return m, requests, problem
}

// farewell is how long the server has to take an allocation back, after an interruption or where it was silent.
const farewell = time.Second

// release gives an allocation back, so that it does not count against the user until it expires. It does so after an
// interruption too.
func (c *client) release(ctx context.Context) (requests int, problem *Problem) {
	if ctx.Err() != nil {
		ctx, c.timeout = context.WithoutCancel(ctx), min(c.timeout, farewell)
	}
	_, requests, problem = c.request(ctx, stepRelease, stun.MethodRefresh, raw(stun.AttrLifetime, 0, 0, 0, 0))
	return requests, problem
}

// relay takes the steps that need credentials.
func (v *visit) relay(ctx context.Context) {
	c := v.client(v.link, v.login)
	if !v.allocated(ctx, c) {
		return
	}
	v.echo(ctx, c)
	v.step(stepRelease, func() (string, int, *Problem) {
		requests, problem := c.release(ctx)
		if problem != nil {
			problem.Fatal = false
			return "", requests, problem
		}
		return "the allocation is given back", requests, problem
	})
}

func (v *visit) allocated(ctx context.Context, c *client) bool {
	return v.step(stepAllocate, func() (string, int, *Problem) {
		m, requests, problem := c.allocate(ctx, stepAllocate)
		if m == nil || !c.relayed.IsValid() {
			return "", requests, problem
		}
		if name := software(m); name != "" {
			v.report.Software = name
		}
		if at := xorAddress(m, stun.AttrXORMappedAddress); at.IsValid() && v.report.Mapped == "" {
			v.report.Mapped = at.String()
		}
		if c.otherFamily {
			v.report.note(remark(stepAllocate, CodeFamily, "the server is reached over IPv6 and relays IPv4 alone (440)",
				"give it a relay address of IPv6 too, unless nobody that its clients call has IPv6 alone"))
		}
		if !c.login.signs() {
			problem = remark(stepAllocate, CodeOpenRelay, "the server relays for anybody, without credentials", "turn on long-term credentials: an open relay is used to attack others")
		}
		a := &Allocation{
			Realm: printable(c.login.realm), Relayed: c.relayed.String(), LifetimeS: int64(lifetime(m).Seconds()), Authentication: c.said,
		}
		v.report.Allocation = a
		return fmt.Sprintf("relays from %s for %d s, realm %q", a.Relayed, a.LifetimeS, a.Realm), requests, problem
	})
}
