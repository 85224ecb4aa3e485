package orchestrate_test

import (
	"reflect"
	"testing"
	"time"

	"tourbillon/signaling/agent/orchestrate"
	"tourbillon/timing"
)

// TestFalterHeals has nothing come for a while: what passes by itself costs no restart.
func TestFalterHeals(t *testing.T) {
	m := run(t, connected(
		step{100, orchestrate.Faltered, orchestrate.Faltering, effects{wake(104)}},
		step{100.1, orchestrate.Faltered, orchestrate.Faltering, nil},
		step{102, orchestrate.PairSelected, orchestrate.Connected, effects{parked}},
	))
	if m.Attempt() != 0 {
		t.Errorf("%d restarts", m.Attempt())
	}
}

// TestFalterEnds restarts when the grace is over, and at once when a side says that it is lost for good.
func TestFalterEnds(t *testing.T) {
	run(t, connected(
		step{100, orchestrate.Faltered, orchestrate.Faltering, effects{wake(104)}},
		step{104, orchestrate.Woken, orchestrate.ConsentLost, effects{ask(orchestrate.Direct), wake(114)}},
	))
	run(t, connected(
		step{100, orchestrate.Faltered, orchestrate.Faltering, effects{wake(104)}},
		step{101, orchestrate.Lost, orchestrate.ConsentLost, effects{ask(orchestrate.Direct), wake(111)}},
	))
}

// TestGlare has a side restart by itself just before the other reports the loss: nobody is asked on top of it.
func TestGlare(t *testing.T) {
	run(t, connected(
		step{100, orchestrate.SelfRestarted, orchestrate.Restarting, effects{wake(110)}},
		step{100.1, orchestrate.Lost, orchestrate.Restarting, nil},
		step{100.2, orchestrate.SelfRestarted, orchestrate.Restarting, nil},
		step{101, orchestrate.PairSelected, orchestrate.Connected, effects{parked}},
	))
	// The other way round: asked, and by itself at the same time.
	run(t, connected(
		step{100, orchestrate.Lost, orchestrate.ConsentLost, effects{ask(orchestrate.Direct), wake(110)}},
		step{100.1, orchestrate.SelfRestarted, orchestrate.Restarting, effects{wake(110.1)}},
		step{100.2, orchestrate.Offered, orchestrate.Restarting, nil},
	))
}

// TestSilence has the asked side never answer: the next route is tried, as often as there are attempts.
func TestSilence(t *testing.T) {
	run(t, connected(
		step{100, orchestrate.Lost, orchestrate.ConsentLost, effects{ask(orchestrate.Direct), wake(110)}},
		step{110, orchestrate.Woken, orchestrate.ConsentLost, effects{wake(111)}},
		step{111, orchestrate.Woken, orchestrate.ConsentLost, effects{ask(orchestrate.RelayUDP), wake(121)}},
		step{121, orchestrate.Woken, orchestrate.ConsentLost, effects{wake(123)}},
		step{123, orchestrate.Woken, orchestrate.ConsentLost, effects{ask(orchestrate.RelayTCP), wake(133)}},
	))
}

// TestExpiredCredentials has relays refuse what they were shown: the connection fails soon after each restart. Each
// restart comes with fresh ones, so the routes are tried in turn, and never faster than the pauses allow.
func TestExpiredCredentials(t *testing.T) {
	run(t, connected(
		step{700, orchestrate.Lost, orchestrate.ConsentLost, effects{ask(orchestrate.Direct), wake(710)}},
		step{700.1, orchestrate.Offered, orchestrate.Restarting, effects{wake(710.1)}},
		step{700.3, orchestrate.PairSelected, orchestrate.Connected, effects{parked}},
		step{700.4, orchestrate.Lost, orchestrate.ConsentLost, effects{wake(701)}},
		step{701, orchestrate.Woken, orchestrate.ConsentLost, effects{ask(orchestrate.RelayUDP), wake(711)}},
		step{701.1, orchestrate.Offered, orchestrate.Restarting, effects{wake(711.1)}},
		step{701.3, orchestrate.PairSelected, orchestrate.Connected, effects{parked}},
		step{701.4, orchestrate.Lost, orchestrate.ConsentLost, effects{wake(703)}},
		step{703, orchestrate.Woken, orchestrate.ConsentLost, effects{ask(orchestrate.RelayTCP), wake(713)}},
	))
}

// TestAway waits with a restart until both sides can be told, and gives it the whole of its time then.
func TestAway(t *testing.T) {
	run(t, connected(
		step{100, orchestrate.Away, orchestrate.Connected, nil},
		step{101, orchestrate.Lost, orchestrate.ConsentLost, effects{parked}},
		step{102, orchestrate.Woken, orchestrate.ConsentLost, nil},
		step{130, orchestrate.Back, orchestrate.ConsentLost, effects{ask(orchestrate.Direct), wake(140)}},
		step{131, orchestrate.Away, orchestrate.ConsentLost, effects{parked}},
		step{150, orchestrate.Back, orchestrate.ConsentLost, effects{wake(160)}},
		step{160, orchestrate.Woken, orchestrate.ConsentLost, effects{wake(161)}},
		step{160.5, orchestrate.Away, orchestrate.ConsentLost, effects{parked}},
		step{170, orchestrate.Back, orchestrate.ConsentLost, effects{ask(orchestrate.RelayUDP), wake(180)}},
		step{171, orchestrate.Back, orchestrate.ConsentLost, nil},
	))
}

