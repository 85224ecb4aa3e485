package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Room is a room that the client is in, until Leave, Close or an error that coming back would not mend. Its methods are
// safe for concurrent use. Those that send block for as long as the network does, at most until the connection counts
// as lost; what is sent while there is none goes out when it is back. A message over a limit of the server is not taken:
// the error is a [*TooLarge].
type Room struct {
	url     string
	options Options
	// ctx ends with the room.
	ctx    context.Context
	cancel context.CancelFunc
	// entered is closed by the first "joined", done when the room's goroutine has ended.
	entered, done chan struct{}
	// events is written and closed by the room's goroutine.
	events chan Event
	// writing orders what is written to links; it is taken before mu.
	writing sync.Mutex

	// mu guards what follows. It is not held over I/O.
	mu      sync.Mutex
	err     error
	lastErr error
	leaving bool
	link    *link
	outbox  outbox
	state   state
}

// state is what the server has told.
type state struct {
	id, session, server string
	can                 []string
	// paths is true where the server looks after connections.
	paths bool
	// last is the number of the latest message of the session.
	last       uint64
	peers      map[string]Peer
	ice        ICEServers
	interval   time.Duration
	beats      uint64
	rtt        time.Duration
	retryAfter time.Duration
	limits     limits
}

// Join joins a room of the server whose WebSocket is at a URL ("wss://host/ws"). It tries until it succeeds, the server
// refuses for good (the error is a [*Refusal] then), or ctx ends, which does not end the room later.
func Join(ctx context.Context, url string, o Options) (*Room, error) {
	o = o.withDefaults()
	r := &Room{url: url, options: o, entered: make(chan struct{}), done: make(chan struct{}), events: make(chan Event, o.Waiting)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	go r.run()
	select {
	case <-r.entered:
		return r, nil
	case <-r.done:
	case <-ctx.Done():
		r.end(errors.Join(ctx.Err(), r.lastError()))
		<-r.done
	}
	return nil, fmt.Errorf("join room %q: %w", o.Room, r.Err())
}

// Events are what happens in the room, in order, beginning with Joined. The channel is closed when the room has ended.
func (r *Room) Events() <-chan Event { return r.events }

// Done is closed when the room has ended.
func (r *Room) Done() <-chan struct{} { return r.done }

// Err tells what ended the room; nil while it goes on.
func (r *Room) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *Room) lastError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastErr
}

// ID is this end's peer id.
func (r *Room) ID() string { return r.snapshot().id }

// Server names the server's process.
func (r *Room) Server() string { return r.snapshot().server }

// Can lists what the token allows.
func (r *Room) Can() []string { return slices.Clone(r.snapshot().can) }

// ICEServers are the latest ones.
func (r *Room) ICEServers() ICEServers { return r.snapshot().ice }

// Heartbeat is the interval of the server's pings, their number so far, and the smoothed round trip that the server
// measured with them; 0 before the second.
func (r *Room) Heartbeat() (interval time.Duration, beats uint64, rtt time.Duration) {
	s := r.snapshot()
	return s.interval, s.beats, s.rtt
}

// Peers are the others in the room, by id.
func (r *Room) Peers() []Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.state.peers), func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
}

func (r *Room) snapshot() state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// Offer sends an offer to a peer.
func (r *Room) Offer(to, sdp string) error { return r.send(outbound{Type: "offer", To: to, SDP: sdp}) }

// Answer sends an answer to a peer.
func (r *Room) Answer(to, sdp string) error {
	return r.send(outbound{Type: "answer", To: to, SDP: sdp})
}

// Candidate sends a candidate (an RTCIceCandidateInit) to a peer; nil is the end of candidates.
func (r *Room) Candidate(to string, candidate json.RawMessage) error {
	if candidate == nil {
		candidate = json.RawMessage("null")
	}
	return r.send(outbound{Type: "candidate", To: to, Candidate: candidate})
}

// Restart asks a peer for an offer with an ICE restart.
func (r *Room) Restart(to, reason string) error {
	return r.send(outbound{Type: "restart", To: to, Reason: reason})
}

