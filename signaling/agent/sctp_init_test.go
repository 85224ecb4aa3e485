package agent_test

import (
	"encoding/base64"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent"
)

var sctpInitLine = regexp.MustCompile(`a=sctp-init:.*\r\n`)

// TestJunkForSCTP has callers' descriptions say junk of SCTP: their calls come to nothing, and the next one is answered.
func TestJunkForSCTP(t *testing.T) {
	a, closeAll := openAnswerer(t, agent.Limits{})
	for i, junk := range []string{"", "%%%", "AAAA", base64.StdEncoding.EncodeToString(make([]byte, 20)), strings.Repeat("QUJD", 900)} {
		c := hastenedClient(t, i)
		offer := c.offer(t, nil)
		if !sctpInitLine.MatchString(offer) {
			t.Fatalf("an offer of ours says nothing of SCTP:\n%s", offer)
		}
		secure := make(chan struct{})
		c.connection.SCTP().Transport().OnStateChange(func(s webrtc.DTLSTransportState) {
			if s == webrtc.DTLSTransportStateConnected {
				close(secure)
			}
		})
		if err := a.Offer(c.as, sctpInitLine.ReplaceAllLiteralString(offer, "a=sctp-init:"+junk+"\r\n"), c); err != nil {
			t.Fatalf("%q: %v", junk, err)
		}
		for ended := false; !ended; {
			select {
			case answer := <-c.answers:
				check(t, "take the answer", c.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
			case <-secure: // The answerer has begun with SCTP, or is about to.
				ended = true
			default:
				ended = len(a.Calls()) == 0
				pass()
			}
		}
		a.Leave(c.as)
		for len(a.Calls()) > 0 {
			pass()
		}
		check(t, "close the client", c.connection.GracefulClose())
	}
	c := hastenedClient(t, 9)
	c.call(t, a, nil)
	<-c.open
	check(t, "close the client", c.connection.GracefulClose())
	closeAll()
}

// hastenedClient is a caller with what our own have.
func hastenedClient(t *testing.T, n int) *client {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	s.SetIPFilter(net.IP.IsLoopback)
	s.LoggerFactory = silent()
	agent.Hasten(&s)
	return clientOf(t, s, n, agent.EchoChannel)
}
