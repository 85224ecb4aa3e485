//go:build linux

package bench

import (
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tourbillon/timing"
)

// Names of the loads.
const (
	loadIdle     = "idle"
	loadServer2  = "server-2"
	loadServer50 = "server-50"
	loadBusy     = "busy"
	loadGC       = "gc"
)

// quotas are the CPU quotas of the load `quota`, in thousandths of a CPU.
var quotas = []int{20, 100, 500}

func quotaLoad(millicores int) string { return "quota-" + strconv.Itoa(millicores) + "m" }

// quotaOf returns the quota that a load runs under, 0 for none.
func quotaOf(load string) (millicores int) {
	figure, ok := strings.CutPrefix(load, "quota-")
	if !ok {
		return 0
	}
	millicores, _ = strconv.Atoi(strings.TrimSuffix(figure, "m"))
	return millicores
}

// loadGroups are names that stand for several loads.
var loadGroups = map[string][]string{
	"server": {loadServer2, loadServer50},
	"quota":  {quotaLoad(quotas[0]), quotaLoad(quotas[1]), quotaLoad(quotas[2])},
}

func loadNames() []string {
	names := []string{loadIdle, loadServer2, loadServer50, loadBusy, loadGC}
	return append(names, loadGroups["quota"]...)
}

// jobLength is the CPU time of one job.
const jobLength = 100 * time.Microsecond

// load is goroutines that keep the program busy until stop.
type load struct {
	quit atomic.Bool
	all  sync.WaitGroup
}

// startLoad starts the load of that name; work is a job's iterations of burn.
func startLoad(name string, work int) (*load, error) {
	l := &load{}
	switch name {
	case loadServer2:
		l.startPairs(2, work)
	case loadServer50:
		l.startPairs(50, work)
	case loadBusy:
		for range 2 * runtime.NumCPU() {
			l.all.Go(func() { l.spin(work) })
		}
	case loadGC:
		for range runtime.NumCPU() {
			l.all.Go(l.churn)
		}
	default:
		if quotaOf(name) > 0 {
			return l, l.startDemand(work)
		}
	}
	return l, nil
}

// stop ends the load and waits for it.
func (l *load) stop() {
	l.quit.Store(true)
	l.all.Wait()
}

// startPairs starts pairs of goroutines: one works, hands a job over, the other works and hands the answer back. The
// goroutines of a server behave so: never asleep for long, always giving way to one another.
func (l *load) startPairs(pairs, work int) {
	for range pairs {
		job, answer := make(chan struct{}), make(chan struct{})
		l.all.Go(func() {
			defer close(job)
			for !l.quit.Load() {
				burn(work)
				job <- struct{}{}
				<-answer
			}
		})
		l.all.Go(func() {
			for range job {
				burn(work)
				answer <- struct{}{}
			}
		})
	}
}

// spin never gives way of its own accord.
func (l *load) spin(work int) {
	for !l.quit.Load() {
		burn(work)
	}
}

// Size of what churn keeps alive: 16 MiB in small linked pieces for each goroutine.
const (
	churnLive  = 1 << 15
	churnWords = 64
)

type churned struct {
	next *churned
	_    [churnWords - 1]uint64
}

// churn allocates linked pieces and forgets old ones as fast as it can, so that one collection follows another.
func (l *load) churn() {
	live := make([]*churned, churnLive)
	for i := 0; !l.quit.Load(); i++ {
		// The link goes to a piece that stays as long as this one at most: the chain cannot grow.
		live[i%churnLive] = &churned{next: live[(i*7+1)%churnLive]}
		if next := live[i%churnLive].next; next != nil {
			next.next = nil
		}
	}
}

// Demand of the load `quota`: 100 millicores, so that a quota of 20 always starves it, one of 100 is at its edge and one
// of 500 has room.
const (
	demandPeriod = 10 * time.Millisecond
	demandJobs   = 10
)

// startDemand starts a goroutine that works for a fixed share of each period.
func (l *load) startDemand(work int) error {
	p, err := newPacer()
	if err != nil {
		return err
	}
	l.all.Go(func() {
		defer p.close()
		l.demand(p, work)
	})
	return nil
}

func (l *load) demand(p *pacer, work int) {
	clock := timing.Runtime{}
	for due := clock.Now(); !l.quit.Load() && p.waitUntil(due) == nil; {
		for range demandJobs {
			burn(work)
		}
		due, _ = timing.NextOnGrid(due, demandPeriod, clock.Now())
	}
}

// burnt keeps the compiler from leaving the work out.
var burnt atomic.Uint64

// burn does a fixed amount of arithmetic: each step needs the one before.
func burn(iterations int) {
	x := uint64(iterations)
	for range iterations {
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 0 {
		burnt.Add(1)
	}
}

// Calibration of burn.
const (
	calibrationIterations = 200_000
	calibrationTries      = 25
)

// calibrate returns how many iterations of burn take jobLength when nothing disturbs them: those of the fastest try.
func calibrate(clock timing.Clock) (iterations int) {
	fastest := time.Duration(timing.Never)
	for range calibrationTries {
		start := clock.Now()
		burn(calibrationIterations)
		fastest = min(fastest, clock.Now().Sub(start))
	}
	return int(calibrationIterations * int64(jobLength) / max(int64(fastest), 1))
}
