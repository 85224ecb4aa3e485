package consent_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"tourbillon/signaling/agent/consent"
	"tourbillon/timing"
)

var (
	peer  = netip.MustParseAddrPort("192.0.2.2:5000")
	other = netip.MustParseAddrPort("192.0.2.66:5000")
)

// numbered gives transactions the numbers 1, 2, 3 and intervals of 5 s, or what factors says.
type numbered struct {
	last    uint64
	uniform func() float64
}

func (n *numbered) Uniform() float64 {
	if n.uniform == nil {
		return 0.5
	}
	return n.uniform()
}

func (n *numbered) Transaction() consent.TransactionID {
	n.last++
	return number(n.last)
}

func number(n uint64) (id consent.TransactionID) {
	binary.BigEndian.PutUint64(id[4:], n)
	return id
}

// at is an instant of the tests, in milliseconds.
func at(ms int64) timing.Instant {
	return timing.Instant(time.Hour).Add(time.Duration(ms) * time.Millisecond)
}

func wantEffects(t *testing.T, got []consent.Effect, want ...consent.Effect) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("effects %+v, want %+v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("effect %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// granted is a machine with its first check under way since 5 s, round trip not over.
func granted(t *testing.T) *consent.Machine {
	t.Helper()
	m := consent.NewMachine(&numbered{})
	wantEffects(t, m.Apply(consent.Selected{Remote: peer}, at(0)),
		consent.Wake{At: at(30000)}, consent.Check{ID: number(1), Remote: peer, Due: at(5000)})
	wantEffects(t, m.Apply(consent.Left{ID: number(1), At: at(5000)}, at(5001)),
		consent.Check{ID: number(2), Remote: peer, Due: at(10000)})
	return m
}

func TestAnswers(t *testing.T) {
	for name, row := range map[string]struct {
		event consent.Answered
		ms    int64
		valid bool
	}{
		"in time":               {consent.Answered{ID: number(1), From: peer}, 5020, true},
		"late but within 30 s":  {consent.Answered{ID: number(1), From: peer}, 29999, true},
		"at the expiry":         {consent.Answered{ID: number(1), From: peer}, 30000, false},
		"from another address":  {consent.Answered{ID: number(1), From: other}, 5020, false},
		"from another port":     {consent.Answered{ID: number(1), From: netip.AddrPortFrom(peer.Addr(), 1)}, 5020, false},
		"of no check of ours":   {consent.Answered{ID: number(77), From: peer}, 5020, false},
		"before its check left": {consent.Answered{ID: number(2), From: peer}, 5020, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := granted(t)
			m.Apply(row.event, at(row.ms))
			if got := m.Renewed() == at(row.ms); got != row.valid {
				t.Errorf("renewed at %v: %v, want %v", m.Renewed(), got, row.valid)
			}
			if got := m.Quality().Answers; got != map[bool]int{true: 1}[row.valid] {
				t.Errorf("%d answers counted", got)
			}
		})
	}
}

// TestReplay gives the same answer twice: the second does not count.
func TestReplay(t *testing.T) {
	m := granted(t)
	answer := consent.Answered{ID: number(1), From: peer}
	wantEffects(t, m.Apply(answer, at(5020)), consent.Withdraw{ID: number(1)}, consent.Wake{At: at(35020)})
	wantEffects(t, m.Apply(answer, at(9000)))
	if m.Renewed() != at(5020) {
		t.Errorf("renewed at %v by a replay", m.Renewed())
	}
}

// TestExpiry has the peer silent: checks go on until 30 s after the last answer, when all ends at once.
func TestExpiry(t *testing.T) {
	m := granted(t)
	m.Apply(consent.Answered{ID: number(1), From: peer}, at(5020))
	for n := uint64(2); n <= 7; n++ {
		due := at(int64(n) * 5000)
		wantEffects(t, m.Apply(consent.Left{ID: number(n), At: due}, due),
			consent.Check{ID: number(n + 1), Remote: peer, Due: due.Add(5 * time.Second)})
	}
	wantEffects(t, m.Apply(consent.Woken{}, at(35019)), consent.Wake{At: at(35020)})
	got := m.Apply(consent.Woken{}, at(35020))
	if got[0] != (consent.Stop{Since: at(5020)}) || m.State() != consent.Expired {
		t.Fatalf("effects %+v in state %s", got, m.State())
	}
	if len(got) != 1+7 {
		t.Errorf("%d effects, want all seven checks withdrawn", len(got))
	}
	for _, e := range []consent.Event{consent.Woken{}, consent.Answered{ID: number(7), From: peer}, consent.Left{ID: number(8), At: at(40000)}} {
		wantEffects(t, m.Apply(e, at(40000)))
	}
	wantEffects(t, m.Apply(consent.Selected{Remote: other}, at(41000)),
		consent.Wake{At: at(71000)}, consent.Check{ID: number(9), Remote: other, Due: at(46000)})
	if m.State() != consent.Granted {
		t.Errorf("%s after a restart found another pair", m.State())
	}
}

