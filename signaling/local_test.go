package signaling

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// localRecorder is a local peer that takes what comes until it is given an error.
type localRecorder struct {
	got  []LocalMessage
	gone chan string
	err  error
}

func (l *localRecorder) Receive(m LocalMessage) error {
	l.got = append(l.got, m)
	return l.err
}

func (l *localRecorder) Gone(room, peer string, stay uint64) {
	l.gone <- fmt.Sprint(room, " ", peer, " ", stay)
}

// advice is an error with a remedy, which repeats something unprintable.
type advice struct{}

func (advice) Error() string { return "misspelt: spell it" }

func (advice) Advice() (wrong, remedy string) {
	return strings.Repeat("long ", 1000) + "misspelt", "spell it\x00"
}

// TestLocalPeer calls the process itself: messages get there, with who sent them, and answers come back numbered.
func TestLocalPeer(t *testing.T) {
	local := &localRecorder{}
	b := newBench(t, Config{Local: local})
	c, sock := b.open()
	c.receive([]byte(`{"type":"hello","client":"test"}`), true)
	c.receive([]byte(`{"type":"offer","to":"@appliance","sdp":"v=0"}`), true)
	if m := sock.message(t, typeError); m["code"] != string(CodeNotJoined) {
		t.Errorf("an offer before the join: %v", m)
	}
	c.receive([]byte(`{"type":"join","room":"demo"}`), true)
	joined := sock.message(t, typeJoined)
	peer := joined["peer"].(string)
	for range 2 { // What is sent twice is passed over.
		c.receive([]byte(`{"type":"offer","n":1,"to":"@appliance","sdp":"v=0"}`), true)
	}
	c.receive([]byte(`{"type":"candidate","n":2,"to":"@appliance","candidate":{"candidate":"x"}}`), true)
	if len(local.got) != 2 || local.got[0].Kind != typeOffer || local.got[0].Room != "demo" || local.got[0].Peer != peer ||
		local.got[0].Address != joinAddress.Addr() || local.got[0].SDP != "v=0" || string(local.got[1].Candidate) != `{"candidate":"x"}` {
		t.Errorf("the local peer got %+v", local.got)
	}
	if !b.server.Deliver("demo", peer, LocalReply{Kind: typeAnswer, SDP: "v=1"}) {
		t.Error("a peer that is there was not found")
	}
	if m := sock.message(t, typeAnswer); m["from"] != LocalPeerID || m["sdp"] != "v=1" || m["n"] != 1.0 {
		t.Errorf("the answer came as %v", m)
	}
	local.err = errors.New("busy")
	c.receive([]byte(`{"type":"offer","id":"7","to":"@appliance","sdp":"v=0"}`), true)
	if m := sock.message(t, typeError); m["code"] != string(CodeCallRefused) || m["re"] != "7" || !strings.Contains(m["message"].(string), "busy") {
		t.Errorf("a refusal came as %v", m)
	}
	local.err = fmt.Errorf("a layer: %w", advice{})
	c.receive([]byte(`{"type":"offer","id":"8","to":"@appliance","sdp":"v=0"}`), true)
	if m := sock.message(t, typeError); m["remedy"] != "spell it?" || len(m["message"].(string)) > 2*localRunes {
		t.Errorf("a refusal with its own remedy came as %v", m)
	}
	for _, code := range []Code{CodeCallEnded, CodeCallRefused, CodeRateLimited} {
		if !b.server.Deliver("demo", peer, LocalReply{Kind: typeError, Code: code, Err: advice{}}) {
			t.Error("a peer that is there was not found")
		}
		if m := sock.message(t, typeError); m["code"] != string(code) || m["remedy"] != "spell it?" || m["fatal"] != false || m["re"] != nil {
			t.Errorf("%s came as %v", code, m)
		}
	}
	if b.server.Deliver("demo", "nobody", LocalReply{Kind: typeAnswer}) || b.server.Deliver("elsewhere", peer, LocalReply{Kind: typeAnswer}) {
		t.Error("a peer that is not there was found")
	}
}

// TestWithoutALocalPeer refuses the address as it does any unknown peer.
func TestWithoutALocalPeer(t *testing.T) {
	b := newBench(t, Config{})
	c, sock, _ := b.join("demo")
	c.receive([]byte(`{"type":"offer","to":"@appliance","sdp":"v=0"}`), true)
	if m := sock.message(t, typeError); m["code"] != string(CodeUnknownPeer) {
		t.Errorf("%v", m)
	}
}

// TestLocalPeerHearsOfTheEnd has peers that called leave, drop for good, and come back: the local peer hears of the ends
// alone, of each with the stay that its messages named.
func TestLocalPeerHearsOfTheEnd(t *testing.T) {
	local := &localRecorder{gone: make(chan string, 8)}
	t.Cleanup(func() { // After that of the bench, which waits for all goroutines.
		if len(local.gone) != 0 {
			t.Errorf("told of %q besides", <-local.gone)
		}
	})
	b := newBench(t, Config{Local: local})
	call := func(c *conn) string {
		c.receive([]byte(`{"type":"offer","to":"@appliance","sdp":"v=0"}`), true)
		m := local.got[len(local.got)-1]
		return fmt.Sprint(m.Room, " ", m.Peer, " ", m.Stay)
	}
	leaves, _, _ := b.enter("demo")
	want := call(leaves)
	leaves.receive([]byte(`{"type":"leave"}`), true)
	if gone := <-local.gone; gone != want {
		t.Errorf("after a leave: %q, want %q", gone, want)
	}
	drops, _, joined := b.enter("demo")
	want = call(drops)
	b.end(drops)
	back, _, _ := b.resume(joined["session"], 0)
	if again := call(back); again != want {
		t.Errorf("after a resume the stay is %q, was %q", again, want)
	}
	b.end(back)
	if len(local.gone) != 0 {
		t.Errorf("told of %q while its seat is held", <-local.gone)
	}
	b.clock.Advance(30 * time.Second)
	if gone := <-local.gone; gone != want {
		t.Errorf("after the seat was given up: %q, want %q", gone, want)
	}
	stranger, _, _ := b.enter("demo")
	stranger.receive([]byte(`{"type":"leave"}`), true)
	caller, _, _ := b.enter("demo")
	want = call(caller)
	caller.receive([]byte(`{"type":"leave"}`), true)
	if gone := <-local.gone; gone != want {
		t.Errorf("told of %q, want %q", gone, want)
	}
}

// TestLocalPeerHearsOfASuccessor has a peer join again with its session, as a reloaded page does: its call is the new
// seat's, and ends with that.
func TestLocalPeerHearsOfASuccessor(t *testing.T) {
	local := &localRecorder{gone: make(chan string, 8)}
	b := newBench(t, Config{Local: local})
	first, _, joined := b.enter("demo")
	first.receive([]byte(`{"type":"offer","to":"@appliance","sdp":"v=0"}`), true)
	second, sock := b.hello()
	second.receive(fmt.Appendf(nil, `{"type":"join","room":"demo","session":%q}`, joined["session"]), true)
	if m := sock.message(t, typeJoined); m["peer"] != joined["peer"] {
		t.Fatalf("joined as %v, was %v", m["peer"], joined["peer"])
	}
	second.receive([]byte(`{"type":"leave"}`), true)
	want := fmt.Sprint("demo ", joined["peer"], " ")
	if gone := <-local.gone; !strings.HasPrefix(gone, want) || gone <= want+fmt.Sprint(local.got[0].Stay) || len(local.gone) != 0 {
		t.Errorf("told of %q", gone)
	}
}
