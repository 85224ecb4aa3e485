package stdtime

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tourbillon/timing"
)

// process is what the whole process's timers run on.
type process struct {
	clock timing.Clock
	meter *timing.Meter
	// lanes are the clock's views for each tier.
	lanes map[Tier]lanes
	// wall is the clock's date; nil for clocks that keep real time, where package time's own is right and cheaper.
	wall func() time.Time
	// sites maps the program counters of arming calls to their clocks; replaced whole when one is added, which addSite
	// guards, as it does calls: how many calls of a constructor each function has shown.
	sites   atomic.Pointer[map[uintptr]*site]
	addSite sync.Mutex
	calls   map[string]int
	// armed counts the timers that SwapForTest must not leave behind.
	armed atomic.Int64
}

// lanes are a tier's two views of the clock.
type lanes struct{ spawned, inline *lane }

var (
	current = startWith(timing.Runtime{})
	inUse   atomic.Bool
)

func startWith(clock timing.Clock) *atomic.Pointer[process] {
	var p atomic.Pointer[process]
	p.Store(newProcess(clock, nil))
	return &p
}

// ErrClockSet is what Use returns when the process clock was already set.
var ErrClockSet = errors.New("stdtime: the process clock is already set: call Use once, before the first pion object")

// Use sets the process clock. Lateness is recorded in meter under the label of each site (see [SiteOf]); nil records
// nothing. The clock is to be the engine itself where there is one, not something around it, since its classes of timers
// are used.
func Use(clock timing.Clock, meter *timing.Meter) error {
	if !inUse.CompareAndSwap(false, true) {
		return ErrClockSet
	}
	current.Store(newProcess(clock, meter))
	return nil
}

// SwapForTest sets the process clock for one test and returns what restores the one before. It panics while a timer of
// the present clock is armed: whatever armed it would go on living on two clocks. A timer stays on the clock that it was
// made on, also one that is armed when the clock before is restored.
func SwapForTest(clock timing.Clock, meter *timing.Meter) (restore func()) {
	before, used := current.Load(), inUse.Load()
	if n := before.armed.Load(); n != 0 {
		panic(fmt.Sprintf("stdtime: SwapForTest while %d timers are armed", n))
	}
	current.Store(newProcess(clock, meter))
	return func() {
		current.Store(before)
		inUse.Store(used)
	}
}

func newProcess(clock timing.Clock, meter *timing.Meter) *process {
	_, reuse := clock.(*timing.Engine)
	p := &process{clock: clock, meter: meter, calls: map[string]int{}, lanes: map[Tier]lanes{}}
	for tier, view := range map[Tier]timing.Clock{Precise: clock, Coarse: timing.Coarse(clock)} {
		p.lanes[tier] = lanes{spawned: newLane(view, reuse), inline: newLane(timing.Inline(view), reuse)}
	}
	if dated, ok := clock.(interface{ Time() time.Time }); ok {
		p.wall = dated.Time
	}
	p.sites.Store(&map[uintptr]*site{})
	return p
}

// date is what Now returns under this clock.
func (p *process) date() Time {
	if p.wall != nil {
		return p.wall()
	}
	return time.Now()
}

// Now is package time's, or the date of a manual clock.
func Now() Time {
	if p := current.Load(); p.wall != nil {
		return p.wall()
	}
	return time.Now()
}

// Since returns the time elapsed since t.
func Since(t Time) Duration {
	if p := current.Load(); p.wall != nil {
		return p.wall().Sub(t)
	}
	return time.Since(t)
}

// Until returns the duration until t.
func Until(t Time) Duration {
	if p := current.Load(); p.wall != nil {
		return t.Sub(p.wall())
	}
	return time.Until(t)
}
