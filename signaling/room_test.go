package signaling

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"tourbillon/timing"
)

func joining(seat seatID, peer string) joinEvent {
	return joinEvent{seat: seat, peer: peer, name: "name of " + peer}
}

func welcomed(to seatID, peer string, peers ...peerMessage) welcomeEffect {
	if peers == nil {
		peers = []peerMessage{}
	}
	text := joinedMessage{Type: typeJoined, seatMessage: seatMessage{Room: "r", Peer: peer}, Peers: peers}
	return welcomeEffect{to: to, message: text}
}

func peerOf(id string, polite bool) peerMessage {
	return peerMessage{ID: id, Name: "name of " + id, Polite: polite}
}

func TestRoom(t *testing.T) {
	limits := Limits{RoomPeers: 2, Candidates: 1}.withDefaults()
	two := []event{joining(1, "a"), joining(2, "b")}
	candidate := relayEvent{seat: 2, to: "a", kind: typeCandidate, candidate: []byte(`null`)}
	offer := relayEvent{seat: 2, to: "a", kind: typeOffer, sdp: "v=0"}
	relayed := sendEffect{to: []seatID{1}, message: relayMessage{Type: typeOffer, From: "b", SDP: "v=0"}}

	for name, test := range map[string]struct {
		before  []event
		event   event
		effects []effect
		code    Code
	}{
		"first join": {nil, joining(1, "a"), []effect{welcomed(1, "a")}, ""},
		"second join": {two[:1], joining(2, "b"), []effect{
			welcomed(2, "b", peerOf("a", true)),
			sendEffect{to: []seatID{1}, message: peerJoinedMessage{Type: typePeerJoined, Peer: peerOf("b", false)}},
		}, ""},
		"joined already": {two, joining(1, "c"), nil, CodeAlreadyJoined},
		"room full":      {two, joining(3, "c"), nil, CodeRoomFull},
		"taken over": {two, joining(3, "a"), []effect{
			closeEffect{seat: 1, reason: ReasonReplaced}, welcomed(3, "a", peerOf("b", false)),
		}, ""},
		"taken over later": {append(slices.Clone(two), joining(3, "a")), joining(4, "b"), []effect{
			closeEffect{seat: 2, reason: ReasonReplaced}, welcomed(4, "b", peerOf("a", true)),
		}, ""},
		"replaced one goes": {append(slices.Clone(two), joining(3, "a")), goneEvent{1, ReasonClosed}, nil, ""},
		"offer":             {two, offer, []effect{relayed}, ""},
		"candidate": {two, candidate, []effect{sendEffect{to: []seatID{1}, message: relayMessage{
			Type: typeCandidate, From: "b", Candidate: []byte(`null`)}}}, ""},
		"too many candidates": {append(slices.Clone(two), candidate), candidate, nil, CodeRateLimited},
		"candidates after an offer": {append(slices.Clone(two), candidate, offer), candidate,
			[]effect{sendEffect{to: []seatID{1}, message: relayMessage{
				Type: typeCandidate, From: "b", Candidate: []byte(`null`)}}}, ""},
		"to nobody":   {two, relayEvent{seat: 1, to: "c", kind: typeOffer}, nil, CodeUnknownPeer},
		"to itself":   {two, relayEvent{seat: 1, to: "a", kind: typeOffer}, nil, CodeUnknownPeer},
		"by stranger": {two, relayEvent{seat: 9, to: "a", kind: typeOffer}, nil, CodeNotJoined},
		"restart": {two, relayEvent{seat: 2, to: "a", kind: typeRestart, reason: "failed"}, []effect{
			sendEffect{to: []seatID{1}, message: relayMessage{Type: typeRestart, From: "b", Reason: "failed"}}}, ""},
		"message to one": {two, relayEvent{seat: 1, to: "b", kind: typeMessage, data: []byte(`1`)}, []effect{
			sendEffect{to: []seatID{2}, message: relayMessage{Type: typeMessage, From: "a", Direct: true, Data: []byte(`1`)}}}, ""},
		"message to all": {two, relayEvent{seat: 1, kind: typeMessage, data: []byte(`1`)}, []effect{
			sendEffect{to: []seatID{2}, message: relayMessage{Type: typeMessage, From: "a", Data: []byte(`1`)}}}, ""},
		"message to an empty room": {two[:1], relayEvent{seat: 1, kind: typeMessage, data: []byte(`1`)}, nil, ""},
		"update": {two, updateEvent{seat: 1, name: "Ada", metadata: []byte(`{}`)}, []effect{
			sendEffect{to: []seatID{2}, message: peerUpdatedMessage{Type: typePeerUpdated, Peer: "a", Name: "Ada", Metadata: []byte(`{}`)}}}, ""},
		"update of nothing": {two, updateEvent{seat: 1}, []effect{
			sendEffect{to: []seatID{2}, message: peerUpdatedMessage{Type: typePeerUpdated, Peer: "a", Name: "name of a"}}}, ""},
		"update by stranger": {two, updateEvent{seat: 9, name: "x"}, nil, CodeNotJoined},
		"away": {two, awayEvent{1, ReasonTimeout}, []effect{
			holdEffect{seat: 1, time: limits.SeatHold, reason: ReasonTimeout},
			sendEffect{to: []seatID{2}, message: peerAwayMessage{Type: typePeerAway, Peer: "a", Reason: ReasonTimeout, SeatMS: 30000}}}, ""},
		"away twice":     {append(slices.Clone(two), awayEvent{1, ReasonClosed}), awayEvent{1, ReasonClosed}, nil, ""},
		"stranger away":  {two, awayEvent{9, ReasonClosed}, nil, ""},
		"back unasked":   {two, backEvent{1}, nil, ""},
		"stranger back":  {two, backEvent{9}, nil, ""},
		"offer to away":  {append(slices.Clone(two), awayEvent{1, ReasonClosed}), offer, []effect{relayed}, ""},
		"full with away": {append(slices.Clone(two), awayEvent{1, ReasonClosed}), joining(3, "c"), nil, CodeRoomFull},
		"back": {append(slices.Clone(two), awayEvent{1, ReasonClosed}), backEvent{1}, []effect{
			sendEffect{to: []seatID{2}, message: peerBackMessage{Type: typePeerBack, Peer: "a"}}}, ""},
		"away one is taken over": {append(slices.Clone(two), awayEvent{1, ReasonClosed}), joining(3, "a"), []effect{
			closeEffect{seat: 1, reason: ReasonReplaced}, welcomed(3, "a", peerOf("b", false)),
			sendEffect{to: []seatID{2}, message: peerBackMessage{Type: typePeerBack, Peer: "a"}}}, ""},
		"away one is given up": {append(slices.Clone(two), awayEvent{1, ReasonClosed}), goneEvent{1, ReasonClosed}, []effect{
			sendEffect{to: []seatID{2}, message: peerLeftMessage{Type: typePeerLeft, Peer: "a", Reason: ReasonClosed}}}, ""},
		"gone": {two, goneEvent{1, ReasonTimeout}, []effect{
			sendEffect{to: []seatID{2}, message: peerLeftMessage{Type: typePeerLeft, Peer: "a", Reason: ReasonTimeout}}}, ""},
		"last one gone": {two[:1], goneEvent{1, ReasonLeft}, nil, ""},
		"gone twice":    {append(slices.Clone(two), goneEvent{1, ReasonLeft}), goneEvent{1, ReasonLeft}, nil, ""},
		"back as newcomer": {append(slices.Clone(two), goneEvent{1, ReasonClosed}), joining(3, "a"), []effect{
			welcomed(3, "a", peerOf("b", true)),
			sendEffect{to: []seatID{2}, message: peerJoinedMessage{Type: typePeerJoined, Peer: peerOf("a", false)}},
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom("r", &limits)
			for _, e := range test.before {
				if _, refusal := r.apply(e, 0); refusal != nil {
					t.Fatal(refusal)
				}
			}
			effects, refusal := r.apply(test.event, 0)
			if !reflect.DeepEqual(effects, test.effects) {
				t.Errorf("got  %+v\nwant %+v", effects, test.effects)
			}
			if (refusal == nil) != (test.code == "") || refusal != nil && refusal.Code != test.code {
				t.Errorf("refusal %v, want %q", refusal, test.code)
			}
		})
	}
}

