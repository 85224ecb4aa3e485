package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
)

// ahead is how many packets of a series the wire holds before their instants.
const ahead = 8

// sequence is a series of packets on a grid. One goroutine owns it.
type sequence struct {
	visit *visit
	step  string
	// build makes packet i, match finds the packet that has come back.
	build func(i int) []byte
	match func(p packet) (i int, ok bool)
	// peer is a second link whose packets bounce deals with; nil for none.
	peer   *link
	bounce func(p packet)

	tally  tally
	socket *timing.WireSocket // nil over streams.
	queued []*timing.WireSend // What was handed to the socket, in order.
	failed chan error
	next   timing.Instant
}

// run sends the packets and waits for the last of them, at most for the timeout.
func (q *sequence) run(ctx context.Context, what string) (*Series, *Problem) {
	v := q.visit
	count := v.o.Count
	q.failed = make(chan error, count)
	// Whatever happens, it ends: the grid, and the wait for its last packet.
	ctx, end := limited(ctx, v.o.Clock, time.Duration(count+1)*v.o.Interval+2*v.o.Timeout)
	defer end()
	defer v.link.interruptible(ctx)()
	sentBy := "clock"
	if v.link.udp != nil {
		socket, err := v.wire.Socket(v.link.udp)
		if err != nil {
			return nil, fatal(q.step, CodeConnect, err.Error(), "see the limits on open files")
		}
		defer socket.Close()
		q.socket = socket
		if v.wire.Report().Kernel {
			sentBy = "kernel"
		}
	}
	err := q.loop(ctx, count)
	if err == nil || errors.Is(context.Cause(ctx), errTimeout) {
		series := q.tally.series(what, sentBy)
		return series, judgeLoss(q.step, series, v.o.MaxLoss)
	}
	return q.brokenOff(ctx, err, what, sentBy)
}

// brokenOff is the end of a series before its last packet. Packets that wait for their instants never leave, and after
// an interruption those that may yet have come back are not lost.
func (q *sequence) brokenOff(ctx context.Context, err error, what, sentBy string) (*Series, *Problem) {
	v := q.visit
	left := len(q.queued)
	for left > 0 && q.queued[left-1].Cancel() {
		left--
	}
	if q.socket != nil {
		q.tally.withdraw(left)
	}
	problem := v.exchanger(q.step, v.link).broken(ctx, err, len(q.tally.due))
	if problem.Code == CodeInterrupted {
		q.tally.leave(v.o.Clock.Now(), v.o.Timeout)
		problem.What = fmt.Sprintf("interrupted after %d of %d packets (%s)", len(q.tally.due), v.o.Count, what)
	}
	return q.tally.series(what, sentBy), problem
}

// judgeLoss says what the loss of a series means, where more than limit percent fails the server.
func judgeLoss(step string, s *Series, limit float64) *Problem {
	const remedy = "see the path, and whether the server limits the rate of one client (raise --interval)"
	lost := fmt.Sprintf("%d of %s of the series %q lost", s.Sent-s.Received, count(s.Sent, "packet"), s.What)
	switch {
	case s.Received == s.Sent:
		return nil
	case s.Received == 0:
		return fatal(step, CodeLoss, "every packet of the series was lost", "see whether the server limits the rate of one client (raise --interval), or the path is cut")
	case s.LossPercent > limit:
		return fatal(step, CodeLossLimit, fmt.Sprintf("%s, %.1f %%, where %g %% are allowed", lost, s.LossPercent, limit),
			remedy+"; --max-loss sets what is allowed")
	}
	return remark(step, CodeLoss, lost, remedy)
}

// loop is the series' event loop. It returns nil when all are back or overdue.
func (q *sequence) loop(ctx context.Context, count int) error {
	v := q.visit
	wake, timer := alarm(v.o.Clock)
	defer timer.Stop()
	q.next = v.o.Clock.Now().Add(v.o.Interval)
	var peers <-chan packet
	if q.peer != nil {
		peers = q.peer.packets
	}
	for !q.tally.complete(count) {
		now := v.o.Clock.Now()
		due, err := q.advance(now, count)
		if err != nil {
			return err
		}
		if now >= due {
			return nil // The last one's time is over.
		}
		timer.ResetAt(due)
		select {
		case <-wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-q.failed:
			return err
		case p := <-v.link.packets:
			if p.err != nil {
				return p.err
			}
			if i, ok := q.match(p); ok {
				q.tally.received(i, p.at)
			}
		case p := <-peers:
			if p.err != nil {
				return p.err
			}
			q.bounce(p)
		}
	}
	return nil
}

// advance hands over the packets whose turn it is and returns when to come back.
func (q *sequence) advance(now timing.Instant, count int) (timing.Instant, error) {
	interval := q.visit.o.Interval
	lead := timing.Instant(0)
	if q.socket != nil {
		lead = timing.Instant(ahead * interval)
	}
	for len(q.tally.due) < count && q.next <= now+lead {
		if err := q.send(max(q.next, now)); err != nil {
			return 0, err
		}
		// After a stall the grid begins anew: packets never crowd together.
		q.next = max(q.next, now).Add(interval)
	}
	if len(q.tally.due) == count {
		return q.next.Add(-interval).Add(q.visit.o.Timeout), nil
	}
	return q.next - lead, nil
}

func (q *sequence) send(at timing.Instant) error {
	v := q.visit
	b := q.build(len(q.tally.due))
	if q.socket == nil {
		q.tally.sent(v.o.Clock.Now())
		return v.link.write(b)
	}
	q.tally.sent(at)
	send, err := q.socket.SendAt(at, b, v.link.server, func(s timing.Sent) {
		if s.Err != nil && !errors.Is(s.Err, timing.ErrWireClosed) && !errors.Is(s.Err, timing.ErrWireCancelled) {
			q.failed <- s.Err
		}
	})
	if err == nil {
		q.queued = append(q.queued, send)
	}
	return err
}

// measureBinding is a series of Binding requests.
func (v *visit) measureBinding(ctx context.Context) {
	if v.o.Count == 0 {
		return
	}
	asks := map[[stun.TransactionIDSize]byte]int{}
	q := &sequence{visit: v, step: stepBinding,
		build: func(i int) []byte {
			ask := bindingRequest()
			asks[ask.TransactionID] = i
			return ask.Raw
		},
		match: func(p packet) (int, bool) {
			m := stun.New()
			if stun.Decode(p.data, m) != nil || m.Type != stun.BindingSuccess {
				return 0, false
			}
			i, ok := asks[m.TransactionID]
			return i, ok
		},
	}
	series, problem := q.run(ctx, "binding")
	if series != nil && series.Sent > 0 {
		v.report.Series = append(v.report.Series, series)
	}
	v.report.note(problem)
}
