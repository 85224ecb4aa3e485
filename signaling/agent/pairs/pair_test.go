package pairs_test

import (
	"testing"
	"time"

	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/signaling/agent/pairs"
	"tourbillon/timing"
)

const (
	start    = timing.Instant(time.Hour)
	impolite = orchestrate.Impolite
	polite   = orchestrate.Polite
)

func at(s float64) timing.Instant { return start.Add(time.Duration(s * float64(time.Second))) }

// step is an event of a side at a second, and what it leads to. wake is a second; 0 for never.
type step struct {
	s     float64
	by    orchestrate.Side
	kind  pairs.Kind
	state orchestrate.State
	ask   orchestrate.Route
	wake  float64
}

func run(t *testing.T, steps ...step) *pairs.Pair {
	t.Helper()
	p := pairs.New(orchestrate.Config{}, start)
	for i, x := range steps {
		got := p.Apply(pairs.Event{Kind: x.kind, By: x.by}, at(x.s))
		wake := timing.Never
		if x.wake != 0 {
			wake = at(x.wake)
		}
		if p.Status().State != x.state || got.Route != x.ask || got.Wake != wake {
			t.Fatalf("step %d, %s of the %s side at %v s: %s, %+v; want %+v", i, x.kind, x.by, x.s, p.Status().State, got, x)
		}
		if got.Ask != "" && got.Ask != impolite {
			t.Fatalf("step %d: the %s side is asked", i, got.Ask)
		}
	}
	return p
}

// up is a session that both sides have connected.
func up(more ...step) []step {
	return append([]step{
		{0, polite, pairs.Gathering, orchestrate.Gathering, "", 30},
		{0.1, polite, pairs.Checking, orchestrate.Checking, "", 30},
		{0.1, impolite, pairs.Checking, orchestrate.Checking, "", 30},
		{0.5, impolite, pairs.Connected, orchestrate.Checking, "", 30}, // The other is not yet.
		{0.6, polite, pairs.Connected, orchestrate.Connected, "", 0},
	}, more...)
}

// TestPoliteSideFails has the impolite side restart, whichever noticed.
func TestPoliteSideFails(t *testing.T) {
	p := run(t, up(
		step{100, polite, pairs.Failed, orchestrate.ConsentLost, orchestrate.Direct, 110},
		step{100.1, impolite, pairs.Failed, orchestrate.ConsentLost, "", 110},
		step{100.2, impolite, pairs.Restarting, orchestrate.Restarting, "", 110.2},
		step{100.2, impolite, pairs.Offered, orchestrate.Restarting, "", 110.2},
		step{100.5, polite, pairs.Connected, orchestrate.Connected, "", 0},
		step{100.6, impolite, pairs.Connected, orchestrate.Connected, "", 0},
	)...)
	if s := p.Status(); s.Restarts != 1 || s.Attempt != 1 {
		t.Errorf("%+v", s)
	}
}

// TestShortLossHeals believes the side that lost the connection when it has it back, and nobody else.
func TestShortLossHeals(t *testing.T) {
	run(t, up(
		step{100, polite, pairs.Disconnected, orchestrate.Faltering, "", 104},
		step{101, impolite, pairs.Connected, orchestrate.Faltering, "", 104},
		step{102, polite, pairs.Connected, orchestrate.Connected, "", 0},
	)...)
}

// TestOneWay has the impolite side see nothing wrong: it restarts all the same, and its word that it is connected does
// not end the search before the other side's.
func TestOneWay(t *testing.T) {
	run(t, up(
		step{100, polite, pairs.Failed, orchestrate.ConsentLost, orchestrate.Direct, 110},
		step{101, impolite, pairs.Connected, orchestrate.ConsentLost, "", 110},
		step{102, impolite, pairs.Restarting, orchestrate.Restarting, "", 112},
		step{103, polite, pairs.Failed, orchestrate.Restarting, "", 112},
		step{104, impolite, pairs.Connected, orchestrate.Restarting, "", 112},
		step{105, polite, pairs.Connected, orchestrate.Connected, "", 0},
	)...)
}

// TestImpoliteSideSeesNoGap has the impolite side connected all the while, as browsers are that restart on a path that
// works for them: the session is back when the other side is through, too.
func TestImpoliteSideSeesNoGap(t *testing.T) {
	run(t, up(
		step{100, polite, pairs.Failed, orchestrate.ConsentLost, orchestrate.Direct, 110},
		step{100.1, impolite, pairs.Restarting, orchestrate.Restarting, "", 110.1},
		step{100.2, polite, pairs.Checking, orchestrate.Restarting, "", 110.1},
		step{100.3, impolite, pairs.Connected, orchestrate.Restarting, "", 110.1},
		step{101, polite, pairs.Connected, orchestrate.Connected, "", 0},
	)...)
}