// world is what the clients of a fuzzed room believe, built from the effects alone.
type world struct {
	t    *testing.T
	room *room
	// peers is the id that each connection holds, views what it knows of the others: id → its own politeness.
	peers map[seatID]string
	views map[seatID]map[string]bool
	// away is what each knows of the others being away, held the seats that are.
	away map[seatID]map[string]bool
	held map[seatID]bool
}

func (w *world) apply(e event) {
	effects, _ := w.room.apply(e, 0)
	if back, ok := e.(backEvent); ok {
		delete(w.held, back.seat)
	}
	if gone, ok := e.(goneEvent); ok {
		w.forget(gone.seat)
	}
	for _, e := range effects {
		switch e := e.(type) {
		case closeEffect:
			w.forget(e.seat)
		case holdEffect:
			w.held[e.seat] = true
		case welcomeEffect:
			w.deliver(e.to, e.message)
		case sendEffect:
			for _, to := range e.to {
				w.deliver(to, e.message)
			}
		}
	}
	w.check()
}

func (w *world) forget(seat seatID) {
	delete(w.peers, seat)
	delete(w.views, seat)
	delete(w.away, seat)
	delete(w.held, seat)
}

func (w *world) deliver(to seatID, message any) {
	if w.room.bySeat(to) == nil {
		w.t.Fatalf("effect for connection %d outside the room: %+v", to, message)
	}
	switch m := message.(type) {
	case joinedMessage:
		w.peers[to], w.views[to], w.away[to] = m.Peer, map[string]bool{}, map[string]bool{}
		for _, p := range m.Peers {
			w.views[to][p.ID], w.away[to][p.ID] = p.Polite, p.Away
		}
	case peerJoinedMessage:
		if _, known := w.views[to][m.Peer.ID]; known {
			w.t.Fatalf("%s was told twice of %s", w.peers[to], m.Peer.ID)
		}
		w.views[to][m.Peer.ID] = m.Peer.Polite
	case peerLeftMessage:
		if _, known := w.views[to][m.Peer]; !known {
			w.t.Fatalf("%s was told that %s left, whom it did not know", w.peers[to], m.Peer)
		}
		delete(w.views[to], m.Peer)
		delete(w.away[to], m.Peer)
	case peerAwayMessage:
		w.turn(to, m.Peer, true)
	case peerBackMessage:
		w.turn(to, m.Peer, false)
	case relayMessage:
		if _, known := w.views[to][m.From]; !known {
			w.t.Fatalf("%s hears from %s, whom it does not know", w.peers[to], m.From)
		}
	}
}

