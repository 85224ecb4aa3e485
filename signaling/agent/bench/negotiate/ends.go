package negotiate

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/transport/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/link"
	"tourbillon/timing"
)

// settings are what both arms' pions are told: where they are, and nothing that is not there.
func settings(network transport.Net) webrtc.SettingEngine {
	var s webrtc.SettingEngine
	s.SetNet(network)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.LoggerFactory = silent()
	return s
}

func silent() logging.LoggerFactory {
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	return logs
}

// newConnection makes a peer connection; ours has what the appliance gives its own.
func newConnection(network transport.Net, ours bool) (*webrtc.PeerConnection, error) {
	s := settings(network)
	if ours {
		agent.Hasten(&s)
	}
	connection, err := webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(&webrtc.MediaEngine{})).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("make a peer connection: %w", err)
	}
	return connection, nil
}

// gather takes a description as the local one and returns it with all candidates.
func gather(ctx context.Context, connection *webrtc.PeerConnection, description webrtc.SessionDescription) (sdp string, err error) {
	gathered := webrtc.GatheringCompletePromise(connection)
	if err := connection.SetLocalDescription(description); err != nil {
		return "", fmt.Errorf("start gathering: %w", err)
	}
	select {
	case <-gathered:
		return connection.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// callee answers calls. A call has a name that no other one has.
type callee interface {
	// offer takes a caller's offer and has the answer sent. opened is called when a data channel has opened.
	offer(ctx context.Context, call string, sdp string, answer func(sdp string), opened func()) error
	// hangUp ends a call; it may go on for a while.
	hangUp(call string)
	// close ends all calls and waits for it.
	close() error
}

// ours is the appliance's answerer for all sessions.
type ours struct {
	socket   *link.Socket
	answerer *agent.Answerer

	mu     sync.Mutex // Guards opened.
	opened map[string]func()
}

func newOurs(clock timing.Clock, h *host, sessions int) (*ours, error) {
	port, err := h.listen()
	if err != nil {
		return nil, err
	}
	o := &ours{opened: map[string]func(){}}
	if o.socket, err = link.Open(link.Config{Conn: port, Clock: clock, Admit: link.Admit(callers)}); err != nil {
		return nil, err
	}
	o.answerer = agent.NewAnswerer(agent.AnswererConfig{
		Socket: o.socket, Clock: clock, Limits: agent.Limits{Total: 10 * sessions, PerAddress: 10 * sessions}, Opened: o.tell,
	})
	return o, nil
}

func (o *ours) tell(from agent.Caller) {
	o.mu.Lock()
	opened := o.opened[from.Peer]
	o.mu.Unlock()
	if opened != nil {
		opened()
	}
}

// reply takes answers; what asks for a restart is passed over, since nothing is restarted here.
type reply func(sdp string)

func (r reply) Answer(sdp string) { r(sdp) }
func (r reply) Restart(string)    {}

// Refuse, Ended and Dropped are passed over: the negotiation then takes its limit, and counts as failed.
func (r reply) Refuse(*agent.CallError)  {}
func (r reply) Ended(*agent.CallError)   {}
func (r reply) Dropped(*agent.CallError) {}

func (o *ours) offer(_ context.Context, call, sdp string, answer func(string), opened func()) error {
	o.mu.Lock()
	o.opened[call] = opened
	o.mu.Unlock()
	return o.answerer.Offer(caller(call), sdp, reply(answer))
}

func caller(call string) agent.Caller {
	return agent.Caller{Room: "bench", Peer: call, Address: netip.IPv4Unspecified()}
}

func (o *ours) hangUp(call string) {
	o.mu.Lock()
	delete(o.opened, call)
	o.mu.Unlock()
	o.answerer.Leave(caller(call))
}

func (o *ours) close() error {
	o.answerer.Close()
	return o.socket.Close()
}

// plain is pion's peer connection with its defaults, one after another.
type plain struct {
	host *host

	mu      sync.Mutex // Guards what follows.
	calls   map[string]*webrtc.PeerConnection
	closing sync.WaitGroup
}

func newPlain(h *host) *plain { return &plain{host: h, calls: map[string]*webrtc.PeerConnection{}} }

func (p *plain) offer(ctx context.Context, call, sdp string, answer func(string), opened func()) error {
	connection, err := newConnection(p.host, false)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.calls[call] = connection
	p.mu.Unlock()
	connection.OnDataChannel(func(c *webrtc.DataChannel) { c.OnOpen(opened) })
	if err := connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}); err != nil {
		return fmt.Errorf("take the offer: %w", err)
	}
	description, err := connection.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("create the answer: %w", err)
	}
	complete, err := gather(ctx, connection, description)
	if err == nil {
		answer(complete)
	}
	return err
}

func (p *plain) hangUp(call string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	connection := p.calls[call]
	if connection == nil {
		return
	}
	delete(p.calls, call)
	p.closing.Go(func() { _ = connection.GracefulClose() }) // What it may report is that the other side has closed.
}

func (p *plain) close() error {
	p.mu.Lock()
	calls := make([]string, 0, len(p.calls))
	for call := range p.calls {
		calls = append(calls, call)
	}
	p.mu.Unlock()
	for _, call := range calls {
		p.hangUp(call)
	}
	p.closing.Wait()
	return nil
}
