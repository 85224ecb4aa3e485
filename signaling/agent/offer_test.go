package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"tourbillon/signaling/agent/link"
	"tourbillon/timing"
)

const (
	goodFingerprint = "sha-256 " + "0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9:0A:1B:2C:3D:4E:5F:60:71:82:93:A4:B5:C6:D7:E8:F9"
	goodSession     = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=fingerprint:" + goodFingerprint + "\r\n"
	goodMedia       = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:0\r\n" +
		"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=sctp-port:5000\r\n"
	goodCandidate = "a=candidate:1 1 udp 2130706431 192.0.2.9 4000 typ host\r\n"
	goodOffer     = goodSession + goodMedia + goodCandidate
)

func limits() Limits { return Limits{}.WithDefaults() }

func TestAGoodOffer(t *testing.T) {
	o, err := limits().judge(goodOffer + "a=candidate:2 1 udp 1 f7e2.local 4000 typ host\r\na=candidate:3 1 udp 1 relay.example.org 4000 typ host\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(o.text, "candidate") || len(o.candidates) != 3 || len(o.fingerprints) != 1 || !strings.HasPrefix(o.text, goodSession) {
		t.Errorf("%+v", o)
	}
	again, err := limits().judge(strings.Replace(goodOffer, goodFingerprint, strings.ToLower(goodFingerprint), 1))
	if err != nil || !slices.Equal(again.fingerprints, o.fingerprints) {
		t.Errorf("the same certificate in other letters: %v, %v", again.fingerprints, err)
	}
}

// browserOffers have the lines of Chromium's and Firefox's offers of a data channel.
var browserOffers = map[string]string{
	"Chromium": `v=0
o=- 4043584112692093761 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:1672882752 1 udp 2113937151 85cd6e37-0cc7-447c-b4fd-a6bf5adeda45.local 35695 typ host generation 0 network-cost 999
a=candidate:842163049 1 udp 1677729535 192.0.2.7 35695 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999
a=candidate:3745641921 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active generation 0 network-id 1
a=candidate:4077567720 1 udp 41885439 192.0.2.9 50000 typ relay raddr 192.0.2.7 rport 35695 generation 0 network-cost 999
a=ice-ufrag:RADO
a=ice-pwd:nPCCJQtSNxchkzWcPPnHpFhi
a=ice-options:trickle
a=fingerprint:` + goodFingerprint + `
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
`,
	"Firefox": `v=0
o=mozilla...THIS_IS_SDPARTA-99.0 5341277246218436021 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:` + goodFingerprint + `
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=application 36163 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.7
a=candidate:0 1 UDP 2122252543 3b9f3c0a-0000-4c1f-8a1e-0d4b6f0e1c2d.local 36163 typ host
a=candidate:1 1 TCP 2105524479 192.0.2.7 9 typ host tcptype active
a=candidate:2 1 UDP 1686052863 192.0.2.7 36163 typ srflx raddr 0.0.0.0 rport 0
a=sendrecv
a=end-of-candidates
a=ice-pwd:0123456789abcdef0123456789abcdef
a=ice-ufrag:0a1b2c3d
a=mid:0
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
`,
}

