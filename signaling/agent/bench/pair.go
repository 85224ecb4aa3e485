package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"tourbillon/timing"
)

// connectLimit bounds one connection; on loopback it takes milliseconds.
const connectLimit = 20 * time.Second

// pair is two peer connections in this process and the data channel between them.
type pair struct {
	caller, callee *webrtc.PeerConnection
	channel        *webrtc.DataChannel

	open, ended chan struct{}
	endOnce     sync.Once
	// received counts the bytes that reached the callee; arrived tells of it.
	received atomic.Int64
	arrived  chan struct{}
}

// newPair makes two peer connections that know only loopback, and no multicast DNS. The caller closes them.
func newPair() (*pair, error) {
	p := &pair{open: make(chan struct{}), ended: make(chan struct{}), arrived: make(chan struct{}, 1)}
	api := loopbackAPI()
	for _, side := range []**webrtc.PeerConnection{&p.caller, &p.callee} {
		made, err := api.NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			p.close()
			return nil, fmt.Errorf("make a peer connection: %w", err)
		}
		made.OnConnectionStateChange(p.follow)
		*side = made
	}
	p.callee.OnDataChannel(func(c *webrtc.DataChannel) { c.OnMessage(p.receive) })
	return p, nil
}

func loopbackAPI() *webrtc.API {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(net.IP.IsLoopback)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	logs := logging.NewDefaultLoggerFactory()
	logs.DefaultLogLevel = logging.LogLevelDisabled
	settings.LoggerFactory = logs
	return webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(&webrtc.MediaEngine{}))
}

func (p *pair) receive(m webrtc.DataChannelMessage) {
	p.received.Add(int64(len(m.Data)))
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

func (p *pair) follow(state webrtc.PeerConnectionState) {
	if state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateClosed {
		p.endOnce.Do(func() { close(p.ended) })
	}
}

// connect negotiates and returns how long it took until the data channel was open. It blocks until then, at most for
// connectLimit, or until ctx ends.
func (p *pair) connect(ctx context.Context, clock timing.Clock) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := clock.AfterFunc(connectLimit, func() { cancel(fmt.Errorf("not connected within %v", connectLimit)) })
	defer limit.Stop()
	start := clock.Now()
	if err := p.negotiate(ctx); err != nil {
		return 0, err
	}
	select {
	case <-p.open:
		return clock.Now().Sub(start), nil
	case <-p.ended:
		return 0, errors.New("the connection failed")
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (p *pair) negotiate(ctx context.Context) (err error) {
	if p.channel, err = p.caller.CreateDataChannel("bench", nil); err != nil {
		return fmt.Errorf("make the data channel: %w", err)
	}
	p.channel.OnOpen(func() { close(p.open) })
	offer, err := p.caller.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("create the offer: %w", err)
	}
	if err := describe(ctx, p.caller, p.callee, offer); err != nil {
		return fmt.Errorf("hand over the offer: %w", err)
	}
	answer, err := p.callee.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("create the answer: %w", err)
	}
	if err := describe(ctx, p.callee, p.caller, answer); err != nil {
		return fmt.Errorf("hand over the answer: %w", err)
	}
	return nil
}

// describe hands a description with all candidates from one side to the other: loopback's are there at once.
func describe(ctx context.Context, from, to *webrtc.PeerConnection, description webrtc.SessionDescription) error {
	gathered := webrtc.GatheringCompletePromise(from)
	if err := from.SetLocalDescription(description); err != nil {
		return err
	}
	select {
	case <-gathered:
		return to.SetRemoteDescription(*from.LocalDescription())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close ends both sides and waits for what they started.
func (p *pair) close() {
	for _, side := range []*webrtc.PeerConnection{p.caller, p.callee} {
		if side != nil {
			_ = side.GracefulClose() // What it may report is that the other side has closed first.
		}
	}
}
