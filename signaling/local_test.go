package signaling

import (
	"errors"
	"strings"
	"testing"
)

// localRecorder is a local peer that takes what comes until it is given an error.
type localRecorder struct {
	got []LocalMessage
	err error
}

func (l *localRecorder) Receive(m LocalMessage) error {
	l.got = append(l.got, m)
	return l.err
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