func TestOffersOfBrowsers(t *testing.T) {
	for name, sdp := range browserOffers {
		o, err := limits().judge(strings.ReplaceAll(sdp, "\n", "\r\n"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		of := 0
		for _, candidate := range o.candidates {
			if _, err := readCandidate(candidate); err == nil {
				of++
			} else if !errors.Is(err, errPassedOver) {
				t.Errorf("%s: %s: %v", name, candidate, err)
			}
		}
		if of < 2 {
			t.Errorf("%s: %d candidates are of use", name, of)
		}
	}
}

// TestOffersFromHell holds each to its refusal, and no refusal to more of the caller's text than numbers.
func TestOffersFromHell(t *testing.T) {
	without := func(line string) string { return strings.Replace(goodOffer, line, "", 1) }
	with := func(lines string) string { return goodOffer + lines }
	fingerprint := func(text string) string { return strings.Replace(goodOffer, goodFingerprint, text, 1) }
	for _, row := range []struct{ name, sdp, want string }{
		{"empty", "", "v=0"},
		{"no SDP", "hello", "v=0"},
		{"another version", "v=00\r\n", "v=0"},
		{"nothing but the version", "v=0\r\n", "no data channels"},
		{"33 KiB", with(strings.Repeat("a=x:"+strings.Repeat("y", 1000)+"\r\n", 33)), "bytes, at most 32768"},
		{"a huge line", with("a=" + strings.Repeat("x", 5000) + "\r\n"), "bytes, at most 4096"},
		{"a huge line without an end", with("a=" + strings.Repeat("x", 5000)), "bytes, at most 4096"},
		{"many lines", with(strings.Repeat("a=b\r\n", 2000)), "lines, at most 1024"},
		{"10,000 candidates", with(strings.Repeat("a=candidate:\n", 2000) + strings.Repeat(goodCandidate, 8000)), "at most"},
		{"10,000 bytes of candidates", with(strings.Repeat(goodCandidate, 200)), "201 candidates, at most 100"},
		{"a media section for each port", with(strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", 500)), "501 media sections, at most 16"},
		{"audio alone", strings.Replace(goodOffer, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=audio 9 UDP/TLS/RTP/SAVPF 0", 1), "no data channels"},
		{"no ufrag", without("a=ice-ufrag:abcd\r\n"), "is missing"},
		{"no password", without("a=ice-pwd:abcdefghijklmnopqrstuv\r\n"), "is missing"},
		{"a short ufrag", strings.Replace(goodOffer, "abcd\r", "ab\r", 1), "a=ice-ufrag of 2 characters"},
		{"a long password", strings.Replace(goodOffer, "ice-pwd:", "ice-pwd:"+strings.Repeat("p", 300), 1), "a=ice-pwd of 322 characters"},
		{"no fingerprint", without("a=fingerprint:" + goodFingerprint + "\r\n"), "a=fingerprint is missing"},
		{"a fingerprint of MD5", fingerprint("md5 " + strings.Repeat("00:", 15) + "00"), "no SHA-2 hash"},
		{"a fingerprint that is short", fingerprint(goodFingerprint[:60]), "no SHA-2 hash"},
		{"a fingerprint without its colons", fingerprint(strings.ReplaceAll(goodFingerprint, ":", "")), "no SHA-2 hash"},
		{"a fingerprint of letters", fingerprint("sha-256 " + strings.Repeat("zz:", 31) + "zz"), "no SHA-2 hash"},
		{"many certificates", with(manyFingerprints(9)), "more than 8 certificates"},
		{"a candidate of letters", with("a=candidate:hello\r\n"), "candidate 2 cannot be read"},
		{"a long candidate", with("a=candidate:1 1 udp 1 192.0.2.9 9 typ host " + strings.Repeat("x y ", 200) + "\r\n"), "candidate 2 cannot be read"},
		{"a port of six digits", with("a=candidate:1 1 udp 1 192.0.2.9 900000 typ host\r\n"), "candidate 2 cannot be read"},
		{"zeros within", with("a=\x00\x00\r\nzz\x00\r\n"), "no SDP"},
		{"lines of no SDP", with("junk\r\n"), "no SDP"},
	} {
		_, err := limits().judge(row.sdp)
		var refused *CallError
		if !errors.As(err, &refused) || !errors.Is(err, ErrBadOffer) || refused.Remedy == "" || !strings.Contains(refused.Wrong, row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("%s is told in %d bytes", row.name, len(err.Error()))
		}
	}
}

func manyFingerprints(n int) string {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "a=fingerprint:sha-256 %s%02x\r\n", strings.Repeat("00:", 31), i)
	}
	return lines.String()
}

func TestCandidates(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, row := range []struct {
		text string
		want netip.AddrPort
		err  error
	}{
		{"candidate:1 1 udp 2130706431 192.0.2.9 4000 typ host", at("192.0.2.9:4000"), nil},
		{"1 1 UDP 1 2001:db8::1 4000 typ host", at("[2001:db8::1]:4000"), nil},
		{"candidate:1 1 udp 1 192.0.2.9 4000 typ srflx raddr 10.0.0.1 rport 4000 generation 0 ufrag x", at("192.0.2.9:4000"), nil},
		{"candidate:1 1 udp 1 192.0.2.9 4000 typ relay raddr 0.0.0.0 rport 9", at("192.0.2.9:4000"), nil},
		{"candidate:1 1 udp 1 0b4c-e7.local 4000 typ host", netip.AddrPort{}, errPassedOver},
		{"candidate:1 1 udp 1 metadata.internal 80 typ host", netip.AddrPort{}, errPassedOver},
		{"candidate:1 1 udp 1 metadata.internal 80 typ relay raddr 0.0.0.0 rport 9", netip.AddrPort{}, errPassedOver},
		{"candidate:1 1 udp 1 192.0.2.9 4000 typ pigeon", netip.AddrPort{}, errPassedOver},
		{"", netip.AddrPort{}, ErrBadCandidate},
		{"candidate:", netip.AddrPort{}, ErrBadCandidate},
		{"candidate:1 1 udp 1 192.0.2.9", netip.AddrPort{}, ErrBadCandidate},
		{"candidate:1 1 udp 1 192.0.2.9 65536 typ host", netip.AddrPort{}, ErrBadCandidate},
		{"candidate:1 1 udp 1 not/a/host 9 typ host", netip.AddrPort{}, ErrBadCandidate},
		{"candidate:" + strings.Repeat("x", 1000), netip.AddrPort{}, ErrBadCandidate},
	} {
		got, err := readCandidate(row.text)
		if got != row.want || !errors.Is(err, row.err) || (err == nil) != (row.err == nil) {
			t.Errorf("%.60q: %v, %v; want %v, %v", row.text, got, err, row.want, row.err)
		}
	}
}

func FuzzOffer(f *testing.F) {
	f.Add(goodOffer)
	f.Add("v=0\r\njunk")
	f.Add(goodSession + goodMedia + goodMedia + "a=candidate:1 1 udp 1 x.local 9 typ host\n")
	f.Fuzz(func(t *testing.T, sdp string) {
		l := limits()
		o, err := l.judge(sdp)
		var refused *CallError
		switch {
		case err != nil && (!errors.As(err, &refused) || !errors.Is(err, ErrBadOffer)):
			t.Errorf("%v is not typed", err)
		case err == nil && (len(o.text) > l.SDPBytes || strings.Contains(o.text, "\n"+candidatePrefix) || len(o.candidates) > l.Candidates ||
			len(o.fingerprints) == 0 || len(o.fingerprints) > maxFingerprints || !slices.IsSorted(o.fingerprints)):
			t.Errorf("%+v is accepted", o)
		}
	})
}

// TestMayTry holds pion to our rule at the addresses that it finds itself.
func TestMayTry(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := link.Open(link.Config{Conn: link.UDP(conn), Clock: timing.Runtime{}})
	if err != nil {
		t.Fatal(err)
	}
	c := &incoming{config: AnswererConfig{Socket: socket}}
	for text, want := range map[string]bool{
		"127.0.0.1": false, "::1": false, "169.254.169.254": false, "::ffff:127.0.0.1": false, "224.0.0.1": false,
		"10.0.0.1": true, "8.8.8.8": true, "2606:4700::1111": true,
	} {
		if got := c.mayTry(net.ParseIP(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if c.mayTry(nil) || c.mayTry(net.IP{1, 2, 3}) {
		t.Error("what is no address may be tried")
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
}

// FuzzTakenOffer goes on into pion with what the judge lets pass: it is answered or refused, and no more.
func FuzzTakenOffer(f *testing.F) {
	f.Add(goodOffer)
	f.Add(strings.Replace(goodOffer, "a=mid:0", "a=mid:7", 1))
	f.Add(strings.Replace(goodOffer, "a=mid:0\r\n", "", 1))
	f.Add(goodSession + goodMedia + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n")
	var s webrtc.SettingEngine
	s.SetIPFilter(func(net.IP) bool { return false }) // Nothing is gathered, nothing is sent.
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.LoggerFactory = loggerFactory{slog.New(slog.DiscardHandler)}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(&webrtc.MediaEngine{}))
	f.Fuzz(func(t *testing.T, sdp string) {
		o, err := limits().judge(sdp)
		if err != nil {
			return
		}
		connection, err := api.NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			t.Fatal(err)
		}
		if connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: o.text}) == nil {
			if answer, err := connection.CreateAnswer(nil); err == nil && !strings.HasPrefix(answer.SDP, "v=0") {
				t.Errorf("answered %q", answer.SDP)
			}
		}
		if err := connection.GracefulClose(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// FuzzCandidateOf reads whatever a client sends as a candidate: a text, the end of candidates, or a typed refusal.
func FuzzCandidateOf(f *testing.F) {
	for _, seed := range []string{"", "null", "{}", `{"candidate":""}`, `{"candidate":"candidate:1 1 udp 1 10.0.0.1 9 typ host","sdpMid":"0"}`,
		`{"candidate":7}`, `[]`, `{"candidate":"\u0000"}`, `{"candidate":`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		candidate, err := CandidateOf(text)
		var known *CallError
		switch {
		case err != nil && (!errors.As(err, &known) || !errors.Is(err, ErrBadCandidate) || known.Remedy == "" || candidate != ""):
			t.Errorf("%q is refused with %v", text, err)
		case len(candidate) > 3*len(text): // A broken byte becomes a character of three.
			t.Errorf("%q became %q", text, candidate)
		}
	})
}

func FuzzCandidate(f *testing.F) {
	f.Add("candidate:1 1 udp 2130706431 192.0.2.9 4000 typ host")
	f.Add("candidate:1 1 tcp 1 fe80::1%eth0 9 typ srflx raddr :: rport 0 tcptype passive")
	f.Add("1 1 udp 1 a.local 9 typ host generation 0")
	f.Fuzz(func(t *testing.T, text string) {
		to, err := readCandidate(text)
		switch {
		case err == nil && (!to.Addr().IsValid() || len(text) > maxCandidate):
			t.Errorf("%q leads to %v", text, to)
		case err != nil && !errors.Is(err, errPassedOver) && !errors.Is(err, ErrBadCandidate):
			t.Errorf("%v is not typed", err)
		}
	})
}

// FuzzSeries has any request, and any message in the place of an echo.
func FuzzSeries(f *testing.F) {
	f.Add([]byte(`{"count":3,"interval_ms":5,"size":12}`), []byte("\x00\x00\x00\x01         "))
	f.Add([]byte(`{"count":1e9,"interval_ms":-5,"size":1}`), []byte{255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte(`{"count":1000,"interval_ms":9223372036854775,"size":1200}`), []byte{})
	f.Fuzz(func(t *testing.T, request, message []byte) {
		s, err := readSeries(request)
		if err != nil {
			return
		}
		if s.count < 1 || s.count > maxProbes || s.every < minProbeEvery || s.every > maxProbeEvery || s.size < minProbeSize || s.size > maxProbeSize {
			t.Fatalf("%s is accepted", request)
		}
		s.echo(message, 0)
		for at := s.next(1); at != nil; at = s.next(2) {
			s.echo(message, 3)
			s.echo(at, 3)
			s.echo(at, 3)
		}
		if r := s.result(); r.Sent != s.count || r.Received != s.count || r.Lost != 0 || r.Duplicates < s.count {
			t.Errorf("%+v of %d", r, s.count)
		}
	})
}