// TestConnectsAfterFailure believes a side that connects after the session was given up, but asks nobody anew before the
// connection has lasted.
func TestConnectsAfterFailure(t *testing.T) {
	m, _ := orchestrate.New(orchestrate.Config{Attempts: 1}, start)
	m.Apply(orchestrate.PairSelected, at(1))
	m.Apply(orchestrate.Lost, at(100))
	m.Apply(orchestrate.Woken, at(110))
	m.Apply(orchestrate.Woken, at(111))
	if m.State() != orchestrate.Failed {
		t.Fatalf("state %s", m.State())
	}
	m.Apply(orchestrate.PairSelected, at(112))
	if got := m.Apply(orchestrate.Lost, at(113)); !reflect.DeepEqual(got, effects{parked, orchestrate.Fail{Reason: "no restart worked"}}) {
		t.Errorf("after a second: %+v", got)
	}
	m.Apply(orchestrate.PairSelected, at(114))
	if got := m.Apply(orchestrate.Lost, at(150)); !reflect.DeepEqual(got, effects{ask(orchestrate.Direct), wake(160)}) {
		t.Errorf("after %v: %+v", 36*time.Second, got)
	}
}

// TestTimelineNamesItsCauses has each line say what led there and who said so.
func TestTimelineNamesItsCauses(t *testing.T) {
	m, _ := orchestrate.New(orchestrate.Config{}, start)
	m.ApplyFrom(orchestrate.PairSelected, orchestrate.Polite, at(1))
	m.ApplyFrom(orchestrate.Lost, orchestrate.Impolite, at(2))
	m.Apply(orchestrate.Woken, at(12))
	m.Apply(orchestrate.Woken, at(13))
	want := []orchestrate.Entry{
		{State: orchestrate.Gathering, At: start, Route: orchestrate.Direct},
		{State: orchestrate.Connected, At: at(1), Route: orchestrate.Direct, Event: orchestrate.PairSelected, By: orchestrate.Polite},
		{State: orchestrate.ConsentLost, At: at(2), Route: orchestrate.Direct, Event: orchestrate.Lost, By: orchestrate.Impolite},
		{State: orchestrate.ConsentLost, At: at(13), Route: orchestrate.RelayUDP, Event: orchestrate.Woken},
	}
	if got := m.Timeline(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// FuzzNeverBoth lets both sides report anything in any order: the polite side is never asked, nobody is while a side is
// away, routes go in their order, restarts keep their distance, and a flapping connection is given up.
func FuzzNeverBoth(f *testing.F) {
	f.Add([]byte{1, 2, 8, 8, 8, 1, 2, 1, 2, 8, 5, 6, 7})
	f.Add([]byte{1, 2, 1, 2, 1, 2, 1, 2, 8, 2, 1, 2, 8, 8})
	all := []orchestrate.Event{
		orchestrate.Gathered, orchestrate.PairSelected, orchestrate.Lost, orchestrate.Faltered, orchestrate.Offered,
		orchestrate.SelfRestarted, orchestrate.Away, orchestrate.Back, orchestrate.Woken,
	}
	routes := []orchestrate.Route{orchestrate.Direct, orchestrate.RelayUDP, orchestrate.RelayTCP, orchestrate.RelayTLS}
	f.Fuzz(func(t *testing.T, choices []byte) {
		now, away := start, false
		var asked timing.Instant
		m, next := orchestrate.New(orchestrate.Config{}, now)
		for _, choice := range choices {
			e, by := all[int(choice)%len(all)], orchestrate.Impolite
			if choice >= 128 {
				by = orchestrate.Polite
			}
			now = now.Add(time.Duration(choice) * 10 * time.Millisecond)
			switch e {
			case orchestrate.Woken:
				if next.At == timing.Never {
					continue
				}
				now = max(now, next.At)
			case orchestrate.Away, orchestrate.Back:
				away = e == orchestrate.Away
			}
			attempt, route := m.Attempt(), m.Route()
			for _, effect := range m.ApplyFrom(e, by, now) {
				switch effect := effect.(type) {
				case orchestrate.Wake:
					if next = effect; next.At < now {
						t.Fatalf("%s: wake at %v, which has passed at %v", e, next.At, now)
					}
				case orchestrate.Ask:
					switch {
					case effect.Side != orchestrate.Impolite:
						t.Fatalf("%s: the %s side is asked", e, effect.Side)
					case away:
						t.Fatalf("%s: asked while a side is away", e)
					case m.Attempt() > 1 && asked != 0 && now.Sub(asked) < time.Second:
						t.Fatalf("%s: asked again after %v", e, now.Sub(asked))
					case m.Attempt() == 1 && effect.Route != orchestrate.Direct,
						m.Attempt() == attempt+1 && attempt > 0 && effect.Route != after(routes, route):
						t.Fatalf("%s: attempt %d over %s after %s", e, m.Attempt(), effect.Route, route)
					case m.Attempt() > 8:
						t.Fatalf("%d attempts", m.Attempt())
					}
					asked = now
				}
			}
			if len(m.Timeline()) > 64 {
				t.Fatalf("%d lines", len(m.Timeline()))
			}
		}
	})
}

func after(routes []orchestrate.Route, route orchestrate.Route) orchestrate.Route {
	for i, r := range routes {
		if r == route {
			return routes[(i+1)%len(routes)]
		}
	}
	return ""
}
