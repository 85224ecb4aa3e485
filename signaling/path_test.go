package signaling

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tourbillon/timing"
)

// script is an orchestrator whose paths ask for a restart when a side fails, and again every ten seconds until one is
// connected. It is called under the hub's lock alone.
type script struct{ paths []*scripted }

type scripted struct {
	events  []PathEvent
	state   string
	attempt int
	wake    timing.Instant
}

func (s *script) Follow(timing.Instant) Path {
	p := &scripted{wake: timing.Never, state: "gathering"}
	s.paths = append(s.paths, p)
	return p
}

func (p *scripted) Apply(e PathEvent, now timing.Instant) (order PathOrder) {
	p.events = append(p.events, e)
	before := p.state
	switch e.Kind {
	case PathConnected:
		p.state, p.wake = "connected", timing.Never
	case PathFailed, PathWoken:
		p.state, p.wake = "consent-lost", now.Add(10*time.Second)
		p.attempt++
		order.Ask, order.Route = ImpoliteSide, "relay/udp"
	}
	order.State, order.Wake, order.Attempt, order.Changed = p.state, p.wake, p.attempt, p.state != before || order.Ask != ""
	return order
}

func (p *scripted) Status(now timing.Instant) PathStatus {
	return PathStatus{State: p.state, Since: now, Wake: p.wake, Attempt: p.attempt}
}

func (p *scripted) kinds() (kinds []string) {
	for _, e := range p.events {
		kinds = append(kinds, string(e.By)+" "+string(e.Kind))
	}
	return kinds
}

// dated issues credentials that tell when they were made, and for whom.
type dated struct {
	b      *bench
	issued *atomic.Int64
}

func (d dated) ICEServers(peer, host string) ([]ICEServer, time.Duration) {
	d.issued.Add(1)
	return []ICEServer{{
		URLs: []string{"turn:" + host}, Username: fmt.Sprint(d.b.clock.Time().Unix(), ":", peer), Credential: "c",
	}}, time.Minute
}

// couple are two peers, the first impolite, that the orchestrator looks after.
type couple struct {
	*bench
	script              *script
	ada, bob            *conn
	adaSock, bobSock    *fakeSocket
	adaPeer, bobPeer    string
	adaJoined, bobToken map[string]any
}

func newCouple(t *testing.T, limits Limits) *couple {
	t.Helper()
	c := &couple{script: &script{}}
	limits.SeatHold = 30 * time.Second
	issue := &dated{issued: &atomic.Int64{}}
	c.bench = newBench(t, Config{Orchestrator: c.script, Credentials: issue, Limits: limits, Heartbeat: 5 * time.Second})
	issue.b = c.bench
	c.ada, c.adaSock, c.adaJoined = c.enter("demo")
	c.bob, c.bobSock, c.bobToken = c.enter("demo")
	c.adaPeer, c.bobPeer = c.adaJoined["peer"].(string), c.bobToken["peer"].(string)
	if c.adaJoined["paths"] != true {
		t.Errorf("joined says %v", c.adaJoined)
	}
	return c
}

func report(from *conn, to, state string) {
	from.receive(fmt.Appendf(nil, `{"type":"stats","id":"r","to":%q,"state":%q,"via":"relay","transport":"tcp"}`, to, state), true)
}

// events are what the only path was told.
func (c *couple) events() []string {
	c.server.hub.mu.Lock()
	defer c.server.hub.mu.Unlock()
	if len(c.script.paths) == 0 {
		return nil
	}
	return c.script.paths[0].kinds()
}

