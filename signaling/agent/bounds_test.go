package agent_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent"
	"tourbillon/timing/timingtest"
)

// TestMessageFlood floods both kinds of data channels with small messages: no more are answered than a call may have, the
// rest is dropped and counted, and a neighbour is served.
func TestMessageFlood(t *testing.T) {
	for _, label := range []string{agent.EchoChannel, agent.MeasureChannel} {
		t.Run(label, func(t *testing.T) {
			a, closeAll := openAnswerer(t, agent.Limits{MessagesPerSecond: 50})
			defer closeAll()
			neighbour, flooder := newClient(t, 2, agent.EchoChannel), newClient(t, 1, label)
			for _, c := range []*client{neighbour, flooder} {
				c.call(t, a, nil)
				<-c.open
			}
			sent := 0
			for a.Stats().Dropped < 2000 {
				check(t, "flood", flooder.channel.SendText("x"))
				sent++
			}
			if why := <-flooder.dropped; !errors.Is(why, agent.ErrTooMany) || !strings.Contains(why.Remedy, "agents.messages_per_second") {
				t.Errorf("the flooder was told %v", why)
			}
			neighbour.echo(t, "still here")
			got, words := len(flooder.got), len(flooder.dropped) // Before the time that they came in.
			var of agent.CallStatus
			for _, c := range a.Calls() {
				if c.Caller == flooder.as {
					of = c
				}
			}
			if of.Dropped < 2000 || of.Dropped > int64(sent) {
				t.Errorf("%d of %d messages were dropped", of.Dropped, sent)
			}
			seconds := int(of.Phases[of.State].Seconds()) + 1
			if words > seconds/int(agent.DroppedEvery.Seconds()) || len(neighbour.dropped) > 0 {
				t.Errorf("in %d s the flooder was told %d times more, its neighbour %d times", seconds, words, len(neighbour.dropped))
			}
			if got > 50*(seconds+1) {
				t.Errorf("%d messages were answered in %d s", got, seconds)
			}
			check(t, "close the flooder", flooder.connection.GracefulClose())
			check(t, "close the neighbour", neighbour.connection.GracefulClose())
		})
	}
}

// TestManyChannels ends a call that opens more data channels than it may.
func TestManyChannels(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{})
	defer closeAll()
	c := newClient(t, 1, agent.EchoChannel)
	c.call(t, a, nil)
	<-c.open
	for n := range 8 {
		_, err := c.connection.CreateDataChannel(fmt.Sprint("other", n), nil)
		check(t, "make a channel", err)
	}
	for len(a.Calls()) > 0 {
		pass()
	}
	if s := a.Stats(); s.Ended[agent.EndFlood] != 1 {
		t.Errorf("%+v", s)
	}
	if why := <-c.ended; !errors.Is(why, agent.ErrBound) || !strings.Contains(why.Wrong, "8 data channels") {
		t.Errorf("the caller was told %v", why)
	}
	check(t, "close the client", c.connection.GracefulClose())
}

