package pacing_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"tourbillon/signaling/agent/pacing"
	"tourbillon/timing"
)

// start is before the clock's zero, as the present may be.
const start = timing.Instant(-time.Hour)

func remote(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n >> 8)}), uint16(n&255+1))
}

// departure is one check that left.
type departure struct {
	agent, remote int
	at            timing.Instant
}

// drive gives the bursts to a scheduler at their instants and takes whenever Next says, until all is over.
func drive(s *pacing.Scheduler[departure], bursts map[time.Duration][]departure, until time.Duration) (left []departure) {
	for now := start; now <= start.Add(until); now = now.Add(time.Millisecond / 2) {
		for _, d := range bursts[now.Sub(start)] {
			s.Offer(uint64(d.agent), remote(d.remote), d, now)
		}
		for {
			if next, ok := s.Next(); !ok || next > now {
				break
			}
			r, ok := s.Take(now)
			if !ok {
				break
			}
			r.Payload.at = now
			left = append(left, r.Payload)
		}
	}
	return left
}

func burst(agent, remotes int) (all []departure) {
	for n := range remotes {
		all = append(all, departure{agent: agent, remote: n})
	}
	return all
}

// TestCounts tells what became of each agent's checks and of all.
func TestCounts(t *testing.T) {
	s := pacing.New[departure](pacing.Config{})
	drive(s, map[time.Duration][]departure{0: append(burst(1, 4), burst(2, 8)...)}, time.Second)
	one, two, all := s.CountsOf(1), s.CountsOf(2), s.Counts()
	if one.Sent != 4 || one.Dropped != 0 || one.Waited != 300*time.Millisecond || one.Longest != 150*time.Millisecond {
		t.Errorf("the first agent: %+v", one)
	}
	if two.Sent+two.Dropped != 8 || two.Dropped == 0 || two.Longest > pacing.DefaultMaxWait {
		t.Errorf("the second agent: %+v", two)
	}
	if all.Sent != one.Sent+two.Sent || all.Dropped != two.Dropped || all.Waited != one.Waited+two.Waited || all.Longest != max(one.Longest, two.Longest) {
		t.Errorf("all: %+v", all)
	}
	s.End(1)
	if after := s.CountsOf(1); after != (pacing.Counts{}) || s.Counts() != all {
		t.Errorf("after its end: %+v", after)
	}
}

// TestTa has one agent burst four pairs, as pion does: they leave 50 ms apart, the first at once.
func TestTa(t *testing.T) {
	s := pacing.New[departure](pacing.Config{})
	left := drive(s, map[time.Duration][]departure{0: burst(1, 4)}, time.Second)
	for i, d := range left {
		if want := start.Add(time.Duration(i) * pacing.DefaultTa); d.at != want || d.remote != i {
			t.Errorf("check %d to %d leaves after %v", i, d.remote, d.at.Sub(start))
		}
	}
	if c := s.Counts(); len(left) != 4 || c.Sent != 4 || c.Longest != 150*time.Millisecond || c.Waited != 300*time.Millisecond {
		t.Errorf("%d left, counts %+v", len(left), s.Counts())
	}
	if _, waits := s.Next(); waits || s.Waiting() != 0 {
		t.Error("a deadline of an empty scheduler")
	}
}

// TestMaxWait drops what would wait more than 200 ms, and starves nobody: 20 pairs, offered again each 200 ms, all have
// their turn within 20 Ta.
func TestMaxWait(t *testing.T) {
	s := pacing.New[departure](pacing.Config{})
	bursts := map[time.Duration][]departure{}
	for at := time.Duration(0); at < time.Second; at += 200 * time.Millisecond {
		bursts[at] = burst(1, 20)
	}
	left := drive(s, bursts, 2*time.Second)
	seen := map[int]int{}
	for _, d := range left {
		seen[d.remote]++
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 pairs were checked: %v", len(seen), seen)
	}
	c := s.Counts()
	if c.Longest > pacing.DefaultMaxWait || c.Sent+c.Dropped+c.Replaced != 100 || c.Dropped == 0 {
		t.Errorf("counts %+v", c)
	}
}

// TestApart has many agents check one address: 5 ms apart.
func TestApart(t *testing.T) {
	s := pacing.New[departure](pacing.Config{})
	var all []departure
	for agent := range 30 {
		all = append(all, departure{agent: agent, remote: 7})
	}
	left := drive(s, map[time.Duration][]departure{0: all}, time.Second)
	for i, d := range left {
		if d.at != start.Add(time.Duration(i)*pacing.DefaultApart) {
			t.Errorf("check %d leaves after %v", i, d.at.Sub(start))
		}
	}
	if len(left) != 30 {
		t.Errorf("%d left", len(left))
	}
}

// TestCeiling has 1000 agents check as many addresses: 2000 a second, and what does not fit in 200 ms is dropped.
func TestCeiling(t *testing.T) {
	s := pacing.New[departure](pacing.Config{})
	var all []departure
	for n := range 1000 {
		all = append(all, departure{agent: n, remote: n})
	}
	left := drive(s, map[time.Duration][]departure{0: all}, time.Second)
	if len(left) != 401 || s.Counts().Dropped != 599 {
		t.Errorf("%d left, %+v", len(left), s.Counts())
	}
}

