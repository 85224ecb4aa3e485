package turn

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"tourbillon/timing"
	"tourbillon/timing/timingtest"
)

func TestBucket(t *testing.T) {
	const second = timing.Instant(time.Second)
	var b bucket
	for i, row := range []struct {
		at   timing.Instant
		want bool
	}{
		{second, true}, {second, true}, {second, true}, {second, false}, // a burst of three
		{second + second/2, true}, {second + second/2, false}, // two per second
		{second, false}, // an earlier instant gives nothing back
		{100 * second, true}, {100 * second, true}, {100 * second, true}, {100 * second, false},
	} {
		var ok bool
		if b, ok = b.take(row.at, 2, 3); ok != row.want {
			t.Fatalf("step %d at %d: %v, want %v", i, row.at, ok, row.want)
		}
	}
}

func TestThrottleCountsSources(t *testing.T) {
	clock := timingtest.NewManual()
	th := newThrottle(10)
	taken := func(addr string, n int) (ok int) {
		for range n {
			if th.allow(netip.MustParseAddr(addr), clock.Now()) {
				ok++
			}
		}
		return ok
	}
	if n := taken("192.0.2.1", 100); n != 10 {
		t.Errorf("one source had %d of 100", n)
	}
	if n := taken("::ffff:192.0.2.1", 1); n != 0 {
		t.Error("the mapped form counts as another source")
	}
	if n := taken("2001:db8::1", 6) + taken("2001:db8::ffff", 6); n != 10 {
		t.Errorf("one /64 had %d of 12", n)
	}
	clock.Advance(time.Second)
	if n := taken("192.0.2.1", 100); n != 10 {
		t.Errorf("a second later one source had %d of 100", n)
	}
	if off := newThrottle(Unlimited); !off.allow(netip.Addr{}, 0) {
		t.Error("no limit refuses")
	}
}

func TestReplyClasses(t *testing.T) {
	build := func(class stun.MessageClass, method stun.Method, setters ...stun.Setter) []byte {
		return stun.MustBuild(append([]stun.Setter{stun.TransactionID, stun.NewType(method, class)}, setters...)...).Raw
	}
	code := func(c stun.ErrorCode) stun.Setter { return stun.ErrorCodeAttribute{Code: c, Reason: []byte("odd")} }
	nonce, realm := stun.NewNonce("n"), stun.NewRealm("tourbillon")
	for name, row := range map[string]struct {
		packet []byte
		want   reply
	}{
		"binding":        {build(stun.ClassSuccessResponse, stun.MethodBinding), replyBinding},
		"401":            {build(stun.ClassErrorResponse, stun.MethodAllocate, code(401), nonce, realm), replyChallenge},
		"438":            {build(stun.ClassErrorResponse, stun.MethodRefresh, code(438), nonce, realm), replyChallenge},
		"420":            {build(stun.ClassErrorResponse, stun.MethodBinding, code(420)), replyChallenge},
		"refused peer":   {build(stun.ClassErrorResponse, stun.MethodChannelBind, code(401)), replyOther},
		"486":            {build(stun.ClassErrorResponse, stun.MethodAllocate, code(486)), replyOther},
		"allocated":      {build(stun.ClassSuccessResponse, stun.MethodAllocate), replyOther},
		"data":           {build(stun.ClassIndication, stun.MethodData), replyOther},
		"channel data":   {[]byte{0x40, 0, 0, 1, 'x', 0, 0, 0}, replyOther},
		"cut off":        {build(stun.ClassErrorResponse, stun.MethodAllocate, code(401), nonce)[:26], replyOther},
		"nothing":        {nil, replyOther},
		"bare binding":   {[]byte{1, 1}, replyOther},
		"length too big": {append(build(stun.ClassErrorResponse, stun.MethodAllocate), 0, 9, 0xff, 0xff), replyOther},
	} {
		if got := classifyReply(row.packet); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
	}
}

func TestClassify(t *testing.T) {
	binding := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	change := func(i int, b byte) []byte {
		p := append([]byte{}, binding...)
		p[i] = b
		return p
	}
	for name, row := range map[string]struct {
		packet []byte
		want   kind
	}{
		"binding":            {binding, kindSTUN},
		"RFC 3489 no cookie": {change(4, 0), kindGarbage},
		"odd length":         {append(change(3, 1), 0), kindGarbage},
		"too short":          {change(3, 4), kindGarbage},
		"header only":        {binding[:19], kindGarbage},
		"channel data":       {[]byte{0x40, 0, 0, 1, 'x'}, kindChannelData},
		"empty channel data": {[]byte{0x7f, 0xff, 0, 0}, kindChannelData},
		"short channel data": {[]byte{0x40, 0, 0, 2, 'x'}, kindGarbage},
		"DTLS":               {[]byte{22, 254, 253, 0, 0, 0, 0, 0}, kindGarbage},
		"RTP":                {[]byte{0x80, 0, 0, 0, 0, 0, 0, 0}, kindGarbage},
		"nothing":            {nil, kindGarbage},
	} {
		if got := classify(row.packet); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw)
	f.Add(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest),
		stun.NewUsername("17:a"), stun.NewRealm("t"), stun.NewNonce("n"), stun.MessageIntegrity("key")).Raw)
	f.Add([]byte{0x40, 0, 0, 0})
	ring := newKeyring("t", [][]byte{[]byte("a"), []byte("b")}, nil)
	f.Fuzz(func(t *testing.T, p []byte) {
		before := string(p)
		classifyReply(p)
		var m message
		if classify(p) == kindSTUN && m.decode(p) {
			ring.verify(&m.Message, string(m.username))
		}
		if string(p) != before {
			t.Fatal("inspecting changed the packet")
		}
	})
}