// TestTimeBounds ends calls by their lifetime and for carrying nothing; the caller is told which, and the key that sets it.
func TestTimeBounds(t *testing.T) {
	for key, row := range map[string]struct {
		limits agent.Limits
		end    agent.End
	}{
		"agents.lifetime": {agent.Limits{Lifetime: time.Second}, agent.EndLifetime},
		"agents.idle":     {agent.Limits{Idle: time.Second}, agent.EndIdle},
	} {
		a, closeAll := openAnswerer(t, row.limits)
		c := newClient(t, 1, agent.EchoChannel)
		check(t, "call", a.Offer(c.as, c.offer(t, nil), c))
		var why *agent.CallError
		select {
		case answer := <-c.answers:
			check(t, "take the answer", c.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
			why = <-c.ended
		case why = <-c.ended: // A machine that stood still for so long ends it before the answer.
		}
		if wrong, remedy := why.Advice(); !errors.Is(why, agent.ErrBound) || !strings.Contains(remedy, key) || !strings.Contains(wrong, "1s") {
			t.Errorf("%s: the caller was told %v", key, why)
		}
		for len(a.Calls()) > 0 {
			pass()
		}
		if s := a.Stats(); s.Ended[row.end] != 1 {
			t.Errorf("%s: %+v", key, s)
		}
		check(t, "close the client", c.connection.GracefulClose())
		closeAll()
	}
}

// TestRefusedByPion offers what our judge lets pass and pion does not take: the caller is told. As a renegotiation it
// leaves the call as it was, or ends it with word.
func TestRefusedByPion(t *testing.T) {
	withoutMid := func(sdp string) string { return strings.Replace(sdp, "a=mid:0\r\n", "", 1) }
	otherBundle := func(sdp string) string { return strings.Replace(sdp, "a=group:BUNDLE 0", "a=group:BUNDLE 7", 1) }
	for name, spoil := range map[string]func(string) string{"no mid": withoutMid, "another BUNDLE": otherBundle} {
		a, closeAll := openAnswerer(t, agent.Limits{})
		c := newClient(t, 1, agent.EchoChannel)
		sdp := c.offer(t, nil)
		if spoil(sdp) == sdp {
			t.Fatalf("%s: nothing to spoil in %s", name, sdp)
		}
		check(t, "offer", a.Offer(c.as, spoil(sdp), c))
		select {
		case why := <-c.refused:
			if wrong, remedy := why.Advice(); !errors.Is(why, agent.ErrBadOffer) || wrong == "" || remedy == "" {
				t.Errorf("%s: the caller was told %v", name, why)
			}
		case answer := <-c.answers:
			t.Errorf("%s: answered %q", name, answer)
		}
		check(t, "call", a.Offer(c.as, sdp, c))
		check(t, "take the answer", c.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: <-c.answers}))
		<-c.open
		check(t, "offer again", a.Offer(c.as, spoil(sdp), c))
		select {
		case <-c.refused:
			c.echo(t, "still here")
		case why := <-c.ended:
			if !errors.Is(why, agent.ErrBadOffer) {
				t.Errorf("%s: the end came as %v", name, why)
			}
			t.Logf("%s ends the call", name)
		}
		check(t, "close the client", c.connection.GracefulClose())
		closeAll()
	}
}

// inOrder is what a caller hears, whose words about its offers come in one channel.
type inOrder struct {
	deaf
	answered chan bool
}

func (o inOrder) Answer(string)           { o.answered <- true }
func (o inOrder) Refuse(*agent.CallError) { o.answered <- false }

// TestOfferedAtOnce sends a good offer right behind one that pion does not take, of the same peer connection, and again when it
// is told that it was not taken, without waiting for anything else: each offer gets one word, and the last one the answer.
func TestOfferedAtOnce(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{PerAddress: 100, Total: 100})
	c := newClient(t, 1, agent.EchoChannel)
	sdp := c.offer(t, nil)
	spoilt := strings.Replace(sdp, "a=group:BUNDLE 0", "a=group:BUNDLE 7", 1)
	caller := inOrder{answered: make(chan bool, 8)}
	hear := func() bool {
		t.Helper()
		select {
		case answered := <-caller.answered:
			return answered
		case <-timingtest.Patient(t).Done():
			t.Fatal("no word came")
		}
		return false
	}
	for range 20 {
		check(t, "a bad offer", a.Offer(c.as, spoilt, caller))
		check(t, "a good offer", a.Offer(c.as, sdp, caller))
		if hear() {
			t.Fatal("the bad offer was answered")
		}
		for !hear() {
			check(t, "the good offer again", a.Offer(c.as, sdp, caller))
		}
		a.Leave(c.as)
	}
	check(t, "close the client", c.connection.GracefulClose())
	closeAll()
	if n := len(caller.answered); n != 0 {
		t.Errorf("%d words came besides", n)
	}
}

