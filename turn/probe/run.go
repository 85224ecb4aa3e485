package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
)

// Defaults and bounds of [Options].
const (
	DefaultCount    = 10
	DefaultInterval = 100 * time.Millisecond
	DefaultTimeout  = 5 * time.Second
	// DefaultMaxLoss lets one packet of DefaultCount be lost, as happens anywhere, and not two.
	DefaultMaxLoss = 10
	MaxCount       = 100_000
	MinInterval    = time.Millisecond
	MaxInterval    = time.Minute
	MaxTimeout     = time.Minute
)

// Options is how servers are probed.
type Options struct {
	// Clock is what every timer runs on, by default package time's; Wall the time of day, for certificates and
	// credentials, by default time.Now.
	Clock timing.Clock
	Wall  func() time.Time
	// User and Password are credentials for relays. Expiry, where it is not nil, reads the time out of a user name that
	// holds one.
	User, Password string
	Expiry         func(user string) (expires time.Time, dated bool)
	// Count is how many packets are sent for a round trip's figures, each Interval after the other; 0 is none.
	Count    int
	Interval time.Duration
	// MaxLoss is the loss in percent above which a series fails its server: 0 where nothing may be lost, 100 where one
	// answer will do.
	MaxLoss float64
	// Timeout bounds each step.
	Timeout time.Duration
	// Insecure goes on after a bad certificate, which then is a remark. Roots are the authorities, by default the system's.
	Insecure bool
	Roots    *x509.CertPool
	// Hairpin asks whether packets to the own mapped address come back.
	Hairpin bool

	lookup lookup // By default the system's.
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = timing.Runtime{}
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.lookup == nil {
		o.lookup = net.DefaultResolver.LookupNetIP
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return o
}

// runner is one call of Run. One goroutine owns it.
type runner struct {
	o    Options
	wire *timing.Wire
	// reached are the servers that answered over UDP, for the look at the NAT.
	reached []answered
}

// answered is a server that answered a Binding request over UDP.
type answered struct {
	target    Target
	at, other netip.AddrPort
	local     netip.Addr
}

// Run probes servers one after another. It blocks until that is done; each step ends by the options' timeout, and all
// of them soon after ctx: the report then has what was seen until there. What is wrong with a server is in the report.
func Run(ctx context.Context, targets []Target, o Options) Report {
	o = o.withDefaults()
	r := &runner{o: o, wire: timing.NewWire(o.Clock, timing.WireConfig{Capacity: 4 * ahead})}
	defer r.wire.Close()
	report := Report{OK: true, MaxLossPercent: o.MaxLoss, Servers: []Server{}, NAT: []*NAT{}}
	for _, t := range targets {
		s := r.probe(ctx, t)
		report.OK = report.OK && s.OK
		report.Servers = append(report.Servers, s)
	}
	if ctx.Err() == nil {
		// What an interrupted look at the NAT did not see is no finding.
		if found := r.nats(ctx); ctx.Err() == nil {
			report.NAT = append(report.NAT, found...)
		}
	}
	report.Interrupted = ctx.Err() != nil
	return report
}

// visit is the probing of one server.
type visit struct {
	*runner
	target Target
	login  *login
	report *Server
	// at is the address that link leads to, addresses are the others.
	at        netip.AddrPort
	link      *link
	addresses addresses
}

func (r *runner) probe(ctx context.Context, t Target) Server {
	s := Server{URL: t.String(), State: StateGood, OK: true, Transport: t.Transport, Steps: []Step{}, Series: []*Series{}, Problems: []*Problem{}}
	if ctx.Err() != nil {
		s.note(interrupted(stepConnect, "interrupted before this server was asked"))
		return s
	}
	v := &visit{runner: r, target: t, report: &s, login: r.newLogin()}
	if !v.connect(ctx) {
		return s
	}
	defer func() { v.link.close() }()
	bound := v.binding(ctx)
	// A relay that keeps silent about Binding requests is still asked to relay; one that is not there is not.
	there := s.OK
	if bound {
		v.measureBinding(ctx)
	}
	switch {
	case !t.Relays() || !there || s.State == StateInterrupted:
	case ctx.Err() != nil:
		s.note(interrupted(stepAllocate, "interrupted before the server was asked to relay"))
	default:
		v.relay(ctx)
	}
	return s
}

func (r *runner) newLogin() *login {
	l := &login{user: r.o.User, password: r.o.Password}
	if r.o.Expiry != nil {
		if expires, dated := r.o.Expiry(r.o.User); dated {
			l.expires = expires
		}
	}
	return l
}

// step runs one step and writes down how it went. f returns what came of it, empty for nothing, and how many requests
// it took.
func (v *visit) step(name string, f func() (detail string, requests int, problem *Problem)) bool {
	start := v.o.Clock.Now()
	detail, requests, problem := f()
	status := StatusOK
	switch {
	case problem == nil:
	case problem.Code == CodePeerDenied:
		status, detail = StatusDenied, problem.What
	case problem.Code == CodeInterrupted:
		status, detail = StatusInterrupted, strings.TrimSpace(strings.TrimPrefix(problem.What, "interrupted"))
	case problem.Fatal || detail == "": // A step may fail and the server still be good.
		status, detail = StatusFailed, problem.What
	}
	v.report.note(problem)
	v.report.Steps = append(v.report.Steps, Step{name, status, detail, int64(v.o.Clock.Now().Sub(start)), requests})
	return status == StatusOK
}

// connectFailed says why there is no connection; ctx is that of the attempt.
func (v *visit) connectFailed(ctx context.Context, step string, err error, after time.Duration) *Problem {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errTimeout) {
		return interrupted(step, "interrupted")
	}
	if ctx.Err() != nil {
		err = errTimeout
	}
	problem := connectProblem(err, v.target, after)
	problem.Step = step
	return problem
}

