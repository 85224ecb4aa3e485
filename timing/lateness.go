package timing

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Range and precision of a lateness histogram. About 25 KiB each.
const (
	latenessResolution = 100 * time.Nanosecond
	latenessCeiling    = 100 * time.Second
	latenessDigits     = 2
)

// Lateness is a histogram of how late timers fired. It is safe for concurrent use and recording does not allocate.
type Lateness struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram
	early     int64
}

// NewLateness returns an empty histogram.
func NewLateness() *Lateness {
	return &Lateness{histogram: hdrhistogram.New(int64(latenessResolution), int64(latenessCeiling), latenessDigits)}
}

// Record adds one firing that came late after its deadline; a negative one came early and is counted as such.
func (l *Lateness) Record(late time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if late < 0 {
		l.early++
		late = 0
	}
	_ = l.histogram.RecordValue(int64(min(late, latenessCeiling))) // Within the range by construction.
}

// Summary tells what has been recorded since the last Take.
func (l *Lateness) Summary() Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	return summarise(l.histogram, l.early)
}

// Take returns the summary and starts again from empty, so that no firing is counted in two periods or in none.
func (l *Lateness) Take() Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := summarise(l.histogram, l.early)
	l.histogram.Reset()
	l.early = 0
	return s
}

// mergeInto adds l's records to a histogram that the caller owns.
func (l *Lateness) mergeInto(sum *hdrhistogram.Histogram) (early int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum.Merge(l.histogram)
	return l.early
}

// Summary describes a set of firings. The durations are 0 when Fires is 0.
type Summary struct {
	Fires, Early  int64
	P50, P99, Max time.Duration
}

func summarise(h *hdrhistogram.Histogram, early int64) Summary {
	return Summary{
		Fires: h.TotalCount(),
		Early: early,
		P50:   time.Duration(h.ValueAtQuantile(50)),
		P99:   time.Duration(h.ValueAtQuantile(99)),
		Max:   time.Duration(h.Max()),
	}
}
