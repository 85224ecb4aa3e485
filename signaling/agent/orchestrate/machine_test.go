package orchestrate_test

import (
	"reflect"
	"testing"
	"time"

	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing"
)

const start = timing.Instant(time.Hour)

func at(s float64) timing.Instant { return start.Add(time.Duration(s * float64(time.Second))) }

// step is an event at a second, the state after it and what it has done.
type step struct {
	s     float64
	event orchestrate.Event
	state orchestrate.State
	want  []orchestrate.Effect
}

func ask(route orchestrate.Route) orchestrate.Ask {
	return orchestrate.Ask{Side: orchestrate.Impolite, Route: route}
}

func wake(s float64) orchestrate.Wake { return orchestrate.Wake{At: at(s)} }

var parked = orchestrate.Wake{At: timing.Never}

func run(t *testing.T, steps []step) *orchestrate.Machine {
	t.Helper()
	m, first := orchestrate.New(orchestrate.Config{}, start)
	if first != wake(30) {
		t.Errorf("first wake %+v", first)
	}
	for i, x := range steps {
		got := m.Apply(x.event, at(x.s))
		if m.State() != x.state || len(got) != len(x.want) || len(got) > 0 && !reflect.DeepEqual(got, x.want) {
			t.Fatalf("step %d, %s at %v s: %s, %+v; want %s, %+v", i, x.event, x.s, m.State(), got, x.state, x.want)
		}
	}
	return m
}

type effects = []orchestrate.Effect

func connected(more ...step) []step {
	return append([]step{
		{0.1, orchestrate.Gathered, orchestrate.Checking, nil},
		{0.5, orchestrate.PairSelected, orchestrate.Connected, effects{parked}},
	}, more...)
}

// TestRestart loses the path once: one side alone is asked, over the same route first.
func TestRestart(t *testing.T) {
	m := run(t, connected(
		step{100, orchestrate.Lost, orchestrate.ConsentLost, effects{ask(orchestrate.Direct), wake(110)}},
		step{100.1, orchestrate.Lost, orchestrate.ConsentLost, nil}, // The other side has noticed, too.
		step{100.2, orchestrate.Offered, orchestrate.Restarting, effects{wake(110.2)}},
		step{100.3, orchestrate.Offered, orchestrate.Restarting, nil},
		step{101, orchestrate.PairSelected, orchestrate.Connected, effects{parked}},
	))
	want := map[orchestrate.State]time.Duration{
		orchestrate.Gathering: 100 * time.Millisecond, orchestrate.Checking: 400 * time.Millisecond,
		orchestrate.Connected: 109500 * time.Millisecond, orchestrate.ConsentLost: 200 * time.Millisecond,
		orchestrate.Restarting: 800 * time.Millisecond,
	}
	for state, d := range m.Phases(at(111)) {
		if got := (d - want[state]).Abs(); got > time.Microsecond {
			t.Errorf("%s lasted %v, want %v", state, d, want[state])
		}
	}
	if line := m.Timeline(); len(line) != 6 || line[5].State != orchestrate.Connected {
		t.Errorf("timeline %+v", line)
	}
}

// TestEscalation has nothing work: routes in turn, pauses doubling, then failure.
func TestEscalation(t *testing.T) {
	m := run(t, connected())
	now := at(100)
	routes, pauses := []orchestrate.Route{}, []time.Duration{}
	got := m.Apply(orchestrate.Lost, now)
	for m.State() != orchestrate.Failed {
		pause := true
		for _, e := range got {
			if a, ok := e.(orchestrate.Ask); ok {
				routes, pause = append(routes, a.Route), false
				if a.Side != orchestrate.Impolite {
					t.Errorf("%s is asked", a.Side)
				}
			}
		}
		next := got[len(got)-1].(orchestrate.Wake).At
		if pause {
			pauses = append(pauses, next.Sub(now))
		}
		now = next
		got = m.Apply(orchestrate.Woken, now)
	}
	d, u, c, l := orchestrate.Direct, orchestrate.RelayUDP, orchestrate.RelayTCP, orchestrate.RelayTLS
	if want := []orchestrate.Route{d, u, c, l, d, u, c, l}; !reflect.DeepEqual(routes, want) {
		t.Errorf("routes %v", routes)
	}
	s := time.Second
	if want := []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 16 * s, 16 * s, 16 * s}; !reflect.DeepEqual(pauses, want) {
		t.Errorf("pauses %v", pauses)
	}
	for _, e := range []orchestrate.Event{orchestrate.Woken, orchestrate.Lost, orchestrate.Offered, orchestrate.Faltered} {
		if got := m.Apply(e, now); got != nil {
			t.Errorf("%s after the failure: %+v", e, got)
		}
	}
}

// TestNeverConnected goes on to a relay when the first try got nowhere.
func TestNeverConnected(t *testing.T) {
	run(t, []step{
		{0.1, orchestrate.Gathered, orchestrate.Checking, nil},
		{30, orchestrate.Woken, orchestrate.ConsentLost, effects{ask(orchestrate.RelayUDP), wake(40)}},
		{31, orchestrate.Offered, orchestrate.Restarting, effects{wake(41)}},
		{32, orchestrate.PairSelected, orchestrate.Connected, effects{parked}},
	})
}

// TestFlapping keeps escalating while connections do not last, and starts over when one has.
func TestFlapping(t *testing.T) {
	run(t, connected(
		step{100, orchestrate.Lost, orchestrate.ConsentLost, effects{ask(orchestrate.Direct), wake(110)}},
		step{101, orchestrate.PairSelected, orchestrate.Connected, effects{parked}},
		step{103, orchestrate.Lost, orchestrate.ConsentLost, effects{ask(orchestrate.RelayUDP), wake(113)}},
		step{104, orchestrate.PairSelected, orchestrate.Connected, effects{parked}},
		step{204, orchestrate.Lost, orchestrate.ConsentLost, effects{ask(orchestrate.Direct), wake(214)}},
	))
}

// FuzzApply gives events in any order: one wake is asked for at most, never in the past, and only a connection ends a
// failure.
func FuzzApply(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 4, 4, 1, 2})
	all := []orchestrate.Event{orchestrate.Gathered, orchestrate.PairSelected, orchestrate.Lost, orchestrate.Offered, orchestrate.Woken}
	f.Fuzz(func(t *testing.T, choices []byte) {
		now := start
		m, next := orchestrate.New(orchestrate.Config{}, now)
		for _, choice := range choices {
			e := all[int(choice)%len(all)]
			now = now.Add(time.Duration(choice) * time.Millisecond)
			if e == orchestrate.Woken {
				if next.At == timing.Never {
					continue
				}
				now = max(now, next.At)
			}
			failed, asks := m.State() == orchestrate.Failed, 0
			for _, effect := range m.Apply(e, now) {
				switch effect := effect.(type) {
				case orchestrate.Wake:
					if next = effect; next.At < now {
						t.Fatalf("%s: wake at %v, which has passed at %v", e, next.At, now)
					}
				case orchestrate.Ask:
					asks++
				}
			}
			if asks > 1 || failed && (asks > 0 || m.State() != orchestrate.Failed && e != orchestrate.PairSelected) {
				t.Fatalf("%s: %d asks, %s", e, asks, m.State())
			}
		}
		var sum time.Duration
		for _, d := range m.Phases(now) {
			sum += d
		}
		if sum != now.Sub(start) {
			t.Errorf("phases sum up to %v of %v", sum, now.Sub(start))
		}
	})
}