// TestOldClient has the impolite side report nothing: offers that go by say enough.
func TestOldClient(t *testing.T) {
	run(t,
		step{0, polite, pairs.Gathering, orchestrate.Gathering, "", 30},
		step{0.1, polite, pairs.Offered, orchestrate.Gathering, "", 30},
		step{0.2, polite, pairs.Connected, orchestrate.Connected, "", 0},
		step{50, impolite, pairs.Offered, orchestrate.Connected, "", 0}, // Shares its screen.
		step{100, polite, pairs.Failed, orchestrate.ConsentLost, orchestrate.Direct, 110},
		step{100.1, impolite, pairs.Offered, orchestrate.Restarting, "", 110.1},
		step{101, polite, pairs.Connected, orchestrate.Connected, "", 0},
	)
}

// TestAfterARestartOfTheServer begins with the first word, which may be of a connection that is gone.
func TestAfterARestartOfTheServer(t *testing.T) {
	run(t, step{0, polite, pairs.Failed, orchestrate.ConsentLost, orchestrate.Direct, 10})
	run(t, step{0, impolite, pairs.Restarting, orchestrate.Restarting, "", 10})
	run(t, step{0, impolite, pairs.Connected, orchestrate.Connected, "", 0})
}

// TestBothAway waits for both.
func TestBothAway(t *testing.T) {
	run(t, up(
		step{100, polite, pairs.Away, orchestrate.Connected, "", 0},
		step{100, impolite, pairs.Failed, orchestrate.ConsentLost, "", 0},
		step{101, impolite, pairs.Away, orchestrate.ConsentLost, "", 0},
		step{102, polite, pairs.Back, orchestrate.ConsentLost, "", 0},
		step{103, impolite, pairs.Back, orchestrate.ConsentLost, orchestrate.Direct, 113},
	)...)
}

// TestChanged tells the sides of each state and each further attempt, and of nothing else.
func TestChanged(t *testing.T) {
	p := pairs.New(orchestrate.Config{}, start)
	for i, x := range []struct {
		s    float64
		kind pairs.Kind
		want bool
	}{
		{0, pairs.Gathering, true}, {0.1, pairs.Gathering, false}, {0.2, pairs.Checking, true}, {1, pairs.Connected, true},
		{2, pairs.Connected, false}, {100, pairs.Failed, true}, {110, pairs.Woken, false}, {111, pairs.Woken, true},
	} {
		if got := p.Apply(pairs.Event{Kind: x.kind, By: polite}, at(x.s)); got.Changed != x.want {
			t.Errorf("%d, %s: %+v", i, x.kind, got)
		}
	}
}

// FuzzLiar has the polite side say anything at any time: the other is asked no more often than the pauses between the
// attempts allow, and the session never ends in a way that only a fresh one would mend.
func FuzzLiar(f *testing.F) {
	f.Add([]byte{2, 4, 2, 4, 2, 4, 2, 4})
	f.Add([]byte{4, 5, 2, 3, 4, 7, 8, 9, 6})
	all := []pairs.Kind{
		pairs.Gathering, pairs.Checking, pairs.Connected, pairs.Disconnected, pairs.Failed, pairs.Restarting, pairs.Offered,
		pairs.Away, pairs.Back, pairs.Woken,
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		p, now, wake := pairs.New(orchestrate.Config{}, start), start, timing.Never
		var asked timing.Instant
		for _, choice := range choices {
			e := pairs.Event{Kind: all[int(choice)%len(all)], By: polite}
			now = now.Add(time.Duration(choice) * time.Millisecond)
			if e.Kind == pairs.Woken {
				if wake == timing.Never {
					continue
				}
				now, e.By = max(now, wake), ""
			}
			order := p.Apply(e, now)
			if order.Wake != wake && order.Wake < now {
				t.Fatalf("%s: wake at %v, it is %v", e.Kind, order.Wake, now)
			}
			wake = order.Wake
			if order.Ask == polite {
				t.Fatal("the liar is asked")
			}
			if order.Ask == "" {
				continue
			}
			if asked != 0 && now.Sub(asked) < time.Second {
				t.Fatalf("asked again after %v", now.Sub(asked))
			}
			asked = now
		}
		p.Apply(pairs.Event{Kind: pairs.Connected, By: polite}, now)
		p.Apply(pairs.Event{Kind: pairs.Connected, By: impolite}, now)
		if s := p.Status().State; s != orchestrate.Connected {
			t.Errorf("both are connected, the session is %s", s)
		}
	})
}
