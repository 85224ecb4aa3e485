package turn

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/stun/v4"
)

// The messages of RFC 5769: 2.1 sample request, 2.2 and 2.3 sample responses, 2.4 request with the long-term mechanism.
var rfc5769 = map[string]string{
	"2.1": `0001 0058 2112a442 b7e7a701bc34d686fa87dfae 8022 0010 5354554e207465737420636c69656e74
		0024 0004 6e0001ff 8029 0008 932ff9b151263b36 0006 0009 6576746a3a68367659202020
		0008 0014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 8028 0004 e57a3bcf`,
	"2.2": `0101 003c 2112a442 b7e7a701bc34d686fa87dfae 8022 000b 7465737420766563746f7220
		0020 0008 0001a147e112a643 0008 0014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 8028 0004 c07d4c96`,
	"2.3": `0101 0048 2112a442 b7e7a701bc34d686fa87dfae 8022 000b 7465737420766563746f7220
		0020 0014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
		0008 0014 a382954e4be67bf11784c97c8292c275bfe3ed41 8028 0004 c8fb0b4c`,
	"2.4": `0001 0060 2112a442 78ad3433c6ad72c029da412e 0006 0012 e3839ee38388e383aae38383e382afe382b90000
		0015 001c 662f2f3439396b3935346436 4f4c33346f4c39465354767936347341 0014 000b 6578616d706c652e6f726700
		0008 0014 f67024656dd64a3e02b8e0712e85c9a28ca89666`,
}

func vector(t *testing.T, name string) ([]byte, *stun.Message) {
	t.Helper()
	raw, err := hex.DecodeString(strings.Join(strings.Fields(rfc5769[name]), ""))
	if err != nil {
		t.Fatal(err)
	}
	message := stun.New()
	if err := stun.Decode(raw, message); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return raw, message
}

// TestVectors holds what we read off messages, and the keys that we make, against RFC 5769.
func TestVectors(t *testing.T) {
	const username, realm, password = "マトリックス", "example.org", "TheMatrIX"
	for name, response := range map[string]bool{"2.1": false, "2.2": true, "2.3": true, "2.4": false} {
		raw, _ := vector(t, name)
		if classify(raw) != kindSTUN || (classifyReply(raw) == replyBinding) != response {
			t.Errorf("%s: kind %d, reply %d", name, classify(raw), classifyReply(raw))
		}
	}
	_, request := vector(t, "2.4")
	if err := stun.MessageIntegrity(longTermKey(username, realm, password)).Check(request); err != nil {
		t.Errorf("2.4 under our key: %v", err)
	}
	ring := newKeyring(realm, nil, map[string]string{username: password})
	if err := stun.MessageIntegrity(ring.key(0, username)).Check(request); err != nil {
		t.Errorf("2.4 as a static user: %v", err)
	}
	if err := stun.MessageIntegrity(longTermKey(username, realm, "thematrix")).Check(request); err == nil {
		t.Error("2.4 verifies under another password")
	}
	for name, want := range map[string]string{"2.2": "192.0.2.1:32853", "2.3": "[2001:db8:1234:5678:11:2233:4455:6677]:32853"} {
		_, response := vector(t, name)
		var mapped stun.XORMappedAddress
		if err := mapped.GetFrom(response); err != nil || mapped.String() != want {
			t.Errorf("%s: %v, %v", name, mapped, err)
		}
	}
}

// FuzzHostFiles reads broken routing tables and resolver files.
func FuzzHostFiles(f *testing.F) {
	f.Add("eth0\t00000000\t010200C0\t0003\nnameserver fe80::1%eth0\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) []netip.Addr{
			func(s string) []netip.Addr { return parseRoutes4(strings.NewReader(s)) },
			func(s string) []netip.Addr { return parseRoutes6(strings.NewReader(s)) },
			func(s string) []netip.Addr { return parseResolvers(strings.NewReader(s)) },
		} {
			for _, addr := range parse(text) {
				if !addr.IsValid() || addr.IsUnspecified() || addr.Zone() != "" {
					t.Fatalf("%q gives %v", text, addr)
				}
			}
		}
	})
}

// FuzzDemux throws datagrams at the door of DTLS: only what looks like a ClientHello makes a path.
func FuzzDemux(f *testing.F) {
	f.Add([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	f.Add([]byte{23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, p []byte) {
		c := testCore(t, nil)
		d := &demux{core: c, fresh: make(chan *path, 1), ended: newLatch(), paths: map[tuple]*path{}, rivals: map[tuple]*path{}}
		d.dispatch(p, tuple{client: netip.MustParseAddrPort("192.0.2.1:7")})
		if made := len(d.paths) == 1; made != isClientHello(p) || made != (len(d.fresh) == 1) || made == (c.counters.garbage.Load() == 1) {
			t.Fatalf("%x: paths %d", p, len(d.paths))
		}
	})
}
