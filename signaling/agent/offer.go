package agent

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// candidatePrefix begins the lines of candidates (RFC 8839 section 5.1).
const candidatePrefix = "a=candidate:"

const (
	// maxLine is the longest line of an offer, in bytes: fingerprints, candidates and the like take some hundred.
	maxLine = 4 << 10
	// maxCandidate is the longest candidate in bytes.
	maxCandidate = 512
	// maxMedia is how many media sections an offer may have; those of audio and video are declined.
	maxMedia = 16
	// maxFingerprints is how many certificates an offer may name (RFC 8122 section 5 allows several).
	maxFingerprints = 8
	// Lengths of ICE credentials (RFC 8839 section 5.4).
	minUfrag, minPassword, maxCredential = 4, 22, 256
)

// fingerprintBytes are the lengths of the hashes that a fingerprint may be of (RFC 8122 section 5; MD5 must not be used,
// SHA-1 is broken).
var fingerprintBytes = map[string]int{"sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}

// offer is what an offer says, as far as it is judged here. It is pure.
type offer struct {
	// text is the offer without its candidates, each of which is judged by itself.
	text string
	// fingerprints of the caller's certificates, sorted: another list is another peer connection.
	fingerprints []string
	candidates   []string
	media        int
	channels     bool
	ufrag, pass  bool
	// lite says that the caller is ICE-lite, which answers checks and sends none (RFC 8445 section 2.5).
	lite bool
}

// judge refuses an offer that is too large, or that lacks what a call needs, before anything is made for it.
func (l Limits) judge(sdp string) (offer, error) {
	if err := l.measure(sdp); err != nil {
		return offer{}, err
	}
	var o offer
	var rest strings.Builder
	for line := range strings.Lines(sdp) {
		if err := o.line(strings.TrimRight(line, "\r\n")); err != nil {
			return offer{}, err
		}
		if !strings.HasPrefix(line, candidatePrefix) {
			rest.WriteString(line)
		}
	}
	o.text = rest.String()
	if err := o.complete(l); err != nil {
		return offer{}, err
	}
	description := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: o.text}
	if _, err := description.Unmarshal(); err != nil {
		return offer{}, badOffer("send the text of an RTCSessionDescription as it is", "no SDP of RFC 8866")
	}
	return o, nil
}

// measure bounds what the rest has to read.
func (l Limits) measure(sdp string) error {
	const fewer = "offer a data channel alone, with complete lines"
	if len(sdp) > l.SDPBytes {
		return badOffer(fewer, "%d bytes, at most %d", len(sdp), l.SDPBytes)
	}
	if !strings.HasPrefix(sdp, "v=0\n") && !strings.HasPrefix(sdp, "v=0\r\n") {
		return badOffer("send the text of an RTCSessionDescription", "it does not begin with v=0")
	}
	lines := 0
	for line := range strings.Lines(sdp) {
		if lines++; len(line) > maxLine {
			return badOffer(fewer, "line %d has %d bytes, at most %d", lines, len(line), maxLine)
		}
	}
	if lines > l.SDPLines {
		return badOffer(fewer, "%d lines, at most %d", lines, l.SDPLines)
	}
	return nil
}

// line notes what a line says.
func (o *offer) line(line string) error {
	key, value, _ := strings.Cut(line, ":")
	switch {
	case strings.HasPrefix(line, "m="):
		o.media++
		o.channels = o.channels || strings.HasPrefix(line, "m=application ") && strings.Contains(line, "webrtc-datachannel")
	case key+":" == candidatePrefix:
		o.candidates = append(o.candidates, value)
	case key == "a=ice-lite":
		o.lite = true
	case key == "a=ice-ufrag":
		o.ufrag = true
		return credential("ice-ufrag", value, minUfrag)
	case key == "a=ice-pwd":
		o.pass = true
		return credential("ice-pwd", value, minPassword)
	case key == "a=fingerprint":
		return o.fingerprint(value)
	}
	return nil
}

func credential(name, value string, least int) error {
	if len(value) < least || len(value) > maxCredential {
		return badOffer("send the peer connection's own offer", "a=%s of %d characters, want %d to %d", name, len(value), least, maxCredential)
	}
	return nil
}

