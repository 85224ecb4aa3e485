//go:build interop && linux

package survive_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/client"
	"tourbillon/timing"
)

// callerConfig is how a caller goes about it.
type callerConfig struct {
	// Relay has everything go through the relay.
	Relay bool
}

const (
	// packetEvery is the time between two media packets; wanted is how many have to arrive for media to flow.
	packetEvery = 20 * time.Millisecond
	wanted      = 50
	// When pion calls a connection disconnected and failed: earlier than by itself, so that tests are shorter.
	silenceIsDisconnected, silenceIsFailed = 2 * time.Second, 5 * time.Second
)

// caller is one client in a room with another: a pion connection that does as tourbillon.v1 says about paths. Its loop
// owns it; everybody else hands it functions.
type caller struct {
	config callerConfig
	room   *client.Room
	do     chan func()
	log    *slog.Logger

	pc       *webrtc.PeerConnection
	track    *webrtc.TrackLocalStaticRTP
	peer     string
	present  bool
	answered bool
	waiting  []webrtc.ICECandidateInit
	told     told

	flow flow
}

// flow counts the media that comes. Both sides stamp what they send with an epoch, which "flow" moves on at both.
type flow struct {
	mu sync.Mutex
	// own is this side's epoch, theirs the latest that came, packets how many came of it; reached is told when enough did.
	own, theirs, since, packets uint64
	reached                     chan struct{}
}

// await returns a channel that is closed once so much has come that was sent from now on. What is under way is not
// counted: it takes less than the packets that are passed over.
func (f *flow) await() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since, f.packets, f.reached = f.theirs, 0, make(chan struct{})
	return f.reached
}

// came counts a packet by its sender's number.
func (f *flow) came(number uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.theirs = max(f.theirs, number)
	if f.packets++; f.reached != nil && f.packets >= wanted && f.theirs >= f.since+wanted {
		close(f.reached)
		f.reached = nil
	}
}

func (f *flow) next() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.own++
	return f.own
}

// callOut is the caller's role.
func callOut(t *testing.T, given []byte) {
	c := &caller{do: make(chan func(), 1024), log: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("pid", os.Getpid())}
	must(t, json.Unmarshal(given, &c.config))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	room, err := client.Join(ctx, "ws://"+serverAddress+":8080/ws", client.Options{Room: "demo", JoinTimeout: 2 * time.Second})
	cancel()
	must(t, err)
	c.room = room
	go c.loop()
	c.send()
	obey(map[string]func() string{
		"flow": func() string { <-c.flow.await(); return "done" },
		"told": func() string {
			answer := make(chan string)
			c.do <- func() { text, _ := json.Marshal(c.told); answer <- string(text) }
			return <-answer
		},
	})
	room.Close()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// loop runs until the process ends.
func (c *caller) loop() {
	for {
		select {
		case f := <-c.do:
			f()
		case event, open := <-c.room.Events():
			if !open {
				c.log.Error("the room has ended", "error", c.room.Err())
				return
			}
			c.hear(event)
		}
	}
}

// try tells what went wrong: a test that fails shows it.
func (c *caller) try(what string, err error) bool {
	if err != nil {
		c.log.Warn(what, "error", err)
	}
	return err == nil
}

func (c *caller) hear(event client.Event) {
	switch e := event.(type) {
	case client.Joined:
		for _, p := range e.Peers {
			c.meet(p, e.Restarted)
		}
	case client.PeerJoined:
		c.meet(e.Peer, c.peer == e.Peer.ID) // Known from before: the server was restarted meanwhile.
	case client.Resumed:
		c.report()
	case client.Signal:
		c.signal(e)
	case client.Restart:
		if e.Route != "" {
			c.told.Asked++
			c.restart(e)
		}
	}
}

// meet greets a peer: the newcomer calls. One with whom there is a connection was there before the server went down, and
// with it the relay.
func (c *caller) meet(p client.Peer, restarted bool) {
	c.peer, c.present = p.ID, true
	switch {
	case c.pc == nil && p.Polite:
		c.open()
		c.offer(nil)
	case c.pc != nil && restarted && c.config.Relay:
		c.say("failed")
	case c.pc != nil:
		c.report()
	}
}

func (c *caller) servers(s client.ICEServers) webrtc.Configuration {
	configuration := webrtc.Configuration{ICETransportPolicy: webrtc.ICETransportPolicyAll}
	if c.config.Relay {
		configuration.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	for _, server := range s.Servers {
		configuration.ICEServers = append(configuration.ICEServers, webrtc.ICEServer{
			URLs: server.URLs, Username: server.Username, Credential: server.Credential,
		})
	}
	return configuration
}

// open makes the connection.
func (c *caller) open() {
	var settings webrtc.SettingEngine
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICETimeouts(silenceIsDisconnected, silenceIsFailed, 500*time.Millisecond)
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(opus())).NewPeerConnection(c.servers(c.room.ICEServers()))
	if !c.try("open", err) {
		return
	}
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", "call")
	c.try("make a track", err)
	_, err = pc.AddTrack(track)
	c.try("add the track", err)
	pc.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { c.listen(remote) })
	pc.OnICECandidate(func(candidate *webrtc.ICECandidate) { c.do <- func() { c.trickle(candidate) } })
	pc.OnICEConnectionStateChange(func(state webrtc.ICEConnectionState) { c.do <- func() { c.changed(state) } })
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) { c.log.Info("connection", "state", state) })
	c.pc, c.track = pc, track
	c.say("gathering")
}

