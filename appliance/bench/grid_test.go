//go:build linux

package bench

import (
	"slices"
	"testing"
	"time"

	"tourbillon/timing"
)

func TestGrid(t *testing.T) {
	const start = timing.Instant(1_000_000_000)
	layOut := func() *grid { return newGrid(200, 20*time.Millisecond, 200*time.Millisecond, time.Second, start) }
	g, again := layOut(), layOut()
	deadlines := int64(0)
	halves := [2]int{}
	for i, timer := range g.timers {
		if timer.first != again.timers[i].first {
			t.Fatal("phases differ from one grid to the next")
		}
		if timer.first < start || timer.first >= start.Add(timer.interval) {
			t.Errorf("timer %d begins at %d, outside of one interval", i, timer.first)
		}
		halves[timer.first.Sub(start)/(10*time.Millisecond)]++
		if len(timer.late) != 50 || timer.warm != 10 || timer.count != 60 {
			t.Errorf("timer %d: %d samples, %d of warm-up, %d in all, want 50, 10 and 60", i, len(timer.late), timer.warm, timer.count)
		}
		if first, last := timer.due(timer.warm), timer.due(timer.count-1); first < g.from || last >= g.until {
			t.Errorf("timer %d counts from %d to %d, outside of the window", i, first, last)
		}
		deadlines += int64(timer.count)
	}
	if g.open.Load() != deadlines {
		t.Errorf("%d open deadlines, want %d", g.open.Load(), deadlines)
	}
	if halves[0] < 70 || halves[1] < 70 {
		t.Errorf("phases are not uniform: %v in the two halves of the interval", halves)
	}
}

func TestGridInstantsBefore(t *testing.T) {
	for _, c := range []struct{ limit, first, want int64 }{{10, 10, 0}, {9, 10, 0}, {11, 10, 1}, {15, 10, 1}, {16, 10, 2}, {20, 10, 2}} {
		if got := gridInstantsBefore(timing.Instant(c.limit), timing.Instant(c.first), 5); int64(got) != c.want {
			t.Errorf("%d, %d … before %d: %d, want %d", c.first, c.first+5, c.limit, got, c.want)
		}
	}
}

func TestTally(t *testing.T) {
	const ms = time.Millisecond
	g := newGrid(1, 10*ms, 10*ms, 50*ms, 0)
	timer := g.timers[0]
	timer.serve(0, timer.due(0).Add(time.Second)) // Warm-up: not counted.
	for n, late := range []time.Duration{2 * ms, -1, 10 * ms, 11 * ms} {
		timer.serve(n+1, timer.due(n+1).Add(late))
	}
	select {
	case <-g.done:
		t.Error("done with a deadline open")
	default:
	}
	c := g.tally(timer.due(5).Add(30 * ms))
	if c.fires != 4 || c.early != 1 || c.missed != 2 {
		t.Errorf("%d fires, %d early, %d missed, want 4, 1, and 2: one too late and one never", c.fires, c.early, c.missed)
	}
	if want := []int64{-1, int64(2 * ms), int64(10 * ms), int64(11 * ms), int64(30 * ms)}; !slices.Equal(c.sorted, want) {
		t.Errorf("lateness %v, want %v", c.sorted, want)
	}
	timer.serve(5, timer.due(5))
	<-g.done
}
