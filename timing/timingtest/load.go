package timingtest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
)

// UnderLoad runs code on real clocks while goroutines hand jobs to each other and the collector is kept busy: the
// hrtimer engine is the process clock of package stdtime, and the lateness of each label is returned and logged. run has
// to stop each timer that it arms, since the engine ends with it. The test has to have a process of its own ([Alone]).
func UnderLoad(t *testing.T, run func(clock timing.Clock)) []timing.LabelSummary {
	t.Helper()
	engine, err := timing.NewEngine()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}()
	meter := timing.NewMeter(engine, nil)
	defer stdtime.SwapForTest(engine, meter)()
	stop := startLoad()
	run(engine)
	stop()
	labels := meter.Labels()
	logLabels(t, labels)
	return labels
}

// CheckFired fails the test unless each of the modules' labels has recorded firings, none of them early. A module's
// label may be split by kind of timer: "pion.turn" or "pion.turn.refresh". In a build without re-timed modules there is
// nothing to look at, which it says.
func CheckFired(t *testing.T, labels []timing.LabelSummary, modules ...string) {
	t.Helper()
	if len(stdtime.Modules()) == 0 {
		t.Log("no module is re-timed in this build, so none has a label")
		return
	}
	for _, module := range modules {
		fires := int64(0)
		for _, l := range labels {
			if l.Name == module || strings.HasPrefix(l.Name, module+".") {
				fires += l.Total
			}
		}
		if fires == 0 {
			t.Errorf("%s has recorded no firing", module)
		}
	}
	for _, l := range labels {
		if l.Early != 0 {
			t.Errorf("%s fired early %d times of %d", l.Name, l.Early, l.Total)
		}
	}
}

func logLabels(t *testing.T, labels []timing.LabelSummary) {
	t.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "lateness under load\n%-24s %7s %7s %12s %12s %12s\n", "label", "fires", "early", "p50", "p99", "max")
	for _, l := range labels {
		fmt.Fprintf(&table, "%-24s %7d %7d %12v %12v %12v\n", l.Name, l.Total, l.Early, l.Recent.P50, l.Recent.P99, l.Recent.Max)
	}
	t.Log(table.String())
}

// The load: pairs of goroutines that hand each other jobs of about jobLength, and one goroutine that leaves garbage
// behind. Garbage beyond garbageKept is dropped.
const (
	loadPairs   = 2
	jobLength   = 100 * time.Microsecond
	garbageSize = 64 << 10
	garbageKept = 64
)

func startLoad() (stop func()) {
	var work sync.WaitGroup
	ended := make(chan struct{})
	for range loadPairs {
		there, back := make(chan struct{}), make(chan struct{})
		work.Go(func() { handOver(ended, there, back) })
		work.Go(func() { handOver(ended, back, there) })
		work.Go(func() {
			select {
			case there <- struct{}{}: // The pair's one job.
			case <-ended:
			}
		})
	}
	work.Go(func() { litter(ended) })
	return func() {
		close(ended)
		work.Wait()
	}
}

func handOver(ended <-chan struct{}, from <-chan struct{}, to chan<- struct{}) {
	for {
		select {
		case <-from:
		case <-ended:
			return
		}
		for began := time.Now(); time.Since(began) < jobLength; {
		}
		select {
		case to <- struct{}{}:
		case <-ended:
			return
		}
	}
}

func litter(ended <-chan struct{}) {
	var kept [garbageKept][]byte
	for i := 0; ; i++ {
		select {
		case <-ended:
			runtime.KeepAlive(&kept)
			return
		default:
			kept[i%garbageKept] = make([]byte, garbageSize)
		}
	}
}
