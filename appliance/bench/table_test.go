//go:build linux

package bench

import (
	"slices"
	"testing"
	"time"
)

func TestTablesHaveTheOriginsRows(t *testing.T) {
	b := &bench{options: options{duration: time.Second, runs: 1, loads: []string{loadIdle}}}
	all := tables()
	if len(all) != len(tableNames()) {
		t.Errorf("%d tables, %d names", len(all), len(tableNames()))
	}
	for name, want := range map[string][]float64{
		"afterfunc": {0.8, 3.2, 2.1, 1.3, 4.7, 0.9},
		"requests":  {8.243, 15.612, 1.027, 2.389, 0.008, 0.042},
		"create":    {1_002_418, 0.87, 1.2e6, 2, 0.03, 24},
		"heartbeat": {1.82, 3.47, 196.3, 196.3},
		"poller":    {80, 1200, 120, 450},
		"quota":     {2.3, 12.8, 58.4},
	} {
		var got []float64
		for _, c := range all[name](b).cases {
			for _, f := range c.figures {
				if f.origin != 0 {
					got = append(got, f.origin)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("table %s: the origin's figures are %v, want %v", name, got, want)
		}
	}
}

func TestRequests(t *testing.T) {
	for _, arm := range []string{armRuntime, armHRTimer} {
		var a requestsAnswer
		for window := 100 * time.Millisecond; a.Waits == 0 && window < 10*time.Second; window *= 2 { // Until one was waited for.
			a = *ask(t, order{Requests: &requestsOrder{Arm: arm, Asked: time.Millisecond, Window: window}}, true).Requests
		}
		if a.Waits == 0 || a.MeanNS < 0 || a.P99NS < 0 || float64(a.P99NS) < a.MeanNS/2 {
			t.Errorf("%s: %+v", arm, a)
		}
	}
}

func TestCreate(t *testing.T) {
	const operations = 10_000
	for _, arm := range []string{armRuntime, armHRTimer} {
		each := *ask(t, order{Create: &createOrder{Arm: arm, Operations: operations}}, true).Create
		same := *ask(t, order{Create: &createOrder{Arm: arm, Operations: operations, Reuse: true}}, true).Create
		if each.Allocations < operations || same.Allocations > operations/10 || each.PerOperationNS <= 0 {
			t.Errorf("%s: %d allocations creating and %d re-using over %d operations", arm, each.Allocations, same.Allocations, operations)
		}
	}
}

func TestBeats(t *testing.T) {
	for _, way := range []string{beatsUncorrected, beatsFedBack, beatsOnGrid} {
		a := *ask(t, order{Beats: &beatsOrder{Arm: armRuntime, Way: way, Period: 20 * time.Millisecond, Beats: 10}}, true).Beats
		if a.MeanNS <= 0 || a.AccumulatedNS <= 0 || a.ModelNS <= 0 {
			t.Errorf("%s: %+v, want beats that come late", way, a)
		}
	}
}

func TestJudgeBeats(t *testing.T) {
	o := beatsOrder{Way: beatsUncorrected, Beats: 3}
	a := o.judge([]int64{10, 20, 30}, []int64{10, 10, 10})
	if want := (beatsAnswer{MeanNS: 10, DeviationNS: 0, AccumulatedNS: 30, ModelNS: 30}); a != want {
		t.Errorf("three beats, each 10 late: %+v, want %+v", a, want)
	}
	o.Way = beatsOnGrid
	a = o.judge([]int64{10, 20, 30}, []int64{10, 20, 30})
	if a.ModelNS != 20 {
		t.Errorf("on a grid the model says %d, want the mean lateness, 20", a.ModelNS)
	}
}

func TestPoller(t *testing.T) {
	a := *ask(t, order{Poller: &pollerOrder{Connections: 10, Rounds: 3, Polls: 1000}}, true).Poller
	if a.SharedNS <= 0 || a.PrivateNS <= 0 || a.EmptyPollNS <= 0 {
		t.Errorf("%+v: each takes time", a)
	}
}