func opus() *webrtc.MediaEngine {
	engine := &webrtc.MediaEngine{}
	_ = engine.RegisterCodec(webrtc.RTPCodecParameters{ // Fails for a kind that is none.
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, PayloadType: 111,
	}, webrtc.RTPCodecTypeAudio)
	return engine
}

func (c *caller) listen(remote *webrtc.TrackRemote) {
	for {
		packet, _, err := remote.ReadRTP()
		if err != nil {
			return
		}
		if len(packet.Payload) >= 8 {
			c.flow.came(binary.BigEndian.Uint64(packet.Payload))
		}
	}
}

// send sends media on a grid until the process ends.
func (c *caller) send() {
	var sequence uint16
	var again func()
	clock := timing.Runtime{}
	again = func() {
		c.do <- func() {
			if c.track == nil {
				return
			}
			sequence++
			payload := binary.BigEndian.AppendUint64(nil, c.flow.next())
			_ = c.track.WriteRTP(&rtp.Packet{ // An interrupted connection loses it.
				Header: rtp.Header{Version: 2, SequenceNumber: sequence, Timestamp: 960 * uint32(sequence)}, Payload: payload,
			})
		}
		clock.AfterFunc(packetEvery, again)
	}
	clock.AfterFunc(packetEvery, again)
}

func (c *caller) offer(options *webrtc.OfferOptions) {
	offer, err := c.pc.CreateOffer(options)
	if !c.try("create an offer", err) || !c.try("take the own offer", c.pc.SetLocalDescription(offer)) {
		return
	}
	c.told.Offers++
	c.try("send the offer", c.room.Offer(c.peer, offer.SDP))
}

// restart does what the server asks for.
func (c *caller) restart(e client.Restart) {
	if c.pc == nil {
		return
	}
	c.log.Info("asked to restart", "route", e.Route, "reason", e.Reason)
	c.try("take the fresh servers", c.pc.SetConfiguration(c.servers(e.ICEServers)))
	if c.pc.SignalingState() == webrtc.SignalingStateHaveLocalOffer {
		c.try("send the offer again", c.room.Offer(c.peer, c.pc.LocalDescription().SDP))
		return
	}
	c.told.Restarts++
	c.say("restarting")
	c.offer(&webrtc.OfferOptions{ICERestart: true})
}

func (c *caller) signal(s client.Signal) {
	switch s.Kind {
	case "offer":
		if c.pc == nil {
			c.open()
		}
		c.answer(s.SDP)
	case "answer":
		if c.pc != nil && c.pc.SignalingState() == webrtc.SignalingStateHaveLocalOffer {
			answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: s.SDP}
			if c.try("take the answer", c.pc.SetRemoteDescription(answer)) {
				c.described()
			}
		}
	case "candidate":
		var candidate webrtc.ICECandidateInit
		if string(s.Candidate) == "null" || !c.try("read a candidate", json.Unmarshal(s.Candidate, &candidate)) {
			return
		}
		c.waiting = append(c.waiting, candidate)
		if c.answered {
			c.described()
		}
	}
}

func (c *caller) answer(sdp string) {
	offer := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}
	// The peer's servers were made fresh with its offer, so may be this end's.
	c.try("take the servers", c.pc.SetConfiguration(c.servers(c.room.ICEServers())))
	if !c.try("take the offer", c.pc.SetRemoteDescription(offer)) {
		return
	}
	answer, err := c.pc.CreateAnswer(nil)
	if !c.try("create an answer", err) || !c.try("take the own answer", c.pc.SetLocalDescription(answer)) {
		return
	}
	c.try("send the answer", c.room.Answer(c.peer, answer.SDP))
	c.described()
}

// described gives the connection the candidates that came before their description.
func (c *caller) described() {
	c.answered = true
	for _, candidate := range c.waiting {
		_ = c.pc.AddICECandidate(candidate) // One of a generation that is gone.
	}
	c.waiting = nil
}

func (c *caller) trickle(candidate *webrtc.ICECandidate) {
	if candidate == nil {
		c.try("end the candidates", c.room.Candidate(c.peer, nil))
		return
	}
	text, err := json.Marshal(candidate.ToJSON())
	c.try("write a candidate", err)
	c.try("send a candidate", c.room.Candidate(c.peer, text))
}

func (c *caller) changed(state webrtc.ICEConnectionState) {
	c.log.Info("ICE", "state", state)
	c.report()
}

// report says how the connection stands now.
func (c *caller) report() {
	if c.pc == nil {
		return
	}
	switch state := c.pc.ICEConnectionState(); state {
	case webrtc.ICEConnectionStateChecking, webrtc.ICEConnectionStateDisconnected, webrtc.ICEConnectionStateFailed:
		c.say(state.String())
	case webrtc.ICEConnectionStateConnected, webrtc.ICEConnectionStateCompleted:
		c.say("connected")
	}
}

func (c *caller) say(state string) {
	if !c.present || !c.room.LooksAfterPaths() {
		return
	}
	via := ""
	if state == "connected" {
		via = c.via()
	}
	c.try(fmt.Sprintf("report %s", state), c.room.ReportPath(c.peer, state, via, ""))
}

// via is how the packets travel.
func (c *caller) via() string {
	pair, err := c.pc.GetSenders()[0].Transport().ICETransport().GetSelectedCandidatePair()
	switch {
	case err != nil || pair == nil:
		return ""
	case pair.Local.Typ == webrtc.ICECandidateTypeRelay || pair.Remote.Typ == webrtc.ICECandidateTypeRelay:
		return "relay"
	}
	return "direct"
}