// TestRemedies has a remedy for each kind of refusal, and for the bound of one address its own.
func TestRemedies(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{Total: 2, PerAddress: 1})
	c := newClient(t, 1, agent.EchoChannel)
	sdp := c.offer(t, nil)
	one := agent.Caller{Room: "demo", Peer: "one", Address: netip.MustParseAddr("192.0.2.7")}
	two := one
	two.Peer = "two"
	check(t, "call", a.Offer(one, sdp, deaf{}))
	refused := map[string]error{
		"calls_per_address": a.Offer(two, sdp, deaf{}),
		"begin with":        a.Candidate(caller(9), "candidate:1 1 udp 1 192.0.2.9 9 typ host"),
		"RTCIceCandidate":   a.Candidate(one, "candidate:junk"),
		"text of an RTC":    a.Offer(one, "junk", deaf{}),
	}
	check(t, "call", a.Offer(caller(2), sdp, deaf{}))
	refused["agents.calls"] = a.Offer(caller(3), sdp, deaf{})
	check(t, "close the client", c.connection.GracefulClose())
	closeAll()
	refused["server is back"] = a.Offer(caller(4), sdp, deaf{})
	for want, err := range refused {
		var known *agent.CallError
		if !errors.As(err, &known) || !strings.Contains(known.Remedy, want) {
			t.Errorf("want a remedy with %q: %v", want, err)
			continue
		}
		if wrong, _ := known.Advice(); wrong == "" || strings.Contains(wrong, known.Remedy) {
			t.Errorf("%q does not say what is wrong apart from the remedy", wrong)
		}
	}
}

// TestOneNetwork counts the addresses of an IPv6 /64 as one: whoever has one has all.
func TestOneNetwork(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{PerAddress: 2})
	defer closeAll()
	c := newClient(t, 1, agent.EchoChannel)
	sdp := c.offer(t, nil)
	for n, row := range []struct {
		address string
		want    error
	}{{"2001:db8::1", nil}, {"2001:db8::2", nil}, {"2001:db8::ffff:3", agent.ErrBusy}, {"2001:db8:0:1::1", nil}, {"::ffff:192.0.2.1", nil}, {"192.0.2.1", nil}, {"192.0.2.1", agent.ErrBusy}} {
		from := agent.Caller{Room: "demo", Peer: fmt.Sprint(n), Address: netip.MustParseAddr(row.address)}
		if err := a.Offer(from, sdp, deaf{}); !errors.Is(err, row.want) {
			t.Errorf("call %d, from %s: %v", n, row.address, err)
		}
	}
	if s := a.Stats(); s.Refused[agent.RefusedBusy] != 2 || s.Begun != 5 {
		t.Errorf("%+v", s)
	}
	check(t, "close the client", c.connection.GracefulClose())
}

// TestAReloadedPage calls again as the same peer with another peer connection: its call takes the first one's place.
func TestAReloadedPage(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{PerAddress: 1})
	defer closeAll()
	first, second := newClient(t, 1, agent.EchoChannel), newClient(t, 1, agent.EchoChannel)
	for _, c := range []*client{first, second} {
		c.call(t, a, nil)
		<-c.open
		c.echo(t, "hello")
	}
	for len(a.Calls()) != 1 {
		pass()
	}
	if s := a.Stats(); s.Ended[agent.EndReplaced] != 1 || s.Begun != 2 {
		t.Errorf("%+v", s)
	}
	second.echo(t, "still here")
	check(t, "close the first", first.connection.GracefulClose())
	check(t, "close the second", second.connection.GracefulClose())
}

// TestStays ends calls with the stay that they are of, and not with an earlier one.
func TestStays(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{})
	defer closeAll()
	c := newClient(t, 1, agent.EchoChannel)
	c.as.Stay = 7
	c.call(t, a, nil)
	<-c.open
	earlier := c.as
	earlier.Stay = 6
	a.Leave(earlier)
	c.echo(t, "still here")
	later := c.as
	later.Stay = 8
	a.Leave(later)
	for len(a.Calls()) > 0 {
		pass()
	}
	if s := a.Stats(); s.Ended[agent.EndLeft] != 1 {
		t.Errorf("%+v", s)
	}
	check(t, "close the client", c.connection.GracefulClose())
}
