package peerjs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tourbillon/timing"
)

const t0 = timing.Instant(time.Hour)

// told puts effects into words: connection, then the message or the end.
func told(effects []effect) []string {
	words := []string{}
	for _, e := range effects {
		text := string(e.text)
		if e.end != nil {
			text = strings.TrimSpace(fmt.Sprintf("end %d %s", e.end.code, e.end.text))
		}
		words = append(words, fmt.Sprintf("%d %s", e.conn, text))
	}
	return words
}

func expectTold(t *testing.T, what string, effects []effect, want ...string) {
	t.Helper()
	if got := told(effects); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func with(limits Limits) *registry { return newRegistry(limits.withDefaults()) }

// to is a message with a payload of one byte.
func to(kind, dst string) message { return message{Type: kind, Dst: dst, Payload: []byte(`1`)} }

func TestIDsAndTakeOver(t *testing.T) {
	r := with(Limits{Clients: 2})
	expectTold(t, "a new id", r.open(1, "ada", "a"), `1 {"type":"OPEN"}`)
	expectTold(t, "another's id", r.open(2, "ada", "b"), `2 end 1008 {"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}`)
	expectTold(t, "the same client again", r.open(3, "ada", "a"), `1 end 4001`, `3 {"type":"OPEN"}`)
	r.leave(1) // The old socket's end.
	expectTold(t, "a message to it", r.relay(3, to(typeOffer, "ada"), t0), `3 {"type":"OFFER","src":"ada","dst":"ada","payload":1}`)
	expectTold(t, "a second id", r.open(4, "bob", "b"), `4 {"type":"OPEN"}`)
	expectTold(t, "one too many", r.open(5, "cid", "c"), `5 end 1008 {"type":"ERROR","payload":{"msg":"Server has reached its concurrent user limit"}}`)
	expectTold(t, "back while full", r.open(6, "bob", "b"), `4 end 4001`, `6 {"type":"OPEN"}`)
	r.leave(6)
	expectTold(t, "an id that was given up", r.open(7, "bob", "other"), `7 {"type":"OPEN"}`)
	expectTold(t, "a message of a connection without id", r.relay(6, to(typeOffer, "bob"), t0))
}

func TestWaitingMessages(t *testing.T) {
	r := with(Limits{})
	r.open(1, "ada", "a")
	expectTold(t, "nobody there", r.relay(1, to(typeOffer, "bob"), t0))
	expectTold(t, "nobody there still", r.relay(1, to(typeCandidate, "bob"), t0))
	expectTold(t, "a LEAVE does not wait", r.relay(1, to(typeLeave, "bob"), t0))
	expectTold(t, "he comes", r.open(2, "bob", "b"), `2 {"type":"OPEN"}`,
		`2 {"type":"OFFER","src":"ada","dst":"bob","payload":1}`, `2 {"type":"CANDIDATE","src":"ada","dst":"bob","payload":1}`)
	if s := r.seats["ada"]; s.waiting != 0 || len(r.mailboxes) != 0 {
		t.Errorf("%d bytes in %d mailboxes wait still", s.waiting, len(r.mailboxes))
	}
	if at, any := r.next(); any {
		t.Errorf("something is to expire at %v", at)
	}
}

func TestExpiry(t *testing.T) {
	r := with(Limits{})
	r.open(1, "ada", "a")
	r.open(2, "bob", "b")
	r.open(3, "eve", "e")
	for _, from := range []connID{1, 1, 2, 3} {
		r.relay(from, to(typeCandidate, "cid"), t0)
	}
	r.relay(1, to(typeOffer, "dan"), t0.Add(time.Second))
	r.leave(3)
	r.open(4, "eve", "another") // Who has not sent anything.
	at, any := r.next()
	if !any || at != t0.Add(5*time.Second) {
		t.Fatalf("expires at %v %v", at, any)
	}
	expectTold(t, "too early", r.expire(at-1))
	expectTold(t, "each sender once", r.expire(at), `1 {"type":"EXPIRE","src":"cid","dst":"ada"}`, `2 {"type":"EXPIRE","src":"cid","dst":"bob"}`)
	expectTold(t, "late", r.expire(at.Add(time.Hour)), `1 {"type":"EXPIRE","src":"dan","dst":"ada"}`)
	if _, any := r.next(); any || len(r.mailboxes) != 0 || r.seats["ada"].waiting != 0 {
		t.Errorf("%d mailboxes, %d bytes left", len(r.mailboxes), r.seats["ada"].waiting)
	}
}

func TestWaitingIsBounded(t *testing.T) {
	back := func(n int, dst string) string {
		return fmt.Sprintf(`%d {"type":"EXPIRE","src":"%s","dst":"ada"}`, n, dst)
	}
	size := len(relayText(typeOffer, "ada", "bob", []byte(`1`)))
	for name, limits := range map[string]Limits{
		"messages":        {WaitingMessages: 2},
		"bytes":           {WaitingBytes: 2*size + 1},
		"bytes of sender": {WaitingBytes: 2*size + 1, WaitingMessages: 1000},
	} {
		r := with(limits)
		r.open(1, "ada", "a")
		dst := []string{"bob", "bob", "bob"}
		if name == "bytes of sender" {
			dst = []string{"bob", "cid", "dan"}
		}
		expectTold(t, name, r.relay(1, to(typeOffer, dst[0]), t0))
		expectTold(t, name, r.relay(1, to(typeOffer, dst[1]), t0))
		expectTold(t, name, r.relay(1, to(typeOffer, dst[2]), t0), back(1, dst[2]))
	}
	r := with(Limits{Mailboxes: 1})
	r.open(1, "ada", "a")
	expectTold(t, "first", r.relay(1, to(typeOffer, "bob"), t0))
	expectTold(t, "second", r.relay(1, to(typeOffer, "cid"), t0), back(1, "cid"))
}

func TestOneThatCannotBeSentTo(t *testing.T) {
	r := with(Limits{})
	r.open(1, "ada", "a")
	r.open(2, "bob", "b")
	expectTold(t, "the sender hears", r.lost(2, 1), `1 {"type":"LEAVE","src":"bob","dst":"ada"}`)
	expectTold(t, "his id is free", r.open(3, "bob", "c"), `3 {"type":"OPEN"}`)
	expectTold(t, "himself", r.lost(1, 1))
	expectTold(t, "gone already", r.lost(1, 3))
}
