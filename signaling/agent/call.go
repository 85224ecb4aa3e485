package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/timing"
)

// call is two connected peer connections in this process and the data channel between them.
type call struct {
	caller, callee *webrtc.PeerConnection
	channel        *webrtc.DataChannel

	// open is closed when the channel can carry data, ended when either side has failed or closed.
	open, ended chan struct{}
	// echoes receives the instants that came back; one that nobody takes is dropped.
	echoes chan timing.Instant

	endOnce sync.Once
}

// placeCall connects caller and callee through the relay. When ctx ends first its cause is the error.
func placeCall(ctx context.Context, relay Relay, log *slog.Logger) (*call, error) {
	c := &call{open: make(chan struct{}), ended: make(chan struct{}), echoes: make(chan timing.Instant, 1)}
	if err := c.make(relay, log); err != nil {
		c.close()
		return nil, err
	}
	if err := c.negotiate(ctx); err != nil {
		c.close()
		return nil, err
	}
	select {
	case <-c.open:
		return c, nil
	case <-c.ended:
		c.close()
		return nil, errors.New("ICE found no working pair through the relay")
	case <-ctx.Done():
		c.close()
		return nil, context.Cause(ctx)
	}
}

func (c *call) make(relay Relay, log *slog.Logger) (err error) {
	api := relayedAPI(log)
	config := webrtc.Configuration{
		ICEServers:         []webrtc.ICEServer{{URLs: []string{relay.URL}, Username: relay.Username, Credential: relay.Credential}},
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
	}
	if c.caller, err = api.NewPeerConnection(config); err != nil {
		return fmt.Errorf("make the calling side: %w", err)
	}
	if c.callee, err = api.NewPeerConnection(config); err != nil {
		return fmt.Errorf("make the called side: %w", err)
	}
	for _, side := range []*webrtc.PeerConnection{c.caller, c.callee} {
		side.OnConnectionStateChange(c.follow)
	}
	c.callee.OnDataChannel(echo)
	if c.channel, err = c.caller.CreateDataChannel("echo", nil); err != nil {
		return fmt.Errorf("make the data channel: %w", err)
	}
	c.channel.OnOpen(func() { close(c.open) })
	c.channel.OnMessage(c.receive)
	return nil
}

// relayedAPI makes connections that may use loopback, where our relay is by default, and no multicast DNS. Relay
// candidates are nominated at once: pion would wait 2 s for better ones, and there are no others.
func relayedAPI(log *slog.Logger) *webrtc.API {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.LoggerFactory = loggerFactory{log}
	settings.SetRelayAcceptanceMinWait(0)
	Hasten(&settings)
	return webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(&webrtc.MediaEngine{}))
}

// negotiate exchanges complete descriptions: both sides are here, so trickling would save nothing.
func (c *call) negotiate(ctx context.Context) error {
	offer, err := c.caller.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("create the offer: %w", err)
	}
	if err := gather(ctx, c.caller, offer); err != nil {
		return err
	}
	if err := c.callee.SetRemoteDescription(*c.caller.LocalDescription()); err != nil {
		return fmt.Errorf("take the offer: %w", err)
	}
	answer, err := c.callee.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("create the answer: %w", err)
	}
	if err := gather(ctx, c.callee, answer); err != nil {
		return err
	}
	if err := c.caller.SetRemoteDescription(*c.callee.LocalDescription()); err != nil {
		return fmt.Errorf("take the answer: %w", err)
	}
	return nil
}

func gather(ctx context.Context, side *webrtc.PeerConnection, description webrtc.SessionDescription) error {
	gathered := webrtc.GatheringCompletePromise(side)
	if err := side.SetLocalDescription(description); err != nil {
		return fmt.Errorf("start gathering: %w", err)
	}
	select {
	case <-gathered:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gather a relay candidate: %w", context.Cause(ctx))
	}
}

func (c *call) follow(state webrtc.PeerConnectionState) {
	if state == webrtc.PeerConnectionStateFailed || state == webrtc.PeerConnectionStateClosed {
		c.endOnce.Do(func() { close(c.ended) })
	}
}

// echo sends back what comes on the called side.
func echo(channel *webrtc.DataChannel) {
	channel.OnMessage(func(m webrtc.DataChannelMessage) {
		_ = channel.Send(m.Data) // A closing channel: the calling side counts the miss.
	})
}

func (c *call) receive(m webrtc.DataChannelMessage) {
	if len(m.Data) != 8 {
		return
	}
	select {
	case c.echoes <- timing.Instant(binary.BigEndian.Uint64(m.Data)):
	default:
	}
}

func (c *call) send(now timing.Instant) error {
	return c.channel.Send(binary.BigEndian.AppendUint64(nil, uint64(now)))
}

// close ends both sides and waits for what they started.
func (c *call) close() {
	for _, side := range []*webrtc.PeerConnection{c.caller, c.callee} {
		if side != nil {
			_ = side.GracefulClose() // Already closed is all it reports.
		}
	}
}