func TestTheImpoliteSideIsAsked(t *testing.T) {
	c := newCouple(t, Limits{})
	report(c.bob, c.adaPeer, "connected")
	if m := c.bobSock.message(t, typePath); m["peer"] != c.adaPeer || m["state"] != "connected" || m["next_ms"] != nil {
		t.Errorf("the reporting side heard %v", m)
	}
	report(c.bob, c.adaPeer, "failed")
	if m := c.bobSock.message(t, typePath); m["state"] != "consent-lost" || m["next_ms"] != 10000.0 || m["attempt"] != 1.0 {
		t.Errorf("the reporting side heard %v", m)
	}
	asked := c.adaSock.message(t, typeRestart)
	servers := fmt.Sprint(asked["ice_servers"])
	if asked["from"] != c.bobPeer || asked["route"] != "relay/udp" || asked["ice_ttl_ms"] != 60000.0 || asked["n"] != 2.0 ||
		servers != fmt.Sprintf("[map[credential:c urls:[turn:tb.example] username:3600:%s]]", c.adaPeer) {
		t.Errorf("the impolite side was asked %v", asked)
	}
	if want := []string{"polite connected", "polite failed"}; !slices.Equal(c.events(), want) {
		t.Errorf("the path was told %v", c.events())
	}
	if e := c.script.paths[0].events[0]; e.Via != "relay" || e.Transport != "tcp" {
		t.Errorf("the path was told %+v", e)
	}
	for _, text := range append(slices.Clone(c.bobSock.sent), c.adaSock.sent...) {
		if kind := object(text)["type"]; kind == typeRestart || kind == typePath {
			t.Errorf("somebody else heard %s", text)
		}
	}
	if s := c.server.Stats(); s.RestartsAsked != 1 {
		t.Errorf("stats %+v", s)
	}
}

// TestEachRestartHasFreshCredentials asks again after those of the first restart have run out.
func TestEachRestartHasFreshCredentials(t *testing.T) {
	c := newCouple(t, Limits{})
	report(c.bob, c.adaPeer, "failed")
	for i := range 8 {
		servers := c.adaSock.message(t, typeRestart)["ice_servers"].([]any)[0].(map[string]any)
		if want := fmt.Sprintf("%d:%s", 3600+10*i, c.adaPeer); servers["username"] != want {
			t.Errorf("restart %d came with %v, want %s", i, servers, want)
		}
		for range 2 {
			c.clock.Advance(5 * time.Second)
			answerPings(t, c.bench, c.adaSock)
			answerPings(t, c.bench, c.bobSock)
		}
	}
}

func TestOffersAwayAndBackReachThePath(t *testing.T) {
	c := newCouple(t, Limits{})
	offer := fmt.Appendf(nil, `{"type":"offer","to":%q,"sdp":"v=0"}`, c.bobPeer)
	c.ada.receive(offer, true) // Nobody has reported: nothing is followed.
	report(c.bob, c.adaPeer, "checking")
	c.ada.receive(offer, true)
	c.ada.receive(fmt.Appendf(nil, `{"type":"answer","to":%q,"sdp":"v=0"}`, c.bobPeer), true)
	c.end(c.ada)
	c.resume(c.adaJoined["session"], 0)
	want := []string{"polite checking", "impolite offered", "impolite away", "impolite back"}
	if !slices.Equal(c.events(), want) {
		t.Errorf("the path was told %v", c.events())
	}
	if infos := c.server.Paths("demo"); len(infos) != 1 || infos[0].Impolite != c.adaPeer || infos[0].Polite != c.bobPeer {
		t.Errorf("paths %+v", infos)
	}
}

// TestAFreshPathKnowsWhoIsAway begins a path while the other side is away.
func TestAFreshPathKnowsWhoIsAway(t *testing.T) {
	c := newCouple(t, Limits{})
	c.end(c.ada)
	report(c.bob, c.adaPeer, "disconnected")
	if want := []string{"impolite away", "polite disconnected"}; !slices.Equal(c.events(), want) {
		t.Errorf("the path was told %v", c.events())
	}
}

func TestPathsEndWithTheirPeers(t *testing.T) {
	c := newCouple(t, Limits{JoinsPerSecond: 1e6, Unjoined: 1e6})
	for range 40 {
		third, _, joined := c.join("demo")
		report(third, c.adaPeer, "failed")
		report(third, c.bobPeer, "failed")
		c.adaSock.message(t, typeRestart)
		c.bobSock.message(t, typeRestart)
		c.end(third)
		c.adaSock.message(t, typePeerLeft)
		c.bobSock.message(t, typePeerLeft)
		if infos := c.server.Paths(""); len(infos) != 0 {
			t.Fatalf("of %v are left %+v", joined["peer"], infos)
		}
	}
	h := c.server.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.followed.total != 0 || len(h.followed.byFrom) != 0 || len(h.rooms["demo"].pairs) != 0 {
		t.Errorf("counted %+v", h.followed)
	}
}

