package agent_test

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/consent"
	"tourbillon/signaling/agent/link"
	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

// wireTap is a socket that notes where datagrams leave for.
type wireTap struct {
	link.Conn
	mu   sync.Mutex
	left map[netip.Addr]int
}

func (w *wireTap) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	w.mu.Lock()
	w.left[to.Addr().Unmap()]++
	w.mu.Unlock()
	return w.Conn.WriteToAddrPort(b, to)
}

func (w *wireTap) WriteTo(b []byte, to net.Addr) (int, error) {
	return w.WriteToAddrPort(b, to.(*net.UDPAddr).AddrPort())
}

// others are where datagrams left for besides one address, and how many.
func (w *wireTap) others(but netip.Addr) map[netip.Addr]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	others := maps.Clone(w.left)
	delete(others, but)
	return others
}

// Of loopback one address is allowed and another, like all else that is denied, is not.
var allowedHost, deniedHost = netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")

// listener is a UDP socket that counts what comes.
func listenOn(t *testing.T, host netip.Addr) (conn *net.UDPConn, at netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, 0)))
	check(t, "listen", err)
	return conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// credential reads an ICE credential out of an SDP.
func credential(sdp, name string) string {
	_, rest, _ := strings.Cut(sdp, "a="+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// TestDeniedRanges gives an agent candidates where it must not send, in its offer and after it, and names. The checks to
// the one allowed candidate show that it is at work; nothing leaves for any other, and nothing comes to the one that
// listens. Then that one sends checks itself, with the right password: as a peer-reflexive candidate it gets no answer
// either, where the allowed one does.
func TestDeniedRanges(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	check(t, "listen", err)
	tap := &wireTap{Conn: link.UDP(conn), left: map[netip.Addr]int{}}
	port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	socket, err := link.Open(link.Config{
		Conn: tap, Clock: timing.Runtime{}, Admit: link.Admit(netip.PrefixFrom(allowedHost, 32)),
		Announce: []netip.AddrPort{netip.AddrPortFrom(allowedHost, port)},
	})
	check(t, "open the socket", err)
	a := agent.NewAnswerer(agent.AnswererConfig{Socket: socket, Clock: timing.Runtime{}})
	allowed, allowedAt := listenOn(t, allowedHost)
	denied, deniedAt := listenOn(t, deniedHost)

	c := newClient(t, 1, agent.EchoChannel)
	sdp := c.offer(t, nil)
	sdp = sdp[:strings.Index(sdp, "a=candidate:")]
	forbidden := []string{
		fmt.Sprint("127.0.0.3 ", deniedAt.Port()), fmt.Sprint("::ffff:127.0.0.3 ", deniedAt.Port()), "127.0.0.1 80", "::1 80",
		"169.254.169.254 80", "fd00:ec2::254 80", "fe80::1 80", "64:ff9b::7f00:3 80", "224.0.0.251 5353", "0.0.0.0 80",
		"localhost 80", "metadata.google.internal 80", "5c3e2a31.local 80",
	}
	line := func(n int, at string) string { return fmt.Sprintf("candidate:%d 1 udp 2130706431 %s typ host", n, at) }
	offered := sdp + "a=" + line(1, fmt.Sprint(allowedHost, " ", allowedAt.Port())) + "\r\n"
	for n, at := range forbidden {
		offered += "a=" + line(n+2, at) + "\r\n"
	}
	check(t, "call", a.Offer(c.as, offered, c))
	answer := <-c.answers
	for n, at := range forbidden {
		check(t, "trickle", a.Candidate(c.as, line(n+100, at)))
	}
	readChecks(t, allowed, 8) // Each comes again after 200 ms: pion has gone over all its pairs.
	if s := a.Calls()[0]; s.PassedOver != int64(2*len(forbidden)) {
		t.Errorf("%d candidates were passed over, want %d", s.PassedOver, 2*len(forbidden))
	}

	username := credential(answer, "ice-ufrag") + ":" + credential(sdp, "ice-ufrag")
	agentAt := net.UDPAddrFromAddrPort(netip.AddrPortFrom(allowedHost, port))
	for range 8 {
		_, err = denied.WriteTo(bindingRequest(t, username, credential(answer, "ice-pwd")), agentAt)
		check(t, "send a check", err)
	}
	_, err = allowed.WriteTo(bindingRequest(t, username, credential(answer, "ice-pwd")), agentAt)
	check(t, "send a check", err)
	for kind := consent.Other; kind != consent.Answer; { // The checks before it have been read by then.
		kind = readKind(t, allowed)
	}
	if others := tap.others(allowedHost); len(others) > 0 {
		t.Errorf("datagrams left for %v", others)
	}
	check(t, "close", denied.SetReadDeadline(time.Unix(1, 0)))
	if n, _, err := denied.ReadFrom(make([]byte, 1500)); err == nil {
		t.Errorf("%d bytes came to the denied address", n)
	}
	check(t, "close the client", c.connection.GracefulClose())
	a.Close()
	check(t, "close the socket", socket.Close())
	check(t, "close", allowed.Close())
	check(t, "close", denied.Close())
}

func bindingRequest(t *testing.T, username, password string) []byte {
	t.Helper()
	m, err := stun.Build(stun.BindingRequest, stun.TransactionID, stun.NewUsername(username),
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: make([]byte, 8)},
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{110, 0, 255, 255}},
		stun.RawAttribute{Type: stun.AttrUseCandidate}, stun.NewShortTermIntegrity(password), stun.Fingerprint)
	check(t, "build a check", err)
	return m.Raw
}