// turn notes that a seat was told of a peer going away or coming back, which it may be told only once in a row.
func (w *world) turn(to seatID, peer string, away bool) {
	if w.away[to][peer] == away {
		w.t.Fatalf("%s was told twice that %s is away: %v", w.peers[to], peer, away)
	}
	w.away[to][peer] = away
}

// check holds the invariants: everybody knows exactly the others and which are away, and of each pair the later one is
// polite.
func (w *world) check() {
	if len(w.peers) != len(w.room.members) {
		w.t.Fatalf("%d clients in, %d members", len(w.peers), len(w.room.members))
	}
	for conn, id := range w.peers {
		if len(w.views[conn]) != len(w.peers)-1 {
			w.t.Fatalf("%s knows %v of %d peers", id, w.views[conn], len(w.peers))
		}
		for other, otherID := range w.peers {
			if other == conn {
				continue
			}
			polite, known := w.views[conn][otherID]
			if later := w.room.byPeer(id).slot > w.room.byPeer(otherID).slot; !known || polite != later {
				w.t.Fatalf("%s towards %s: known %v, polite %v, later %v", id, otherID, known, polite, later)
			}
			if w.away[conn][otherID] != w.held[other] {
				w.t.Fatalf("%s thinks that %s is away: %v, want %v", id, otherID, w.away[conn][otherID], w.held[other])
			}
		}
	}
}

func FuzzRoom(f *testing.F) {
	f.Add([]byte{0x00, 0x01, 0x00, 0x12, 0x00, 0x21, 0x40, 0x12, 0x80, 0x01})
	f.Add([]byte{0x00, 0x00, 0x01, 0x00, 0x02, 0x00, 0x80, 0x00, 0x81, 0x00})
	limits := Limits{RoomPeers: 5}.withDefaults()
	f.Fuzz(func(t *testing.T, script []byte) {
		w := &world{
			t: t, room: newRoom("r", &limits),
			peers: map[seatID]string{}, views: map[seatID]map[string]bool{},
			away: map[seatID]map[string]bool{}, held: map[seatID]bool{},
		}
		for ; len(script) > 1; script = script[2:] {
			seat, peer := seatID(script[0]&0x0f), fmt.Sprint("p", script[1]&0x07)
			switch script[0] >> 6 {
			case 0, 1:
				w.apply(joinEvent{seat: seat, peer: peer})
			case 2:
				switch script[1] >> 6 {
				case 1:
					w.apply(awayEvent{seat: seat, reason: ReasonClosed})
					continue
				case 2:
					w.apply(backEvent{seat: seat})
					continue
				}
				w.apply(goneEvent{seat: seat, reason: ReasonClosed})
			case 3:
				w.apply(relayEvent{seat: seat, to: peer, kind: typeCandidate})
			}
		}
	})
}

func TestPeerIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newPeerID()
		if len(id) < 10 || seen[id] {
			t.Fatalf("peer id %q", id)
		}
		seen[id] = true
	}
}

func TestBucketRefills(t *testing.T) {
	var b bucket
	for range 60 {
		if !b.take(0, 20, 60) {
			t.Fatal("the burst is not 60")
		}
	}
	if b.take(0, 20, 60) || !b.take(50*ms, 20, 60) || b.take(50*ms, 20, 60) {
		t.Error("20 a second do not come back one each 50 ms")
	}
	if idle := timing.Instant(time.Hour); !b.take(idle, 20, 60) || b.used != 1 {
		t.Errorf("after an hour %v are used", b.used)
	}
}
