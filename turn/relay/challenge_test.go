//go:build linux

package relay_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/turn/nonce"
	"tourbillon/turn/relay"
)

// challengeOf is a challenge of a period and realm.
func challengeOf(step uint32, realm string) relay.Challenge {
	return relay.Challenge{Realm: []byte(realm), Key: nonce.Key{1, 2}, Step: step, Good: time.Hour}
}

// challenged is what a client is to be answered.
func challenged(c relay.Challenge, client netip.AddrPort, id [stun.TransactionIDSize]byte) []byte {
	var text [nonce.Size]byte
	source := nonce.SourceOf(client)
	nonce.Put(&text, &c.Key, c.Step, &source)
	return stun.MustBuild(stun.NewTransactionIDSetter(id), stun.NewType(stun.MethodAllocate, stun.ClassErrorResponse),
		stun.ErrorCodeAttribute{Code: stun.CodeUnauthorized}, stun.Nonce(text[:]), stun.NewRealm(string(c.Realm))).Raw
}

var allocate = stun.NewType(stun.MethodAllocate, stun.ClassRequest)

// TestAllocateIsChallengedInTheLoop asks with and without credentials, before there is a challenge and when it is there.
func TestAllocateIsChallengedInTheLoop(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		udp := stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}}
		bare := stun.MustBuild(stun.TransactionID, allocate, udp, stun.NewSoftware("odd"))
		s.sends(s.client, addr(s.listener), bare.Raw)
		s.gets(s.listener, addr(s.client), bare.Raw)

		c := challengeOf(7, "realm")
		p.SetChallenge(c)
		for _, ask := range []*stun.Message{bare, stun.MustBuild(stun.TransactionID, allocate)} {
			s.sends(s.client, addr(s.listener), ask.Raw)
			s.gets(s.client, addr(s.listener), challenged(c, addr(s.client), ask.TransactionID))
		}

		short := append(bytes.Clone(bare.Raw), 0, 0, 0, 0) // More than its length says.
		cut := bytes.Clone(bare.Raw)
		cut[stunHeader+3] = 200 // An attribute longer than the message.
		for name, ask := range map[string][]byte{
			"integrity": stun.MustBuild(stun.TransactionID, allocate, udp, stun.NewShortTermIntegrity("x")).Raw,
			"integrity, SHA256": stun.MustBuild(
				stun.TransactionID, allocate, udp, stun.RawAttribute{Type: 0x1c, Value: make([]byte, 32)}).Raw,
			"fingerprint":    stun.MustBuild(stun.TransactionID, allocate, udp, stun.Fingerprint).Raw,
			"another method": stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest)).Raw,
			"length":         short,
			"attribute":      cut,
		} {
			t.Log(name)
			s.sends(s.client, addr(s.listener), ask)
			s.gets(s.listener, addr(s.client), ask)
		}
		if n := p.Counters(); n.Challenges != 2 {
			t.Errorf("%d challenges counted, want 2", n.Challenges)
		}

		c.Good = 0 // It is out of date at once.
		p.SetChallenge(c)
		s.sends(s.client, addr(s.listener), bare.Raw)
		s.gets(s.listener, addr(s.client), bare.Raw)
		p.SetChallenge(challengeOf(7, strings.Repeat("r", 700))) // Longer than the loops keep.
		s.sends(s.client, addr(s.listener), bare.Raw)
		s.gets(s.listener, addr(s.client), bare.Raw)
	})
}

// stunHeader is the size of a STUN header.
const stunHeader = 20

// TestChallengesChangeWhole changes the challenge while it is given: no answer holds parts of two.
func TestChallengesChangeWhole(t *testing.T) {
	bothWays(t, func(t *testing.T, p *relay.Plane) {
		s := newSetting(t, p)
		var all []relay.Challenge
		for i := range 4 {
			all = append(all, challengeOf(uint32(i), strings.Repeat(string(rune('a'+i)), 32*i+5)))
		}
		p.SetChallenge(all[0])
		var others sync.WaitGroup
		var done atomic.Bool
		others.Go(func() {
			for i := 0; !done.Load(); i++ {
				p.SetChallenge(all[i%len(all)])
			}
		})
		others.Go(func() { // What comes up while the challenge is written is answered by nothing.
			buffer := make([]byte, 4096)
			for {
				_, from, err := s.listener.ReadFrom(buffer)
				if err != nil {
					return
				}
				_, _ = s.listener.WriteTo(nil, from)
			}
		})
		buffer := make([]byte, 4096)
		for range 2000 {
			ask := stun.MustBuild(stun.TransactionID, allocate)
			s.sends(s.client, addr(s.listener), ask.Raw)
			if err := s.client.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			n, err := s.client.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 && !slices.ContainsFunc(all, func(c relay.Challenge) bool {
				return bytes.Equal(buffer[:n], challenged(c, addr(s.client), ask.TransactionID))
			}) {
				t.Fatalf("%q is none of the challenges", buffer[:n])
			}
		}
		done.Store(true)
		if err := s.listener.Close(); err != nil {
			t.Error(err)
		}
		others.Wait()
		if p.Counters().Challenges == 0 {
			t.Error("nothing was answered in the loop")
		}
	})
}

// TestChallengesAreThrottled asks more often than a source may, through two loops, of which each client has one.
func TestChallengesAreThrottled(t *testing.T) {
	const rate, sent, clients = 3, 20, 8
	p, err := relay.Open(relay.Options{Loops: 2, ChallengesPerSecond: rate})
	if err != nil {
		t.Fatal(err)
	}
	defer closePlane(t, p)
	s := newSetting(t, p)
	p.SetChallenge(challengeOf(7, "realm"))
	began := time.Now()
	for range clients {
		client := socket(t)
		for range sent {
			s.sends(client, addr(s.listener), stun.MustBuild(stun.TransactionID, allocate).Raw)
		}
	}
	eventually(t, "all are judged", func() bool {
		n := p.Counters()
		return n.FromClients == clients*sent && n.Challenges+n.ThrottledChallenges >= clients*sent
	})
	// A second's share at once, and what the time that all this took brings.
	most := uint64(rate*(1+time.Since(began).Seconds())) + 1
	if n := p.Counters(); n.Challenges < rate || n.Challenges > most || n.Challenges+n.ThrottledChallenges != clients*sent {
		t.Errorf("%d answered, at most %d are due, %d withheld", n.Challenges, most, n.ThrottledChallenges)
	}
	admitted := uint64(0)
	for range sent {
		if p.AdmitReply(relay.ChallengeReply, addr(s.client).Addr()) {
			admitted++
		}
	}
	most = uint64(rate*(1+time.Since(began).Seconds())) + 1
	if n := p.Counters().Challenges; n+admitted > most {
		t.Errorf("%d answered in the loops and %d in Go, at most %d are due", n, admitted, most)
	}
	if !p.AdmitReply(relay.BindingReply, addr(s.client).Addr()) {
		t.Error("one kind takes from the other's share")
	}
}
