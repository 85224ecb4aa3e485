package negotiate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"tourbillon/timing"
	"tourbillon/timing/rounds"
)

// limit bounds one negotiation.
const limit = 30 * time.Second

// armOrder asks for an arm's negotiations.
type armOrder struct {
	Arm   string `json:"arm"`
	Clock string `json:"clock"`
	// Signaling is the server's host:port, Delayed the way to it for callers, Link the host:port of the link.
	Signaling string `json:"signaling"`
	Delayed   string `json:"delayed"`
	Link      string `json:"link"`
	// Sessions is how many negotiations run at once, Each how many of them follow one another.
	Sessions int `json:"sessions"`
	Each     int `json:"each"`
}

// outcome is what one process measured; its first fields are the arm's, Link the link's.
type outcome struct {
	Build  Build      `json:"build"`
	P50NS  int64      `json:"connect_p50_ns"`
	P95NS  int64      `json:"connect_p95_ns"`
	P99NS  int64      `json:"connect_p99_ns"`
	Failed int        `json:"failed"`
	CPUPer int64      `json:"cpu_ns_per_session"`
	Link   linkCounts `json:"link"`
}

// Signal is an offer or an answer from a peer.
type Signal struct{ From, Kind, SDP string }

// Room is a place in a room of the signaling server.
type Room interface {
	ID() string
	// Send sends an offer or an answer to a peer; it blocks for as long as the network does.
	Send(to, kind, sdp string) error
	// Next waits for the next offer or answer; an error ends the room.
	Next(ctx context.Context) (Signal, error)
	Close()
}

// arm is a running arm.
type arm struct {
	order   *armOrder
	clock   timing.Clock
	join    func(ctx context.Context, address, room string) (Room, error)
	link    *net.UDPAddr
	ours    *ours // nil where the callees are pion's.
	workers []*worker
	running sync.WaitGroup
}

// measure carries the order out. It blocks for as long as that takes, or until ctx ends.
func (o *armOrder) measure(ctx context.Context, h Hooks, out io.Writer) (err error) {
	clock, build, end, err := h.Clock(o.Clock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	a := &arm{order: o, clock: clock, join: h.Join}
	if a.link, err = net.ResolveUDPAddr("udp4", o.Link); err != nil {
		return err
	}
	control, err := newHost(hostOf(callees, 1<<16-3), a.link).listen()
	if err != nil {
		return err
	}
	defer control.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		err = errors.Join(err, a.close())
	}()
	if err := a.open(ctx); err != nil {
		return err
	}
	if _, err := a.run(ctx, 1); err != nil { // Not counted: what a process does but once happens in it.
		return fmt.Errorf("warm up: %w", err)
	}
	if err := control.tell(newCount); err != nil {
		return err
	}
	before := rounds.CPUTime()
	took, err := a.run(ctx, o.Each)
	if err != nil {
		return err
	}
	answer := outcome{Build: build, CPUPer: int64(rounds.CPUTime()-before) / int64(len(took))}
	answer.summarise(took)
	return json.NewEncoder(out).Encode(answer)
}

func (x *outcome) summarise(took []time.Duration) {
	ns := make([]int64, len(took))
	for i, d := range took {
		ns[i] = int64(d)
		if d >= limit {
			x.Failed++
		}
	}
	slices.Sort(ns)
	x.P50NS, x.P95NS, x.P99NS = rounds.Nearest(ns, 50), rounds.Nearest(ns, 95), rounds.Nearest(ns, 99)
}

// open makes the callees and has everybody join.
func (a *arm) open(ctx context.Context) (err error) {
	if a.order.Arm != ArmPion {
		if a.ours, err = newOurs(a.clock, newHost(hostOf(callees, 1<<16-2), a.link), a.order.Sessions); err != nil {
			return err
		}
	}
	for i := range a.order.Sessions {
		w := &worker{arm: a, host: newHost(hostOf(callers, i), a.link), number: i}
		if w.callee = a.ours; a.ours == nil {
			w.callee = newPlain(newHost(hostOf(callees, i), a.link))
		}
		a.workers = append(a.workers, w)
		if err := w.join(ctx); err != nil {
			return fmt.Errorf("session %d: %w", i+1, err)
		}
	}
	return nil
}

// run has every worker negotiate n times and returns how long each negotiation took.
func (a *arm) run(ctx context.Context, n int) ([]time.Duration, error) {
	var running sync.WaitGroup
	failures := make([]error, len(a.workers))
	took := make([][]time.Duration, len(a.workers))
	for i, w := range a.workers {
		running.Go(func() {
			for range n {
				d, err := w.negotiate(ctx)
				if err != nil {
					failures[i] = err
					return
				}
				took[i] = append(took[i], d)
			}
		})
	}
	running.Wait()
	return slices.Concat(took...), errors.Join(failures...)
}

func (a *arm) close() (err error) {
	for _, w := range a.workers {
		for _, room := range []Room{w.calling, w.called} {
			if room != nil {
				room.Close()
			}
		}
		if a.ours == nil {
			err = errors.Join(err, w.callee.close())
		}
	}
	if a.ours != nil {
		err = errors.Join(err, a.ours.close())
	}
	a.running.Wait()
	return err
}