func TestPathsAreBounded(t *testing.T) {
	c := newCouple(t, Limits{PathsPerAddress: 1})
	third, _, _ := c.join("demo")
	report(c.bob, c.adaPeer, "failed")
	c.adaSock.message(t, typeRestart)
	report(third, c.adaPeer, "failed") // Not followed, and no fault of the client's.
	report(c.bob, c.adaPeer, "failed")
	c.adaSock.message(t, typeRestart)
	if infos := c.server.Paths(""); len(infos) != 1 || infos[0].Polite != c.bobPeer {
		t.Errorf("paths %+v", infos)
	}
}

// TestAFloodOfReportsIsDropped lets one side say more than connections have states.
func TestAFloodOfReportsIsDropped(t *testing.T) {
	c := newCouple(t, Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6})
	for range reportsBurst + 1 {
		report(c.bob, c.adaPeer, "connected")
	}
	if m := c.bobSock.message(t, typeError); m["code"] != string(CodeRateLimited) || m["re"] != "r" || m["fatal"] != false {
		t.Errorf("the flood was answered by %v", m)
	}
	report(c.ada, c.bobPeer, "connected") // Has an allowance of its own.
	if n := len(c.events()); n != reportsBurst+1 {
		t.Errorf("the path was told %d things", n)
	}
}

func TestBadReportsAreRefused(t *testing.T) {
	c := newCouple(t, Limits{})
	for text, code := range map[string]Code{
		`{"type":"stats","to":"p","state":"connected"}`:                         CodeUnknownPeer,
		`{"type":"stats","state":"connected"}`:                                  CodeBadMessage,
		`{"type":"stats","to":"p","state":"woken"}`:                             CodeBadMessage,
		`{"type":"stats","to":"p","state":"connected","via":"pigeon"}`:          CodeBadMessage,
		`{"type":"stats","to":"p","state":"connected","transport":"pigeon"}`:    CodeBadMessage,
		`{"type":"stats","to":"p","state":"connected","stats":1}`:               CodeBadMessage,
		`{"type":"stats","to":"` + c.bobPeer + `","state":"connected"}`:         CodeUnknownPeer, // To itself.
		`{"type":"stats","to":"p","state":"\u001b[31m","stats":{"p":{"x":1}}} `: CodeBadMessage,
	} {
		c.bob.receive([]byte(text), true)
		if m := c.bobSock.message(t, typeError); m["code"] != string(code) || m["fatal"] != false {
			t.Errorf("%s got %v", text, m)
		}
	}
	if c.events() != nil {
		t.Errorf("the path was told %v", c.events())
	}
}

// TestNobodyLooksAfterPaths has a server without an orchestrator take reports, with measurements and without.
func TestNobodyLooksAfterPaths(t *testing.T) {
	b := newBench(t, Config{})
	_, _, ada := b.enter("demo")
	bob, bobSock, joined := b.enter("demo")
	if _, told := joined["paths"]; told {
		t.Errorf("joined says %v", joined)
	}
	report(bob, ada["peer"].(string), "failed")
	bob.receive(fmt.Appendf(nil, `{"type":"stats","to":%q,"state":"failed","stats":{"x":1}}`, ada["peer"]), true)
	bob.receive([]byte(`{"type":"stats","to":"@appliance","state":"failed"}`), true)
	bob.receive([]byte(`{"type":"ice-servers"}`), true)
	bobSock.message(t, typeICEServers)
	if got := string(b.server.Rooms()[0].Peers[1].Report); got != `{"x":1}` || len(bobSock.sent) != 0 {
		t.Errorf("report %s, and the client heard %v", got, bobSock.sent)
	}
}
