package stdtime_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tourbillon/timing"
	"tourbillon/timing/stdtime"
	"tourbillon/timing/timingtest"
)

// patience bounds the wait for what must happen; nothing comes near it unless something is broken.
const patience = time.Minute

// TestReuseKeepsFiringsApart has goroutines arm, re-arm and stop timers about when they fire, so that the engine's
// timers go from one to the next all the time: each arming that nothing overtook runs its own function once.
func TestReuseKeepsFiringsApart(t *testing.T) {
	engine := openEngine(t)
	meter := timing.NewMeter(engine, nil)
	t.Cleanup(stdtime.SwapForTest(engine, meter))
	var armings, overtaken, ran atomic.Int64
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for i := range 400 {
				d := time.Duration((i*7+w)%40) * 5 * time.Microsecond
				timer := stdtime.AfterFunc(d, func() { ran.Add(1) })
				armings.Add(1)
				for range i % 3 {
					if timer.Reset(d) {
						overtaken.Add(1)
					}
					armings.Add(1)
				}
				if i%5 == 0 {
					stdtime.Sleep(d)
				}
				if i%2 == 0 && timer.Stop() {
					overtaken.Add(1)
				}
			}
		})
	}
	workers.Wait()
	subject := timingtest.Real(engine)
	for limit := engine.Now().Add(patience); ran.Load()+overtaken.Load() < armings.Load() && engine.Now() < limit; {
		subject.Pass(time.Millisecond)
	}
	subject.Pass(5 * time.Millisecond)
	if got := ran.Load() + overtaken.Load(); got != armings.Load() {
		t.Errorf("%d ran and %d were overtaken of %d armings", ran.Load(), overtaken.Load(), armings.Load())
	}
	for _, label := range meter.Labels() {
		if label.Early != 0 {
			t.Errorf("%d of %d firings were early", label.Early, label.Total)
		}
	}
}

// TestTickersOnTheEngine has tickers reset and stopped about when they tick.
func TestTickersOnTheEngine(t *testing.T) {
	meteredEngine(t)
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for i := range 100 {
				period := time.Duration(10+(i+w)%10) * 10 * time.Microsecond
				ticker := stdtime.NewTicker(period)
				<-ticker.C
				ticker.Reset(period / 2)
				<-ticker.C
				ticker.Stop()
				if unread(ticker.C) {
					t.Error("a tick came after Stop")
				}
			}
		})
	}
	workers.Wait()
}