func readKind(t *testing.T, conn *net.UDPConn) consent.Kind {
	t.Helper()
	packet := make([]byte, 1500)
	n, _, err := conn.ReadFrom(packet)
	check(t, "read", err)
	return consent.KindOf(packet[:n])
}

func readChecks(t *testing.T, conn *net.UDPConn, n int) {
	t.Helper()
	for n > 0 {
		if readKind(t, conn) == consent.Request {
			n--
		}
	}
}

// TestJunkAtTheSocket sends the agents' socket what is no STUN, STUN cut short, with lengths that lie, with our ufrag and
// no or a wrong password, and DTLS of strangers, from many ports, while a call is on: it goes on, and nobody is answered
// but with what STUN's own error says.
func TestJunkAtTheSocket(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, "listen", err)
	socket, err := link.Open(link.Config{Conn: link.UDP(conn), Clock: timing.Runtime{}, Admit: link.Admit(netip.MustParsePrefix("127.0.0.0/8"))})
	check(t, "open the socket", err)
	a := agent.NewAnswerer(agent.AnswererConfig{Socket: socket, Clock: timing.Runtime{}})
	c := newClient(t, 1, agent.EchoChannel)
	sdp := c.offer(t, nil)
	check(t, "call", a.Offer(c.as, sdp, c))
	answer := <-c.answers
	check(t, "take the answer", c.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	<-c.open
	username := credential(answer, "ice-ufrag") + ":" + credential(sdp, "ice-ufrag")
	for range 20 {
		stranger, _ := listenOn(t, allowedHost)
		for _, datagram := range junk(t, username) {
			_, _ = stranger.WriteTo(datagram, conn.LocalAddr()) // What the system refuses, such as none at all, does not matter.
		}
		c.echo(t, "still here")
		check(t, "close", stranger.SetReadDeadline(time.Unix(1, 0)))
		if n, _, err := stranger.ReadFrom(make([]byte, 1500)); err == nil {
			t.Errorf("a stranger got %d bytes", n)
		}
		check(t, "close", stranger.Close())
	}
	if s := a.Calls()[0]; s.Path.Consent != consent.Granted || s.Path.Remote.Addr() == allowedHost {
		t.Errorf("%+v", s.Path)
	}
	check(t, "close the client", c.connection.GracefulClose())
	a.Close()
	check(t, "close the socket", socket.Close())
}

