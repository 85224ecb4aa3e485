package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"tourbillon/timing"
)

// lookup returns a name's addresses, best first, as net.Resolver.LookupNetIP does.
type lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

// resolve returns the server's addresses, which for a literal is itself.
func resolve(ctx context.Context, t Target, ask lookup) ([]netip.AddrPort, error) {
	found := []netip.Addr{}
	if literal, err := netip.ParseAddr(t.Host); err == nil {
		found = append(found, literal)
	} else if found, err = ask(ctx, "ip", t.Host); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "the answer has none", Name: t.Host}
	}
	addresses := make([]netip.AddrPort, 0, len(found))
	for _, at := range found {
		addresses = append(addresses, netip.AddrPortFrom(at.Unmap(), t.Port))
	}
	return addresses, nil
}

// addresses are those of one server, which are tried in turn until one answers. It is pure; its owner serialises calls.
type addresses struct {
	untried []netip.AddrPort
	failed  []failure
}

// failure is an address that was tried in vain.
type failure struct {
	at      netip.AddrPort
	problem *Problem
}

// next takes the next address. It may take an equal share of what is left until the end, so that one which swallows
// packets leaves time for the others and all of them keep to the step's timeout.
func (a *addresses) next(now, end timing.Instant) (at netip.AddrPort, share time.Duration, ok bool) {
	if len(a.untried) == 0 {
		return at, 0, false
	}
	share = end.Sub(now) / time.Duration(len(a.untried))
	at, a.untried = a.untried[0], a.untried[1:]
	return at, share, true
}

// fail writes down that an address was tried in vain.
func (a *addresses) fail(at netip.AddrPort, p *Problem) { a.failed = append(a.failed, failure{at, p}) }

// remarks are what is to be said of addresses that failed beside one that answers.
func (a *addresses) remarks(host string) (all []*Problem) {
	for _, f := range a.failed {
		all = append(all, remark(f.problem.Step, CodeAddress,
			fmt.Sprintf("%v, which is an address of %s too, does not work: %s", f.at, host, f.problem.What),
			"clients that try this address first lose time, or fail: have the server listen there, or take the address out of"+
				" the name's records (a machine without a route to it cannot tell)"))
	}
	return all
}

// worst is the failure that stands for all where no address works: the first that may yet be there, or the last.
func (a *addresses) worst() failure {
	for _, f := range a.failed {
		if f.problem.Code != CodeRefused && f.problem.Code != CodeConnect {
			return f
		}
	}
	return a.failed[len(a.failed)-1]
}

// problem is what is wrong where no address works: a lone address's own problem, or the worst with what the others had.
func (a *addresses) problem() *Problem {
	whole := *a.worst().problem
	if len(a.failed) == 1 {
		return &whole
	}
	var each []string
	for _, f := range a.failed {
		each = append(each, fmt.Sprintf("%v: %s", f.at, f.problem.What))
	}
	whole.What = fmt.Sprintf("none of its %d addresses works: %s", len(a.failed), strings.Join(each, "; "))
	return &whole
}

// connect resolves the name and opens the link to the first address that takes a connection. Over UDP that says nothing
// yet: binding goes on to the other addresses where this one does not answer.
func (v *visit) connect(ctx context.Context) bool {
	return v.step(stepConnect, func() (string, int, *Problem) {
		end := v.o.Clock.Now().Add(v.o.Timeout)
		if problem := v.find(ctx); problem != nil {
			return "", 0, problem
		}
		state, problem := v.open(ctx, stepConnect, end)
		if problem != nil {
			return "", 0, problem
		}
		if v.link.stream() {
			v.noteFailed()
		}
		problem = v.certificate(state)
		if problem != nil && problem.Fatal {
			v.link.close()
		}
		return v.connected(), 0, problem
	})
}

// find looks up the server's addresses.
func (v *visit) find(ctx context.Context) *Problem {
	ctx, stop := limited(ctx, v.o.Clock, v.o.Timeout)
	defer stop()
	found, err := resolve(ctx, v.target, v.o.lookup)
	if err != nil {
		return v.connectFailed(ctx, stepConnect, err, v.o.Timeout)
	}
	v.addresses = addresses{untried: found}
	return nil
}

// open opens the link to the next address that takes a connection, until the end.
func (v *visit) open(ctx context.Context, step string, end timing.Instant) (*tls.ConnectionState, *Problem) {
	for {
		at, share, ok := v.addresses.next(v.o.Clock.Now(), end)
		if !ok {
			return nil, v.addresses.problem()
		}
		state, problem := v.openAt(ctx, step, at, share)
		switch {
		case problem == nil:
			return state, nil
		case problem.Code == CodeInterrupted:
			return nil, problem
		}
		v.addresses.fail(at, problem)
	}
}

// openAt opens the link to one address, within the time that it may take. It closes the link before it.
func (v *visit) openAt(ctx context.Context, step string, at netip.AddrPort, within time.Duration) (*tls.ConnectionState, *Problem) {
	ctx, stop := limited(ctx, v.o.Clock, within)
	defer stop()
	l, state, err := v.dial(ctx, v.target, at)
	if err != nil {
		return nil, v.connectFailed(ctx, step, err, within)
	}
	if v.link != nil {
		v.link.close()
	}
	v.at, v.link = at, l
	v.report.Address, v.report.Local = at.String(), l.local.String()
	return state, nil
}

// noteFailed writes down which addresses failed before the one that answers.
func (v *visit) noteFailed() {
	for _, p := range v.addresses.remarks(v.target.Host) {
		v.report.note(p)
	}
}

// bindingOfAny asks the address at hand how it sees this end, and over UDP, where a link stands whether anybody is
// there or not, the next one where that does not answer. All of them together keep to the timeout.
func (v *visit) bindingOfAny(ctx context.Context) (requests int, problem *Problem) {
	end := v.o.Clock.Now().Add(v.o.Timeout)
	for {
		x := v.exchanger(stepBinding, v.link)
		x.timeout = end.Sub(v.o.Clock.Now()) / time.Duration(len(v.addresses.untried)+1)
		got, problem := x.exchange(ctx, bindingRequest())
		requests += got.requests
		switch {
		case problem == nil:
			if !v.link.stream() {
				v.noteFailed()
			}
			return requests, v.bound(got.m)
		case v.link.stream() || problem.Code == CodeInterrupted:
			return requests, problem
		}
		v.addresses.fail(v.at, problem)
		if _, problem = v.open(ctx, stepBinding, end); problem != nil {
			return requests, v.noneAnswers(ctx, problem)
		}
	}
}

// noneAnswers takes the link back to the address that a relay may yet be at.
func (v *visit) noneAnswers(ctx context.Context, problem *Problem) *Problem {
	if at := v.addresses.worst().at; problem.Code != CodeInterrupted && at != v.at {
		_, _ = v.openAt(ctx, stepBinding, at, v.o.Timeout) // The link stays as it is where that fails.
	}
	return problem
}