func client(i int, addr string) clientKey {
	return clientKey{client: netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(1000+i))}
}

func TestQuota(t *testing.T) {
	limits := Limits{AllocationsPerUser: 2, AllocationsPerSource: 3, Allocations: 4}
	now := timing.Instant(time.Hour)
	for _, row := range []struct {
		name  string
		steps []string // user@address, in order
		want  Reason   // of the last step
	}{
		{"user full", []string{"a@192.0.2.1", "a@192.0.2.2", "a@192.0.2.3"}, reasonUserQuota},
		{"other user", []string{"a@192.0.2.1", "a@192.0.2.2", "b@192.0.2.3"}, ""},
		{"source full", []string{"a@192.0.2.1", "b@192.0.2.1", "c@192.0.2.1", "d@192.0.2.1"}, reasonSourceQuota},
		{"source is a /64", []string{"a@2001:db8::1", "b@2001:db8::2", "c@2001:db8::3", "d@2001:db8::4"}, reasonSourceQuota},
		{"all full", []string{"a@192.0.2.1", "b@192.0.2.2", "c@192.0.2.3", "d@192.0.2.4", "e@192.0.2.5"}, reasonTotalQuota},
	} {
		q, got := newQuota(limits), Reason("")
		for i, step := range row.steps {
			user, addr, _ := strings.Cut(step, "@")
			got = q.reserve(client(i, addr), user, now)
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

func TestQuotaReservations(t *testing.T) {
	q := newQuota(Limits{AllocationsPerUser: 1, AllocationsPerSource: 9, Allocations: 9})
	now := timing.Instant(time.Hour)
	granted := func(key clientKey, at timing.Instant) bool { return q.reserve(key, "a", at) == "" }
	one, two := client(1, "192.0.2.1"), client(2, "192.0.2.1")
	if !granted(one, now) || !granted(one, now) {
		t.Fatal("a repeated request does not replace its own reservation")
	}
	if granted(two, now.Add(reservationLife-1)) {
		t.Fatal("a reservation does not count")
	}
	if !granted(two, now.Add(reservationLife)) {
		t.Fatal("a lapsed reservation still counts")
	}
	q.confirm(two, "a")
	if granted(one, now.Add(time.Hour)) {
		t.Fatal("an allocation lapsed like a reservation")
	}
	q.release(two)
	q.release(two)
	if !granted(one, now.Add(time.Hour)) {
		t.Fatal("a released allocation still counts")
	}
	unlimited := newQuota(LimitsOff())
	for i := range 2000 {
		if unlimited.reserve(client(i, "192.0.2.1"), "a", now) != "" {
			t.Fatal("no limit refuses")
		}
	}
}

// TestQuotaBalances drives random sequences: the counts must always be those of what is held.
func TestQuotaBalances(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	q := newQuota(Limits{AllocationsPerUser: 3, AllocationsPerSource: 4, Allocations: 10})
	now := timing.Instant(0)
	for range 20000 {
		now = now.Add(time.Duration(random.IntN(2000)) * time.Millisecond)
		key, user := client(random.IntN(8), fmt.Sprintf("192.0.2.%d", random.IntN(4))), fmt.Sprint(random.IntN(4))
		switch random.IntN(3) {
		case 0:
			q.reserve(key, user, now)
		case 1:
			if _, pending := q.pending[key]; pending {
				q.confirm(key, user)
			}
		case 2:
			q.release(key)
		}
		users, sources := 0, 0
		for _, n := range q.users {
			users += n
		}
		for _, n := range q.sources {
			sources += n
		}
		if users != len(q.held) || sources != len(q.held) || len(q.held) > 10 || len(q.pending) > len(q.held) {
			t.Fatalf("held %d, by user %d, by source %d, pending %d", len(q.held), users, sources, len(q.pending))
		}
	}
}

func TestGate(t *testing.T) {
	g := newGate(Limits{UnauthenticatedConns: 3, UnauthenticatedConnsPerSource: 2})
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if !g.enter(a) || !g.enter(a) || g.enter(a) || !g.enter(b) || g.enter(b) {
		t.Error("the gate miscounts entries")
	}
	if g.leave(a); !g.enter(b) {
		t.Error("leaving frees no place")
	}
}
