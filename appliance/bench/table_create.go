//go:build linux

package bench

import (
	"runtime"
	"time"
)

// createOperations is how many timers the origin created.
const createOperations = 1_000_000

// createTable is the origin's third: creating a timer for each operation against re-using one.
func (b *bench) createTable() tablePlan {
	return tablePlan{
		note: "1,000,000 timers armed and stopped. `heap` is what was allocated in all. Go 1.23 changed its timers deeply: unlike the\n" +
			"origin's, a stopped one is free at once.",
		cases: []tableCase{
			createCase("create", false, 1_002_418, 0.87, 1.2e9),
			createCase("re-use", true, 2, 0.03, 24e3),
		},
	}
}

func createCase(name string, reuse bool, allocations, pause, heap float64) tableCase {
	return tableCase{
		name:        name,
		packageTime: &order{Create: &createOrder{Arm: armRuntime, Reuse: reuse, Operations: createOperations}},
		hrtimer:     &order{Create: &createOrder{Arm: armHRTimer, Reuse: reuse, Operations: createOperations}},
		figures: []tableFigure{
			{"allocations", "", allocations, func(a answer) float64 { return float64(a.Create.Allocations) }},
			{"mean pause", "ms", pause, func(a answer) float64 { return milliseconds(a.Create.MeanPauseNS) }},
			{"heap", "kB", heap / 1e3, func(a answer) float64 { return float64(a.Create.Bytes) / 1e3 }},
			{"one operation", "ns", 0, func(a answer) float64 { return a.Create.PerOperationNS }},
		},
	}
}

// createOrder asks for timers that are armed far ahead and stopped, each a new one or always the same.
type createOrder struct {
	Arm        string `json:"arm"`
	Reuse      bool   `json:"reuse"`
	Operations int    `json:"operations"`
}

// createAnswer is what that cost.
type createAnswer struct {
	Allocations uint64 `json:"allocations"`
	Bytes       uint64 `json:"bytes"`
	// MeanPauseNS is the mean stop-the-world time of a collection, 0 where there was none.
	MeanPauseNS    float64 `json:"mean_pause_ns"`
	PerOperationNS float64 `json:"per_operation_ns"`
}

// farAhead is a delay that no operation reaches.
const farAhead = time.Hour

func (o createOrder) measure() (createAnswer, error) {
	clock, closeClock, err := openClock(o.Arm)
	if err != nil {
		return createAnswer{}, err
	}
	nothing := func() {}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := clock.Now()
	if o.Reuse {
		timer := clock.AfterFunc(farAhead, nothing)
		for range o.Operations {
			timer.Reset(farAhead)
			timer.Stop()
		}
	} else {
		for range o.Operations {
			clock.AfterFunc(farAhead, nothing).Stop()
		}
	}
	took := clock.Now().Sub(start)
	runtime.ReadMemStats(&after)
	a := createAnswer{
		Allocations:    after.Mallocs - before.Mallocs,
		Bytes:          after.TotalAlloc - before.TotalAlloc,
		PerOperationNS: float64(took) / float64(o.Operations),
	}
	if collections := after.NumGC - before.NumGC; collections > 0 {
		a.MeanPauseNS = float64(after.PauseTotalNs-before.PauseTotalNs) / float64(collections)
	}
	return a, closeClock()
}