// TestHeard sends to the address that the peer was heard from before its turn.
func TestHeard(t *testing.T) {
	s := pacing.New[departure](pacing.Config{})
	for _, d := range burst(1, 4) {
		s.Offer(1, remote(d.remote), d, start)
	}
	s.Heard(1, remote(3))
	for i, want := range []int{3, 0, 1, 2} {
		r, ok := s.Take(start.Add(time.Duration(i) * pacing.DefaultTa))
		if !ok || r.Payload.remote != want {
			t.Fatalf("check %d goes to %d, want %d", i, r.Payload.remote, want)
		}
	}
}

// TestReplaced keeps the newer of two checks to one address.
func TestReplaced(t *testing.T) {
	s := pacing.New[departure](pacing.Config{})
	s.Offer(1, remote(0), departure{agent: 1}, start)
	s.Offer(1, remote(0), departure{agent: 2}, start)
	r, ok := s.Take(start)
	if _, more := s.Take(start.Add(time.Second)); !ok || more || r.Payload.agent != 2 || s.Counts().Replaced != 1 {
		t.Errorf("%+v, %v, %+v", r, more, s.Counts())
	}
}

// TestEnd takes an agent's checks away with it and leaves the others'.
func TestEnd(t *testing.T) {
	s := pacing.New[departure](pacing.Config{})
	for agent := 1; agent <= 2; agent++ {
		for _, d := range burst(agent, 3) {
			s.Offer(uint64(agent), remote(agent*10+d.remote), d, start)
		}
	}
	s.End(1)
	s.End(3)
	for now := start; now < start.Add(time.Second); now = now.Add(time.Millisecond) {
		if r, ok := s.Take(now); ok && r.Payload.agent != 2 {
			t.Errorf("a check of agent %d", r.Payload.agent)
		}
	}
	if c := s.Counts(); c.Ended != 3 || c.Sent != 3 {
		t.Errorf("%+v", c)
	}
}

// TestInvariants drives random offers and holds every departure to the three distances.
func TestInvariants(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		bursts := map[time.Duration][]departure{}
		offered := 0
		for range 300 {
			at := time.Duration(random.IntN(2000)) * time.Millisecond / 2
			bursts[at] = append(bursts[at], departure{agent: random.IntN(12), remote: random.IntN(20)})
			offered++
		}
		s := pacing.New[departure](pacing.Config{Ceiling: 500})
		left := drive(s, bursts, 3*time.Second)
		last := map[string]timing.Instant{}
		for _, d := range left {
			for key, apart := range map[string]time.Duration{
				fmt.Sprint("agent ", d.agent): pacing.DefaultTa, fmt.Sprint("remote ", d.remote): pacing.DefaultApart, "all": 2 * time.Millisecond,
			} {
				if before, ok := last[key]; ok && d.at.Sub(before) < apart {
					t.Fatalf("seed %d: %s sends after %v", seed, key, d.at.Sub(before))
				}
				last[key] = d.at
			}
		}
		if c := s.Counts(); c.Sent != len(left) || c.Sent+c.Dropped+c.Replaced != offered || c.Longest > pacing.DefaultMaxWait {
			t.Errorf("seed %d: %d offered, %+v", seed, offered, c)
		}
	}
}

// TestAwait has an agent await its peer: its checks wait for the first of the peer's, which is then answered at once and
// the others a Ta apart; of a peer that is never heard they begin when the hold is over.
func TestAwait(t *testing.T) {
	const heardAfter = 7 * time.Millisecond
	for _, heard := range []bool{true, false} {
		s := pacing.New[departure](pacing.Config{})
		s.Await(1, start)
		for _, d := range burst(1, 2) {
			s.Offer(1, remote(d.remote), d, start)
		}
		if next, _ := s.Next(); next != start.Add(pacing.DefaultHold) {
			t.Errorf("heard %v: the first check may leave after %v", heard, next.Sub(start))
		}
		first, order := start.Add(pacing.DefaultHold), []int{0, 1}
		if heard {
			first, order = start.Add(heardAfter), []int{2, 0, 1}
			if _, early := s.Take(first); early {
				t.Error("a check leaves before the peer was heard")
			}
			s.Heard(1, remote(2))
			s.Offer(1, remote(2), departure{agent: 1, remote: 2}, first)
		}
		for i, want := range order {
			at := first.Add(time.Duration(i) * pacing.DefaultTa)
			if next, _ := s.Next(); next > at || (next < at) != (heard && i == 0) {
				t.Errorf("heard %v: check %d may leave after %v", heard, i, next.Sub(start))
			}
			if r, ok := s.Take(at); !ok || r.Payload.remote != want {
				t.Errorf("heard %v: check %d goes to %+v, %v", heard, i, r, ok)
			}
		}
	}
}