// Send sends any JSON value to a peer, or to the whole room where to is empty.
func (r *Room) Send(to string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return r.send(outbound{Type: "message", To: to, Data: text})
}

// Update changes what the others are shown; what is empty stays.
func (r *Room) Update(name string, metadata json.RawMessage) error {
	return r.send(outbound{Type: "update", Name: name, Metadata: metadata})
}

// Report tells the server's operator what was measured: any JSON object of at most 4 KiB.
func (r *Room) Report(stats any) error {
	text, err := json.Marshal(stats)
	if err != nil {
		return fmt.Errorf("report stats: %w", err)
	}
	return r.send(outbound{Type: "stats", Stats: text})
}

// LooksAfterPaths reports whether the server decides over restarts and wants [Room.ReportPath].
func (r *Room) LooksAfterPaths() bool { return r.snapshot().paths }

// ReportPath tells the server how the connection to a peer stands: "gathering", "checking", "connected", "disconnected",
// "failed" or "restarting". Via is "direct" or "relay" and transport that to this end's relay, "udp", "tcp" or "tls";
// either may be empty.
func (r *Room) ReportPath(to, state, via, transport string) error {
	return r.send(outbound{Type: "stats", To: to, State: state, Via: via, Transport: transport})
}

// RefreshICEServers asks for fresh ICE servers, which come as an event.
func (r *Room) RefreshICEServers() error { return r.send(outbound{Type: "ice-servers"}) }

// SetHeartbeat asks the server for another interval of its pings.
func (r *Room) SetHeartbeat(interval time.Duration) error {
	return r.send(outbound{Type: "heartbeat", HeartbeatMS: interval.Milliseconds()})
}

// send numbers a message and writes what waits, if there is a connection.
func (r *Room) send(m outbound) error {
	text, err := encode(m)
	if err != nil {
		return fmt.Errorf("send %s: %w", m.Type, err)
	}
	if err := r.keep(m, len(text)); err != nil {
		return fmt.Errorf("send %s: %w", m.Type, err)
	}
	r.flush()
	return nil
}

// keep puts a message, whose JSON text without its number is of so many bytes, into the outbox.
func (r *Room) keep(m outbound, bytes int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	number := len(strconv.AppendUint([]byte(`"n":,`), r.outbox.last+1, 10))
	if err := r.state.limits.withDefaults().check(m, bytes+number); err != nil {
		return err
	}
	if !r.outbox.add(m) {
		return ErrOutboxFull
	}
	return nil
}

// flush writes what the outbox holds for the link. A link that fails is noticed by who reads from it.
func (r *Room) flush() {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	l := r.link
	var waiting []outbound
	if l != nil && l.entered {
		waiting = slices.Clone(r.outbox.unwritten())
	}
	r.mu.Unlock()
	for _, m := range waiting {
		l.write(m)
	}
}

// Leave tells the server that the client goes, and waits for the room's end, or cuts the connection when ctx ends.
func (r *Room) Leave(ctx context.Context) error {
	r.mu.Lock()
	r.leaving = true
	l := r.link
	there := l != nil && l.entered
	r.mu.Unlock()
	var saying sync.WaitGroup
	defer saying.Wait()
	if there {
		saying.Go(func() { l.write(outbound{Type: "leave"}) }) // Ends with the link.
	} else {
		r.end(ErrLeft)
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
	}
	r.Close()
	return fmt.Errorf("leave room: %w", ctx.Err())
}

// Close cuts the connection without a word and waits for the room's end: to the others the client is away.
func (r *Room) Close() {
	r.end(ErrLeft)
	<-r.done
}

// Drop cuts the present connection, as a network would: the client comes back by itself. It is for tests.
func (r *Room) Drop() {
	r.mu.Lock()
	l := r.link
	r.mu.Unlock()
	if l != nil {
		l.cut()
	}
}

// end ends the room for a reason; the first one counts.
func (r *Room) end(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.cancel()
}
