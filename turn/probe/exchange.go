package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
)

// streamPatience is RFC 8489 section 6.2.2's Ti of 39.5 s, in initial timeouts: over a stream a request is sent once.
const streamPatience = 79

// reply is the answer to a request.
type reply struct {
	m        *stun.Message
	from     netip.AddrPort
	requests int
}

// exchanger is one transaction at a time on one link.
type exchanger struct {
	clock   timing.Clock
	link    *link
	target  Target
	timeout time.Duration
	step    string
	// to is where requests go on a link without a server.
	to netip.AddrPort
	// from is where the answer has to come from, anywhere if it is not valid.
	from netip.AddrPort
	// strays counts what arrived and was no answer, foreign what of it was no STUN either; mangled is the last answer that
	// could not be read.
	strays, foreign int
	mangled         error
}

// exchange sends a request until its answer comes. It blocks for at most the timeout, or until ctx ends.
func (x *exchanger) exchange(ctx context.Context, ask *stun.Message) (reply, *Problem) {
	if ctx.Err() != nil {
		return reply{}, x.ended(ctx, 0) // Nothing leaves after an interruption.
	}
	now := x.clock.Now()
	schedule := timing.NewRetransmission(now, 0, 0, 0)
	if x.link.stream() {
		schedule = timing.NewRetransmission(now, 0, 1, streamPatience)
	}
	// A write over a stream may block; this ends it.
	ctx, end := limited(ctx, x.clock, x.timeout)
	defer end()
	defer x.link.interruptible(ctx)()
	wake, timer := alarm(x.clock)
	defer timer.Stop()
	for {
		switch step := schedule.Step(x.clock.Now()); {
		case step == timing.RetransmitFail:
			return reply{}, x.silence(schedule.Sent())
		case step == timing.RetransmitSend:
			if err := x.send(ask.Raw); err != nil {
				return reply{}, x.broken(ctx, err, schedule.Sent())
			}
		}
		timer.ResetAt(schedule.Due())
		got, problem := x.await(ctx, ask, wake, schedule)
		if got.m != nil || problem != nil {
			got.requests = schedule.Sent()
			return got, problem
		}
	}
}

// alarm is a timer, not armed yet, that the channel tells of.
func alarm(clock timing.Clock) (<-chan struct{}, timing.Timer) {
	wake := make(chan struct{}, 1)
	return wake, clock.At(timing.Never, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
}

func (x *exchanger) send(b []byte) error {
	if x.to.IsValid() {
		return x.link.writeTo(b, x.to)
	}
	return x.link.write(b)
}

// await waits for the answer, for the next step of the schedule (it then returns neither) or for the end.
func (x *exchanger) await(ctx context.Context, ask *stun.Message, wake <-chan struct{}, schedule *timing.Retransmission) (reply, *Problem) {
	for {
		select {
		case <-wake:
			return reply{}, nil
		case <-ctx.Done():
			return reply{}, x.ended(ctx, schedule.Sent())
		case p := <-x.link.packets:
			if p.err != nil {
				return reply{}, x.broken(ctx, p.err, schedule.Sent())
			}
			if m := x.take(p, ask); m != nil {
				return reply{m: m, from: p.from}, nil
			}
		}
	}
}

// take returns the answer that a packet holds, if it does.
func (x *exchanger) take(p packet, ask *stun.Message) *stun.Message {
	if x.from.IsValid() && p.from != x.from {
		x.strays++ // RFC 8489 section 6.3: an answer from elsewhere is none.
		return nil
	}
	m, err := answers(p.data, ask)
	if err != nil {
		x.mangled = err
	}
	if m == nil {
		x.strays++
		if !stun.IsMessage(p.data) && !x.link.mayBeChannelData(p.data) {
			x.foreign++
		}
	}
	return m
}

func (x *exchanger) ended(ctx context.Context, requests int) *Problem {
	if errors.Is(context.Cause(ctx), errTimeout) {
		return x.silence(requests)
	}
	return interrupted(x.step, "interrupted")
}

// silence is a transaction without an answer, or with answers that were none.
func (x *exchanger) silence(requests int) *Problem {
	if x.mangled != nil {
		return fatal(x.step, CodeMalformed, fmt.Sprintf("the answer cannot be read: %v", x.mangled), "see whether this is a STUN server, and whether something between here and there changes packets")
	}
	p := noAnswer(x.step, x.target, x.timeout, requests)
	switch {
	case x.foreign > 0:
		p.Code, p.Remedy = CodeNotSTUN, notSTUN
		p.What += ", but " + count(x.foreign, "packet") + " of something other than STUN"
	case x.strays > 0:
		p.What += ", but " + count(x.strays, "packet") + " that answered something else"
		p.Remedy = "packets of the server arrive: see its log, and whether it limits the rate of one client"
	}
	return p
}

func (x *exchanger) broken(ctx context.Context, err error, requests int) *Problem {
	switch {
	case ctx.Err() != nil:
		return x.ended(ctx, requests)
	case isRefused(err):
		return fatal(x.step, CodeRefused, "nothing listens on "+x.target.Address()+" over "+x.target.network(), "start the server there, or correct the port")
	case errors.Is(err, errFraming):
		return fatal(x.step, CodeNotSTUN, "the stream carries "+err.Error(), notSTUN)
	case x.link.stream():
		return fatal(x.step, CodeClosed, "the server closed the connection: "+printable([]byte(err.Error())), "see the server's log; a port for TLS does so when it is spoken to without")
	}
	return fatal(x.step, CodeConnect, "sending fails: "+printable([]byte(err.Error())), "see the route to "+x.target.Address())
}
