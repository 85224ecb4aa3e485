//go:build linux

package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"tourbillon/timing"
)

// gridSeed makes every arm's phases the same.
const gridSeed = 0x746f757262696c6c

// unserved marks a deadline that nothing has served yet.
const unserved = math.MinInt64

// grid is the timers of a trial with their samples. Deadlines before from are the warm-up and leave no sample.
type grid struct {
	timers []*gridTimer
	// from and until bound the deadlines that count.
	from, until timing.Instant
	// open counts the deadlines that are not served, the warm-up's too; done is closed when none is.
	open atomic.Int64
	done chan struct{}
}

// gridTimer is one periodic timer: deadlines first, first+interval …, count of them.
type gridTimer struct {
	grid     *grid
	index    int
	first    timing.Instant
	interval time.Duration
	count    int
	// warm is how many deadlines, the first ones, are not counted; late has the others' lateness in nanoseconds,
	// read and written atomically since a callback may still run when the trial is given up.
	warm int
	late []int64
	// next is the deadline to be armed or served next, owned by the timer's own chain of callbacks.
	next int
}

// newGrid lays out timers of one interval from start on: a warm-up, then the window that counts. It is pure.
func newGrid(timers int, interval, warmUp, window time.Duration, start timing.Instant) *grid {
	g := &grid{from: start.Add(warmUp), done: make(chan struct{})}
	g.until = g.from.Add(window)
	phases := rand.New(rand.NewPCG(gridSeed, gridSeed))
	deadlines := 0
	for i := range timers {
		t := &gridTimer{grid: g, index: i, interval: interval}
		t.first = start.Add(time.Duration(phases.Int64N(int64(interval))))
		t.warm = gridInstantsBefore(g.from, t.first, interval)
		t.count = gridInstantsBefore(g.until, t.first, interval)
		t.late = slices.Repeat([]int64{unserved}, t.count-t.warm)
		g.timers = append(g.timers, t)
		deadlines += t.count
	}
	g.open.Store(int64(deadlines))
	return g
}

// gridInstantsBefore counts the instants first, first+interval … that lie before limit.
func gridInstantsBefore(limit, first timing.Instant, interval time.Duration) int {
	if limit <= first {
		return 0
	}
	return int((limit.Sub(first) + interval - 1) / interval)
}

// due returns the timer's deadline number n.
func (t *gridTimer) due(n int) timing.Instant { return t.first.Add(time.Duration(n) * t.interval) }

// serve records that deadline n was served at the given instant. It does not allocate.
func (t *gridTimer) serve(n int, at timing.Instant) {
	if n >= t.warm {
		atomic.StoreInt64(&t.late[n-t.warm], int64(at.Sub(t.due(n))))
	}
	if t.grid.open.Add(-1) == 0 {
		close(t.grid.done)
	}
}

// advance moves on to the next deadline and returns it; more is false after the last. Only the timer's own chain of
// callbacks calls it.
func (t *gridTimer) advance() (due timing.Instant, more bool) {
	t.next++
	return t.due(t.next), t.next < t.count
}

// tally is what a grid's samples say.
type tally struct {
	// sorted has every counted deadline's lateness; one that was never served stands there with its lateness at the end.
	sorted               []int64
	fires, early, missed int64
}

// tally counts the samples. now is the instant at which waiting ended.
func (g *grid) tally(now timing.Instant) tally {
	var c tally
	for _, t := range g.timers {
		for i := range t.late {
			late := atomic.LoadInt64(&t.late[i])
			switch {
			case late == unserved:
				late = int64(now.Sub(t.due(t.warm + i)))
				c.missed++
			case late < 0:
				c.fires++
				c.early++
			default:
				c.fires++
				if late > int64(t.interval) {
					c.missed++
				}
			}
			c.sorted = append(c.sorted, late)
		}
	}
	slices.Sort(c.sorted)
	return c
}