// TestAnswerBeforeLeft has the wire tell late that a check has left.
func TestAnswerBeforeLeft(t *testing.T) {
	m := consent.NewMachine(&numbered{})
	m.Apply(consent.Selected{Remote: peer}, at(0))
	wantEffects(t, m.Apply(consent.Answered{ID: number(1), From: peer}, at(5040)),
		consent.Withdraw{ID: number(1)}, consent.Wake{At: at(35040)}, consent.Check{ID: number(2), Remote: peer, Due: at(10000)})
	wantEffects(t, m.Apply(consent.Left{ID: number(1), At: at(5000)}, at(5050)))
	if q := m.Quality(); q.Checks != 1 || q.Answers != 1 || q.RTT.Smoothed != 40*time.Millisecond {
		t.Errorf("quality %+v", q)
	}
}

// TestUnsent has the network refuse a check: the next one is planned, the pair kept.
func TestUnsent(t *testing.T) {
	m := consent.NewMachine(&numbered{})
	m.Apply(consent.Selected{Remote: peer}, at(0))
	wantEffects(t, m.Apply(consent.Unsent{ID: number(1)}, at(5001)),
		consent.Withdraw{ID: number(1)}, consent.Check{ID: number(2), Remote: peer, Due: at(10001)})
}

// TestClosed holds that a closed agent asks for nothing more.
func TestClosed(t *testing.T) {
	m := granted(t)
	wantEffects(t, m.Apply(consent.Closed{}, at(6000)), consent.Withdraw{ID: number(1)}, consent.Withdraw{ID: number(2)})
	for _, e := range []consent.Event{consent.Selected{Remote: peer}, consent.Woken{}, consent.Answered{ID: number(2), From: peer}} {
		wantEffects(t, m.Apply(e, at(50000)))
	}
	if m.State() != consent.Ended {
		t.Errorf("%s", m.State())
	}
}

// TestQuality measures round trips of 20 and 40 ms: RFC 3550's jitter gains a sixteenth of the difference.
func TestQuality(t *testing.T) {
	m := granted(t)
	m.Apply(consent.Answered{ID: number(1), From: peer}, at(5020))
	m.Apply(consent.Left{ID: number(2), At: at(10000)}, at(10000))
	m.Apply(consent.Answered{ID: number(2), From: peer}, at(10040))
	if q := m.Quality(); q.RTT.Samples != 2 || q.RTT.Smoothed != 22500*time.Microsecond || q.RTT.Jitter != 1250*time.Microsecond {
		t.Errorf("%+v", q.RTT)
	}
	m.Apply(consent.Selected{Remote: other}, at(11000))
	if q := m.Quality(); q != (consent.Quality{}) {
		t.Errorf("another path begins with %+v", q)
	}
}

// TestIntervals draws ten thousand: all within 4 to 6 s, 5 s in the mean, also when each check leaves late.
func TestIntervals(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	m := consent.NewMachine(&numbered{uniform: source.Float64})
	now, sum, late := at(0), time.Duration(0), time.Duration(0)
	next := m.Apply(consent.Selected{Remote: peer}, now)[1].(consent.Check)
	const checks = 10000
	for range checks {
		interval := next.Due.Sub(now)
		if interval < consent.MinInterval || interval > 6*time.Second {
			t.Fatalf("an interval of %v", interval)
		}
		sum += interval
		late = time.Duration(source.Int64N(int64(50 * time.Millisecond)))
		now = next.Due.Add(late)
		due := next.ID
		planned := m.Apply(consent.Left{ID: due, At: now}, now)
		next = planned[0].(consent.Check)
		m.Apply(consent.Answered{ID: due, From: peer}, now.Add(time.Millisecond))
	}
	if mean := sum / checks; mean < 4950*time.Millisecond || mean > 5050*time.Millisecond {
		t.Errorf("mean interval %v", mean)
	}
	if m.State() != consent.Granted || m.Quality().Answers != checks {
		t.Errorf("%s after %+v", m.State(), m.Quality())
	}
}