// junk is what comes to open ports, and what somebody may send who knows the user name but not the password.
func junk(t *testing.T, username string) [][]byte {
	t.Helper()
	guess := bindingRequest(t, username, "a password of twenty-two letters")
	all := [][]byte{{}, {0}, []byte("GET / HTTP/1.1\r\n\r\n"), make([]byte, 1400), {22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255}, {0x80, 0x60}}
	for n := 1; n < len(guess); n += 3 {
		all = append(all, guess[:n])
	}
	unsigned, err := stun.Build(stun.BindingRequest, stun.TransactionID, stun.NewUsername(username))
	check(t, "build a check", err)
	long := append([]byte(nil), guess...)
	binary.BigEndian.PutUint16(long[2:], 65532)
	nested := append([]byte(nil), guess...)
	binary.BigEndian.PutUint16(nested[22:], 65535)
	noise := make([]byte, 1200)
	_, _ = rand.Read(noise)
	return append(all, guess, unsigned.Raw, long, nested, noise)
}

// TestNobodyAnswers has a caller who sends an offer and is never heard of again: checks leave paced and in bounded
// number, the call is restarted, and ends by itself.
func TestNobodyAnswers(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		network := memory(t, v, timingtest.Deliver)
		endpoint := listen(t, network, serverHost)
		socket, err := link.Open(link.Config{Conn: endpoint, Clock: v.Clock, Admit: link.Admit(inMemory)})
		check(t, "open the socket", err)
		a := agent.NewAnswerer(agent.AnswererConfig{Socket: socket, Clock: v.Clock})
		silent := newSilentCaller(t, network)
		began := v.Clock.Now()
		check(t, "call", a.Offer(silent.as, silent.sdp, silent))
		for v.Clock.Now().Sub(began) < 10*time.Minute && len(a.Calls()) > 0 {
			v.Pass(time.Second)
		}
		took, sent := v.Clock.Now().Sub(began), len(network.Sent())
		s := a.Stats()
		t.Logf("ended after %v, %d checks, %+v", took, sent, s)
		if took > 3*time.Minute || s.Ended[agent.EndIdle]+s.Ended[agent.EndNoRoute] != 1 || s.Restarts == 0 {
			t.Errorf("%v, %+v", took, s)
		}
		if most := int(took/(50*time.Millisecond)) + 1; sent > most {
			t.Errorf("%d datagrams, at most one in 50 ms would be %d", sent, most)
		}
		a.Close()
		check(t, "close the socket", socket.Close())
		check(t, "close", silent.connection.GracefulClose())
		check(t, "close the network", network.Close())
		v.Pass(time.Minute)
	})
}

// silentCaller has an offer and nothing else.
type silentCaller struct {
	*client
	sdp string
}

func newSilentCaller(t *testing.T, network *timingtest.Network) silentCaller {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetNet(hostNet{network: network, address: clientHost})
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.LoggerFactory = silent()
	c := clientOf(t, s, 1, agent.EchoChannel)
	return silentCaller{c, c.offer(t, nil)}
}

// TestLifetime ends a call that is in use.
func TestLifetime(t *testing.T) {
	timingtest.InVirtualTime(t, icePath, func(t *testing.T, v *timingtest.VirtualTime) {
		b := &blackout{v: v, limits: agent.Limits{Lifetime: 3 * time.Minute, Idle: time.Minute}}
		b.open(t)
		for n := 0; n < 5 && len(b.answerer.Calls()) == 1; n++ {
			b.echo(t)
			v.Pass(30 * time.Second)
		}
		calls := b.answerer.Calls()
		if len(calls) != 1 || v.Clock.Now().Sub(calls[0].Began) < 150*time.Second {
			t.Fatalf("before its time: %+v, %+v", calls, b.answerer.Stats())
		}
		v.Pass(calls[0].Began.Add(3*time.Minute - time.Second).Sub(v.Clock.Now()))
		if len(b.answerer.Calls()) != 1 {
			t.Errorf("a second before its time: %+v", b.answerer.Stats())
		}
		b.deafen()
		v.Pass(2 * time.Second)
		if s := b.answerer.Stats(); s.Ended[agent.EndLifetime] != 1 || len(b.answerer.Calls()) != 0 {
			t.Errorf("%+v", s)
		}
		b.close(t)
	})
}
