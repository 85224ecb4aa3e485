package agent_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"tourbillon/signaling/agent"
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
			neighbour.echo(t, "still here")
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
			if got := len(flooder.got); got > 50*(seconds+1) {
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
	check(t, "close the client", c.connection.GracefulClose())
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