func (o *offer) fingerprint(value string) error {
	const remedy = "send the peer connection's own offer, with the hash of its certificate"
	name, digits, _ := strings.Cut(strings.ToLower(value), " ")
	hash, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if n, known := fingerprintBytes[name]; !known || err != nil || len(hash) != n || len(digits) != 3*n-1 {
		return badOffer(remedy, "a=fingerprint is no SHA-2 hash")
	}
	if fingerprint := name + " " + digits; !slices.Contains(o.fingerprints, fingerprint) {
		o.fingerprints = append(o.fingerprints, fingerprint)
	}
	if len(o.fingerprints) > maxFingerprints {
		return badOffer(remedy, "more than %d certificates", maxFingerprints)
	}
	slices.Sort(o.fingerprints)
	return nil
}

// complete judges the whole.
func (o *offer) complete(l Limits) error {
	const own = "send the peer connection's own offer"
	switch {
	case len(o.candidates) > l.Candidates:
		return badOffer("gather from fewer interfaces and servers", "%d candidates, at most %d", len(o.candidates), l.Candidates)
	case o.media > maxMedia:
		return badOffer("offer a data channel alone", "%d media sections, at most %d", o.media, maxMedia)
	case !o.channels:
		return badOffer("make a data channel before the offer", "no data channels (m=application … webrtc-datachannel)")
	case !o.ufrag || !o.pass:
		return badOffer(own, "a=ice-ufrag or a=ice-pwd is missing")
	case len(o.fingerprints) == 0:
		return badOffer(own, "a=fingerprint is missing")
	}
	for i, text := range o.candidates {
		if _, err := readCandidate(text); errors.Is(err, ErrBadCandidate) {
			return badOffer("send candidates of RFC 8839", "candidate %d cannot be read", i+1)
		}
	}
	return nil
}

// errPassedOver is why a candidate is of no use here, though not wrong: it is of a kind, or at a name, that is not tried.
var errPassedOver = errors.New("passed over")

// readCandidate reads a candidate's address and port; nothing is looked up, a name is passed over (mDNS is off).
func readCandidate(text string) (netip.AddrPort, error) {
	const remedy = "send RTCIceCandidate.candidate as it is"
	if len(text) > maxCandidate {
		return netip.AddrPort{}, &CallError{ErrBadCandidate, fmt.Sprintf("%d bytes, at most %d", len(text), maxCandidate), remedy}
	}
	c, err := ice.UnmarshalCandidate(text)
	switch {
	case errors.Is(err, ice.ErrUnknownCandidateTyp), errors.Is(err, ice.ErrDetermineNetworkType), err == nil && named(c.Address()):
		return netip.AddrPort{}, errPassedOver
	case err != nil && namesHost(text):
		return netip.AddrPort{}, errPassedOver
	case err != nil || c.Port() < 0 || c.Port() > 65535:
		return netip.AddrPort{}, &CallError{ErrBadCandidate, "no candidate of RFC 8839", remedy}
	}
	address, _ := netip.ParseAddr(c.Address()) // Named otherwise.
	return netip.AddrPortFrom(address, uint16(c.Port())), nil
}

// CandidateOf reads an RTCIceCandidateInit's candidate; empty at the end of candidates. An error is a [*CallError].
func CandidateOf(text json.RawMessage) (string, error) {
	var init struct {
		Candidate string `json:"candidate"`
	}
	if len(text) == 0 {
		return "", nil
	}
	if err := json.Unmarshal(text, &init); err != nil {
		return "", &CallError{Kind: ErrBadCandidate, Wrong: "no RTCIceCandidateInit", Remedy: "send an RTCIceCandidate's toJSON()"}
	}
	return init.Candidate, nil
}

func named(address string) bool {
	_, err := netip.ParseAddr(address)
	return err != nil
}

// namesHost reports whether the connection-address of a candidate that pion does not read is a name: RFC 8839 section
// 5.1 has it between priority and port.
func namesHost(text string) bool {
	fields := strings.Fields(text)
	return len(fields) >= 8 && fields[6] == "typ" && named(fields[4]) && strings.Trim(fields[4], hostCharacters) == ""
}

// hostCharacters are those of host names.
const hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
