package probe

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

func TestPrintable(t *testing.T) {
	if got := printable([]byte("co\x1b[31mturn\x00\u202e \xff")); got != "co[31mturn" {
		t.Errorf("%q", got)
	}
	if got := printable(bytes.Repeat([]byte("x"), 1000)); len(got) != maxPrintable {
		t.Errorf("%d bytes", len(got))
	}
}

func TestPeerAddress(t *testing.T) {
	for _, want := range []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1234"), netip.MustParseAddrPort("[2001:db8::1]:65535")} {
		m := stun.MustBuild(stun.TransactionID, stun.BindingRequest, peerAddress(want))
		if got := xorAddress(m, stun.AttrXORPeerAddress); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestFrameSize(t *testing.T) {
	for _, c := range []struct {
		head           []byte
		channels       bool
		whole, message int
		bad            bool
	}{
		{[]byte{0, 1, 0}, false, 0, 0, false},
		{[]byte{0, 1, 0, 8}, false, 28, 28, false},
		{[]byte{0x40, 0, 0, 5}, true, 12, 9, false},
		{[]byte{0x40, 0, 0, 0}, true, 4, 4, false},
		{[]byte{0x40, 0, 0, 0}, false, 0, 0, true},
		{[]byte{0, 1, 0, 7}, false, 0, 0, true},
		{[]byte("HTTP"), false, 0, 0, true}, // 0x48 looks like ChannelData.
		{[]byte{0x80, 0, 0, 0}, true, 0, 0, true},
		{[]byte{0x16, 3, 3, 0}, false, 20 + 0x300, 20 + 0x300, false}, // readFrame asks for the magic cookie.
	} {
		whole, message, err := frameSize(c.head, c.channels)
		if whole != c.whole || message != c.message || (err != nil) != c.bad {
			t.Errorf("%v: %d, %d, %v", c.head, whole, message, err)
		}
	}
}

// FuzzReadFrame holds that any stream gives frames or an error, and that a frame is never longer than what came.
func FuzzReadFrame(f *testing.F) {
	f.Add(bindingRequest().Raw)
	f.Add(channelData(echoChannel, []byte("hello"), true))
	f.Add([]byte{0x40, 0, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r, total := bytes.NewReader(stream), 0
		for {
			frame, err := readFrame(r, func() bool { return true })
			if err != nil {
				if !errors.Is(err, errFraming) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatal(err)
				}
				return
			}
			if total += len(frame); total > len(stream) || len(frame) == 0 {
				t.Fatalf("%d bytes of frames in %d", total, len(stream))
			}
		}
	})
}

// FuzzAnswers feeds everything that reads a server's packets, and the login.
func FuzzAnswers(f *testing.F) {
	ask := bindingRequest()
	ok := stun.MustBuild(ask, stun.BindingSuccess, &stun.XORMappedAddress{IP: []byte{192, 0, 2, 1}, Port: 1}, stun.NewSoftware("x"), stun.Fingerprint)
	challenge := stun.MustBuild(ask, stun.BindingError, stun.CodeUnauthorized, stun.NewRealm("r"), stun.NewNonce("n"))
	f.Add(ok.Raw)
	f.Add(challenge.Raw)
	f.Add(channelData(echoChannel, []byte("hello"), false))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if payload := relayed(packet, echoChannel); len(payload) > len(packet) {
			t.Fatal("more payload than packet")
		}
		if len(packet) >= 20 {
			copy(packet[8:], ask.TransactionID[:])
		}
		m, err := answers(packet, ask)
		if m == nil {
			return
		}
		if err != nil {
			t.Fatal("an answer and an error")
		}
		mapped(m)
		software(m)
		lifetime(m)
		saying(m)
		alternate(m)
		plainAddress(m, stun.AttrOtherAddress)
		l := &login{user: "u", password: "p"}
		if next, problem := l.judge("fuzz", m, time.Unix(0, 0)); next == rejected && problem == nil {
			t.Fatal("rejected without a reason")
		}
	})
}
