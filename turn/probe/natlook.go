package probe

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v4"
)

// CHANGE-REQUEST's wishes (RFC 5780 section 7.2).
const changeAddressAndPort = 0x04 | 0x02

// nats looks at what stands between here and the servers that answered over UDP, each address family by itself.
func (r *runner) nats(ctx context.Context) (found []*NAT) {
	var v4, v6 []answered
	for _, a := range r.reached {
		if a.at.Addr().Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	for _, family := range [][]answered{v4, v6} {
		if len(family) == 0 {
			continue
		}
		if n := r.nat(ctx, family); n != nil {
			found = append(found, n)
		}
	}
	return found
}

// nat asks every server from one socket; nil where none answers it. The socket has the address from which the first server
// is reached: the way to another may lead through another interface, which then shows as a differing mapping.
func (r *runner) nat(ctx context.Context, servers []answered) *NAT {
	l, err := r.listen(servers[0].local)
	if err != nil {
		return nil
	}
	defer l.close()
	var views []seen
	asked := map[netip.AddrPort]bool{}
	view := func(t Target, at netip.AddrPort) {
		if asked[at] || !at.IsValid() {
			return
		}
		asked[at] = true
		if m := r.ask(ctx, l, t, at, at); m != nil && mapped(m).IsValid() {
			views = append(views, seen{at, mapped(m)})
		}
	}
	for _, s := range servers {
		view(s.target, s.at)
		view(s.target, s.other)
	}
	if len(views) == 0 {
		return nil
	}
	n := judgeNAT(l.local, views)
	r.filtering(ctx, n, servers, views)
	if r.o.Hairpin {
		n.Hairpin = r.hairpin(ctx, l, views[0].mapped)
	}
	return n
}

// ask sends a Binding request from a socket and returns the answer from an address, from anywhere if that is not valid.
func (r *runner) ask(ctx context.Context, l *link, t Target, to, from netip.AddrPort, setters ...stun.Setter) *stun.Message {
	x := &exchanger{clock: r.o.Clock, link: l, target: t, timeout: r.o.Timeout, to: to, from: from}
	got, problem := x.exchange(ctx, bindingRequest(setters...))
	if problem != nil {
		return nil
	}
	return got.m
}

// filtering asks a server with a second address to answer from there, to a socket that it has not been spoken to from
// (RFC 5780 section 4.4). A second address that answers to nothing says nothing by its silence here.
func (r *runner) filtering(ctx context.Context, n *NAT, servers []answered, views []seen) {
	for _, s := range servers {
		if !slices.ContainsFunc(views, func(v seen) bool { return v.server == s.other }) {
			continue
		}
		l, err := r.listen(s.local)
		if err != nil {
			return
		}
		defer l.close()
		n.Filtering = filteringRestricted
		if r.ask(ctx, l, s.target, s.at, s.other, raw(stun.AttrChangeRequest, 0, 0, 0, changeAddressAndPort)) != nil {
			n.Filtering = filteringOpen
		}
		return
	}
}

// hairpin sends to the own mapped address from a second socket and sees whether that arrives (RFC 5780 section 4.5).
func (r *runner) hairpin(ctx context.Context, l *link, mapped netip.AddrPort) *bool {
	from, err := r.listen(l.local.Addr())
	if err != nil {
		return nil
	}
	defer from.close()
	ctx, end := limited(ctx, r.o.Clock, r.o.Timeout)
	defer end()
	ask := bindingRequest()
	wake, timer := alarm(r.o.Clock)
	defer timer.Stop()
	came := false
	for range hairpinTries {
		_ = from.writeTo(ask.Raw, mapped) // What does not leave does not arrive.
		timer.ResetAt(r.o.Clock.Now().Add(hairpinPause))
		if came = l.sees(ctx, ask.Raw, wake); came || ctx.Err() != nil {
			break
		}
	}
	return &came
}

// A hairpinned packet needs milliseconds; three in a row are seldom lost.
const (
	hairpinTries = 3
	hairpinPause = 500 * time.Millisecond
)

// sees waits for a packet of given content, until told to give up.
func (l *link) sees(ctx context.Context, content []byte, giveUp <-chan struct{}) bool {
	for {
		select {
		case p := <-l.packets:
			if bytes.Equal(p.data, content) {
				return true
			}
		case <-giveUp:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
