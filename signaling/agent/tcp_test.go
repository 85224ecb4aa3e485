package agent_test

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing"
)

// onlyTCP is pion's client with nothing but TCP.
func onlyTCP(t *testing.T, n int) *client {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
	s.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	s.LoggerFactory = silent()
	return clientOf(t, s, n, agent.EchoChannel)
}

// TestOnlyTCP calls the appliance from where UDP does not get out: checks, consent and data go over TCP, and a restart
// finds it again.
func TestOnlyTCP(t *testing.T) {
	a, socket, closeAll := openBoth(t, agent.Limits{})
	c := onlyTCP(t, 1)
	check(t, "call", a.Offer(c.as, c.offer(t, nil), c))
	answer := <-c.answers
	if !strings.Contains(answer, "tcptype passive") || !strings.Contains(answer, " udp ") {
		t.Errorf("the answer's candidates:\n%s", answer)
	}
	take := func(answer string) {
		t.Helper()
		check(t, "take the answer", c.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	}
	take(answer)
	<-c.open
	echo := func(text string) {
		t.Helper()
		check(t, "send", c.channel.Send([]byte(text)))
		if m := <-c.got; string(m.Data[16:]) != text || binary.BigEndian.Uint64(m.Data) == 0 {
			t.Errorf("%q came back", m.Data)
		}
	}
	echo("over TCP")
	s := a.Calls()[0]
	for s.State != orchestrate.Connected || s.Path.Consent != consent.Granted { // Other goroutines than the channel's see to that.
		pass()
		s = a.Calls()[0]
	}
	// Consent is renewed over the connection within 6 s (RFC 7675 section 5.1).
	for a.Calls()[0].Path.Renewed == s.Path.Renewed {
		pass()
	}
	if counts := socket.Counts(); counts.Forbidden+counts.Foreign+counts.Forged != 0 {
		t.Errorf("%+v", counts)
	}
	before := a.Calls()[0].Path.Remote
	check(t, "restart", a.Offer(c.as, c.offer(t, &webrtc.OfferOptions{ICERestart: true}), c))
	take(<-c.answers)
	for c.pair(t) == nil || a.Calls()[0].Path.Remote == before { // The client's port of the first connection is still taken.
		pass()
	}
	echo("after the restart")
	check(t, "close the client", c.connection.GracefulClose())
	closeAll()
}

// TestConnectionsAreBounded opens more connections than an address may have, and one that says nothing of ICE: each of
// those is closed by us, and one in their place is taken.
func TestConnectionsAreBounded(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, "listen", err)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, "listen", err)
	socket, err := link.Open(link.Config{Conn: link.UDP(conn), Listener: listener, Clock: timing.Runtime{}})
	check(t, "open the socket", err)
	var open []net.Conn
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp4", listener.Addr().String())
		check(t, "connect", err)
		check(t, "set a limit", c.SetDeadline(time.Now().Add(30*time.Second)))
		return c
	}
	for range 8 {
		open = append(open, dial())
	}
	ended := func(c net.Conn) {
		t.Helper()
		defer c.Close()
		if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("a connection too many, or of junk: %v", err)
		}
	}
	ended(dial()) // The ninth.
	junk := []byte("\x00\x10not a STUN messa")
	_, err = open[0].Write(junk)
	check(t, "send junk", err)
	ended(open[0])
	again := dial()
	_, err = again.Write(junk)
	check(t, "send junk", err)
	ended(again)
	for _, c := range open[1:] {
		check(t, "close", c.Close())
	}
	check(t, "close the socket", socket.Close())
	if _, err := net.Dial("tcp4", listener.Addr().String()); err == nil {
		t.Error("the listener outlives the socket")
	}
}