// worker is one session after another between two peers of a room.
type worker struct {
	arm             *arm
	number, count   int
	host            *host
	callee          callee
	calling, called Room

	// mu guards what follows.
	mu      sync.Mutex
	present *negotiation
}

// negotiation is one of a worker's.
type negotiation struct {
	call       string
	connection *webrtc.PeerConnection
	opened     chan timing.Instant // Has room for one of each side.
	failed     chan error          // Has room for one.
}

func (n *negotiation) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

func (w *worker) join(ctx context.Context) (err error) {
	room := fmt.Sprintf("bench-%d", w.number)
	if w.called, err = w.arm.join(ctx, w.arm.order.Signaling, room); err != nil {
		return err
	}
	if w.calling, err = w.arm.join(ctx, w.arm.order.Delayed, room); err != nil {
		return err
	}
	w.arm.running.Go(func() { w.listen(ctx, w.called, w.answer) })
	w.arm.running.Go(func() { w.listen(ctx, w.calling, w.accept) })
	return nil
}

// listen hands what a room receives to a function until the room ends.
func (w *worker) listen(ctx context.Context, room Room, take func(context.Context, *negotiation, Signal) error) {
	for {
		s, err := room.Next(ctx)
		w.mu.Lock()
		n := w.present
		w.mu.Unlock()
		if n != nil && err == nil {
			err = take(ctx, n, s)
		}
		if n != nil && err != nil {
			n.fail(err)
		}
		if err != nil {
			return
		}
	}
}

// answer is the callee's side of an offer.
func (w *worker) answer(ctx context.Context, n *negotiation, s Signal) error {
	if s.Kind != "offer" {
		return fmt.Errorf("the callee got an %s", s.Kind)
	}
	send := func(sdp string) {
		if err := w.called.Send(s.From, "answer", sdp); err != nil {
			n.fail(err)
		}
	}
	return w.callee.offer(ctx, n.call, s.SDP, send, func() { w.open(n) })
}

// accept is the caller's side of an answer.
func (w *worker) accept(_ context.Context, n *negotiation, s Signal) error {
	if s.Kind != "answer" {
		return fmt.Errorf("the caller got an %s", s.Kind)
	}
	return n.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: s.SDP})
}

// open notes that one side's data channel is open.
func (w *worker) open(n *negotiation) {
	select {
	case n.opened <- w.arm.clock.Now():
	default:
	}
}

// negotiate calls and hangs up. It returns how long it took until both sides were open, or the limit.
func (w *worker) negotiate(ctx context.Context) (time.Duration, error) {
	connection, err := newConnection(w.host, w.arm.order.Arm != ArmPion && w.arm.order.Arm != ArmAnswerer)
	if err != nil {
		return 0, err
	}
	w.count++
	n := &negotiation{
		call: fmt.Sprintf("%d-%d", w.number, w.count), connection: connection,
		opened: make(chan timing.Instant, 2), failed: make(chan error, 1),
	}
	w.mu.Lock()
	w.present = n
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.present = nil
		w.mu.Unlock()
		w.callee.hangUp(n.call)
		_ = connection.GracefulClose() // What it may report is that the other side has closed first.
	}()
	return w.connect(ctx, n)
}

func (w *worker) connect(ctx context.Context, n *negotiation) (time.Duration, error) {
	channel, err := n.connection.CreateDataChannel("echo", nil)
	if err != nil {
		return 0, fmt.Errorf("make the data channel: %w", err)
	}
	channel.OnOpen(func() { w.open(n) })
	offer, err := n.connection.CreateOffer(nil)
	if err != nil {
		return 0, fmt.Errorf("create the offer: %w", err)
	}
	sdp, err := gather(ctx, n.connection, offer)
	if err != nil {
		return 0, err
	}
	late := make(chan struct{})
	timer := w.arm.clock.AfterFunc(limit, func() { close(late) })
	defer timer.Stop()
	start := w.arm.clock.Now()
	if err := w.calling.Send(w.called.ID(), "offer", sdp); err != nil {
		return 0, err
	}
	var last timing.Instant
	for range 2 {
		select {
		case at := <-n.opened:
			last = max(last, at)
		case err := <-n.failed:
			return 0, err
		case <-late:
			return limit, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return min(last.Sub(start), limit-1), nil
}

// accept refuses answers of a process that is not what its arm claims.
func (x *outcome) accept(arm, clock string, own Build) error {
	switch {
	case x.Build.Retimed != (arm != ArmPion):
		return fmt.Errorf("pion is re-timed in this process: %v: run `make build`", x.Build.Retimed)
	case x.Build.Clock != clock:
		return fmt.Errorf("the process ran on the clock %q instead of %q, which this machine does not give it", x.Build.Clock, clock)
	case x.Build.Revision != own.Revision:
		return errors.New("the programs are of two revisions, " + strings.Join([]string{own.Revision, x.Build.Revision}, " and ") + ": run `make build`")
	}
	return nil
}