func (v *visit) connected() string {
	if c := v.report.Certificate; c != nil {
		return fmt.Sprintf("%v, %s, certificate of %s until %s", v.at, c.Version, c.Subject, c.NotAfter.Format(time.DateOnly))
	}
	if several := len(v.addresses.untried) + len(v.addresses.failed) + 1; several > 1 && !v.link.stream() {
		return fmt.Sprintf("%v, one of %d addresses", v.at, several)
	}
	return v.at.String()
}

func (v *visit) certificate(state *tls.ConnectionState) *Problem {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	v.report.Certificate = describe(*state)
	problem := judgeCertificate(*state, v.target.Host, v.o.Roots, v.o.Wall())
	v.report.Certificate.Verified = problem == nil || !problem.Fatal
	if problem != nil && v.o.Insecure {
		problem.Fatal = false
	}
	return problem
}

func (v *visit) exchanger(step string, l *link) *exchanger {
	return &exchanger{clock: v.o.Clock, link: l, target: v.target, timeout: v.o.Timeout, step: step}
}

// binding asks how the server sees this end. A relay that answers no Binding request is still asked to relay.
func (v *visit) binding(ctx context.Context) bool {
	return v.step(stepBinding, func() (string, int, *Problem) {
		requests, problem := v.bindingOfAny(ctx)
		if problem != nil && v.target.Relays() && v.tolerable(problem.Code) {
			problem.Fatal = false
			return "", requests, problem
		}
		detail := "this end is seen as " + v.report.Mapped
		if len(v.addresses.failed) > 0 {
			detail += " by " + v.at.String()
		}
		return detail, requests, problem
	}) && v.report.Mapped != ""
}

// tolerable tells whether a relay may yet be good after a Binding request that ended so.
func (v *visit) tolerable(code string) bool {
	switch code {
	case CodeNoAnswer, CodeErrorAnswer, CodeForbidden, CodeUnsupported:
		return true
	case CodeMalformed:
		return !v.link.stream() // A stream is lost with its framing.
	}
	return false
}

func bindingRequest(setters ...stun.Setter) *stun.Message {
	all := append([]stun.Setter{stun.TransactionID, stun.BindingRequest}, setters...)
	return stun.MustBuild(append(all, stun.Fingerprint)...) // Of constants: it cannot fail.
}

// bound takes the answer to a Binding request.
func (v *visit) bound(m *stun.Message) *Problem {
	if name := software(m); name != "" {
		v.report.Software = name
	}
	if m.Type.Class != stun.ClassSuccessResponse {
		var code stun.ErrorCodeAttribute
		_ = code.GetFrom(m) // Without one the code is 0.
		return refused(stepBinding, code, alternate(m))
	}
	at := mapped(m)
	if !at.IsValid() {
		return fatal(stepBinding, CodeMalformed, "a Binding answer without a mapped address", "see whether this is a STUN server at all")
	}
	v.report.Mapped = at.String()
	if v.target.Transport == UDP {
		v.reached = append(v.reached, answered{target: v.target, at: v.at, other: plainAddress(m, stun.AttrOtherAddress), local: v.link.local.Addr()})
	}
	return nil
}
