package appliance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/appliance"
	"tourbillon/appliance/config"
	"tourbillon/signaling/client"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// printed collects what Run prints and tells when the link is there.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
	base chan string
}

var (
	callLink  = regexp.MustCompile(`Call +http://([^/]+)/call/`)
	adminLink = regexp.MustCompile(`Admin +(http://[^/]+)(/\S+)`)
)

// admin logs in by the printed link.
func (p *printed) admin(t *testing.T) *admin {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	a := &admin{client: http.Client{Jar: jar}}
	for a.base == "" { // It is printed right behind the other.
		p.mu.Lock()
		if m := adminLink.FindSubmatch(p.text.Bytes()); m != nil {
			a.base = string(m[1])
			p.mu.Unlock()
			response, err := a.client.Get(a.base + string(m[2]))
			must(t, err)
			must(t, response.Body.Close())
			return a
		}
		p.mu.Unlock()
		timingtest.Real(timing.Runtime{}).Pass(time.Millisecond)
	}
	return a
}

// admin is who has logged in.
type admin struct {
	client http.Client
	base   string
}

// shownAgents is what of GET /api/agents is looked at.
type shownAgents struct {
	Enabled bool
	Calls   []struct {
		Room, State string
		Bytes       int64
		Pair        *struct{ Remote string }
	}
}

func (a *admin) agents(t *testing.T) (shown shownAgents) {
	t.Helper()
	response, err := a.client.Get(a.base + "/api/agents")
	must(t, err)
	defer response.Body.Close()
	must(t, json.NewDecoder(response.Body).Decode(&shown))
	return shown
}

func (a *admin) metrics(t *testing.T) string {
	t.Helper()
	response, err := a.client.Get(a.base + "/metrics")
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return string(text)
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	had := callLink.Match(p.text.Bytes())
	p.text.Write(b)
	if m := callLink.FindSubmatch(p.text.Bytes()); m != nil && !had {
		p.base <- string(m[1])
	}
	return len(b), nil
}

// TestCallTheAppliance runs the whole on free ports and calls it as a client does: directly, over the relay alone, whose
// policy lets it reach the agents' port, and from where only TCP gets out.
func TestCallTheAppliance(t *testing.T) {
	if !timingtest.Alone(t) {
		return
	}
	c := config.Default()
	c.HTTP.Listen, c.Admin.Listen, c.StateDir = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	c.TURN.UDP, c.TURN.TCP = []string{"127.0.0.1:0"}, nil
	c.Agents.TCP = "127.0.0.1:0"
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	out := &printed{base: make(chan string, 1)}
	ended := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	go func() {
		ended <- appliance.Run(running, appliance.Options{Config: c, Out: out, Log: slog.New(slog.DiscardHandler)})
	}()
	base := ""
	select {
	case base = <-out.base:
	case err := <-ended:
		t.Fatal(err)
	}
	page := out.admin(t)
	for _, policy := range []webrtc.ICETransportPolicy{webrtc.ICETransportPolicyAll, webrtc.ICETransportPolicyRelay} {
		t.Run(policy.String(), func(t *testing.T) { callOnce(ctx, t, "ws://"+base+"/ws", policy, page) })
	}
	if text := page.metrics(t); !strings.Contains(text, "tourbillon_ice_calls_total 2\n") || !strings.Contains(text, `tourbillon_ice_calls_ended_total{reason="left"} 2`) {
		t.Errorf("the metrics are\n%s", text)
	}
	t.Run("TCP alone", func(t *testing.T) {
		callOnce(ctx, t, "ws://"+base+"/ws", webrtc.ICETransportPolicyAll, page, webrtc.NetworkTypeTCP4)
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	cancel()
}

func callOnce(ctx context.Context, t *testing.T, url string, policy webrtc.ICETransportPolicy, page *admin, networks ...webrtc.NetworkType) {
	room, err := client.Join(ctx, url, client.Options{Room: "demo", Name: "test"})
	must(t, err)
	defer room.Close()
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	if len(networks) > 0 {
		settings.SetNetworkTypes(networks)
	}
	var servers []webrtc.ICEServer
	for _, s := range room.ICEServers().Servers {
		servers = append(servers, webrtc.ICEServer{URLs: s.URLs, Username: s.Username, Credential: s.Credential})
	}
	connection, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{ICEServers: servers, ICETransportPolicy: policy})
	must(t, err)
	channel, err := connection.CreateDataChannel("echo", nil)
	must(t, err)
	back := make(chan []byte, 1)
	channel.OnOpen(func() { _ = channel.Send([]byte("hello")) })
	channel.OnMessage(func(m webrtc.DataChannelMessage) { back <- m.Data })
	offer, err := connection.CreateOffer(nil)
	must(t, err)
	gathered := webrtc.GatheringCompletePromise(connection)
	must(t, connection.SetLocalDescription(offer))
	<-gathered
	must(t, room.Offer("@appliance", connection.LocalDescription().SDP))
	for done := false; !done; {
		select {
		case e := <-room.Events():
			if answer, ok := e.(client.Signal); ok && answer.Kind == "answer" {
				must(t, connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer.SDP}))
			}
			if refused, ok := e.(client.Refused); ok {
				t.Fatal(refused.Refusal)
			}
		case data := <-back:
			if string(data[16:]) != "hello" {
				t.Errorf("the echo is %q", data)
			}
			done = true
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
	s := page.agents(t)
	for len(s.Calls) != 1 || s.Calls[0].State != "connected" || s.Calls[0].Pair == nil { // The echo can be there before the pair is told.
		must(t, ctx.Err())
		timingtest.Real(timing.Runtime{}).Pass(10 * time.Millisecond)
		s = page.agents(t)
	}
	if !s.Enabled || len(s.Calls) != 1 || s.Calls[0].Room != "demo" || s.Calls[0].State != "connected" || s.Calls[0].Pair == nil || s.Calls[0].Bytes == 0 {
		t.Errorf("the admin is shown %+v", s)
	}
	must(t, room.Leave(ctx)) // Its connection goes on: that it has left the room ends the call.
	for len(page.agents(t).Calls) > 0 {
		must(t, ctx.Err())
		timingtest.Real(timing.Runtime{}).Pass(10 * time.Millisecond)
	}
	must(t, connection.GracefulClose())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
