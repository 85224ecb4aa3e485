package timing_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"tourbillon/timing"
)

// slewedClocks simulates both clocks: the oscillator counts true time, the monotonic clock runs ppm faster.
type slewedClocks struct {
	raw  timing.Raw
	mono float64
	ppm  float64
}

func (c *slewedClocks) advance(d time.Duration) {
	c.raw = c.raw.Add(d)
	c.mono += float64(d) * (1 + c.ppm/1e6)
}

// sleepUntil lets time pass until the monotonic clock shows the instant, and then by how late the wake is.
func (c *slewedClocks) sleepUntil(at timing.Instant, late time.Duration) {
	c.advance(time.Duration(math.Ceil((float64(at) - c.mono) / (1 + c.ppm/1e6))))
	c.advance(late)
}

func (c *slewedClocks) now() timing.Instant { return timing.Instant(c.mono) }

// pair reads both clocks with an error of up to half the width.
func (c *slewedClocks) pair(width, off time.Duration) timing.RawPair {
	return timing.RawPair{Mono: c.now().Add(off), Raw: c.raw, Width: width}
}

func TestReadRawPair(t *testing.T) {
	first, ok := timing.ReadRawPair()
	if ok != (runtime.GOOS == "linux") {
		t.Fatalf("CLOCK_MONOTONIC_RAW readable: %v on %s", ok, runtime.GOOS)
	}
	second, _ := timing.ReadRawPair()
	if second.Raw < first.Raw || second.Mono < first.Mono || first.Width < 0 {
		t.Errorf("the clocks ran backwards: %+v then %+v", first, second)
	}
	now := timing.Runtime{}.Now()
	if apart := now.Sub(second.Mono); apart < 0 || apart > time.Minute {
		t.Errorf("the pair's instant is %v before Now, want the same time line", apart)
	}
}

func TestReadRawDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { timing.ReadRawPair() }); n != 0 {
		t.Errorf("reading a pair allocates %v times, want 0", n)
	}
}

func TestDriftReportsSlewing(t *testing.T) {
	const width = 200 * time.Nanosecond
	random := rand.New(rand.NewPCG(11, 1))
	for _, ppm := range []float64{0, 0.5, -37, 500, -500} {
		clocks := slewedClocks{raw: 1e9, mono: 5e9, ppm: ppm}
		drift := timing.NewDrift(time.Minute)
		for range 600 {
			drift.Observe(clocks.pair(width, time.Duration(random.Int64N(int64(width)))-width/2))
			clocks.advance(time.Second)
		}
		got, ok := drift.Slew()
		if !ok || math.Abs(got.PPM-ppm) > got.UncertaintyPPM+0.001 || got.UncertaintyPPM > 0.01 || got.Steps != 0 {
			t.Errorf("at %v ppm: %+v, want that rate to 0.01 ppm and no step", ppm, got)
		}
		if got.Over > time.Minute || got.Over < 58*time.Second {
			t.Errorf("the estimate reaches back %v, want the window of a minute", got.Over)
		}
	}
}

func TestDriftCountsSteps(t *testing.T) {
	clocks := slewedClocks{}
	drift := timing.NewDrift(time.Minute)
	for i, ppm := range []float64{0, 500, 5, 12, -500} { // From 5 to 12 is steering, not a step.
		clocks.ppm = ppm
		for range 200 {
			clocks.advance(time.Second)
			drift.Observe(clocks.pair(100, 0))
		}
		got, ok := drift.Slew()
		if want := []int{0, 1, 2, 2, 3}[i]; !ok || got.Steps != want {
			t.Errorf("after %v ppm: %d steps, want %d", ppm, got.Steps, want)
		}
		if math.Abs(got.PPM-ppm) > 0.01 {
			t.Errorf("the window after a step says %v ppm, want %v alone", got.PPM, ppm)
		}
	}
}

// TestDriftDoubtsWideReadings has one pair read across an interruption: it explains its own error.
func TestDriftDoubtsWideReadings(t *testing.T) {
	clocks := slewedClocks{}
	drift := timing.NewDrift(time.Minute)
	for i := range 100 {
		clocks.advance(time.Second)
		pair := clocks.pair(100, 0)
		if i == 50 {
			pair = clocks.pair(8*time.Millisecond, 3*time.Millisecond)
		}
		drift.Observe(pair)
	}
	if got, _ := drift.Slew(); got.Steps != 0 || got.PPM != 0 {
		t.Errorf("%+v, want no step from a reading that was off within its width", got)
	}
}

func TestDriftPassesOverQuickReadings(t *testing.T) {
	clocks := slewedClocks{ppm: 100}
	drift := timing.NewDrift(time.Minute)
	for range 1000 {
		drift.Observe(clocks.pair(100, 0))
		clocks.advance(100 * time.Microsecond)
	}
	if got, ok := drift.Slew(); ok {
		t.Errorf("%+v from a tenth of a second of a minute's window, want no estimate yet", got)
	}
	clocks.advance(time.Second)
	drift.Observe(clocks.pair(100, 0))
	if got, ok := drift.Slew(); !ok || math.Abs(got.PPM-100) > got.UncertaintyPPM {
		t.Errorf("%+v, want 100 ppm from the first two pairs that lie apart", got)
	}
	clocks.advance(time.Hour)
	drift.Observe(clocks.pair(100, 0))
	if got, ok := drift.Slew(); ok {
		t.Errorf("%+v after an hour without readings, want none", got)
	}
}

// TestDriftKeepsItsWindowBounded has readings at the very spacing of 64 to the window, whose ends make it 65.
func TestDriftKeepsItsWindowBounded(t *testing.T) {
	clocks := slewedClocks{ppm: 3}
	drift := timing.NewDrift(64 * time.Second)
	for range 200 {
		drift.Observe(clocks.pair(100, 0))
		clocks.advance(time.Second)
	}
	if got, _ := drift.Slew(); got.Over != 63*time.Second {
		t.Errorf("the estimate reaches back %v, want the 63 s of the last 64 pairs", got.Over)
	}
}

// alignmentErrors simulates sleeps of a second to deadlines on the oscillator under slews of ±500 ppm that turn about every
// hundred sleeps, with wakes 50 to 150 µs late, and returns by how much each missed its deadline.
func alignmentErrors(n int, next func(deadline, now timing.Raw, mono timing.Instant) timing.Instant, observe func(time.Duration)) []time.Duration {
	random := rand.New(rand.NewPCG(5, 500))
	clocks := slewedClocks{ppm: 500}
	missed := make([]time.Duration, n)
	for i := range missed {
		if i%100 == 50 {
			clocks.ppm = -clocks.ppm
		}
		deadline := timing.Raw(i+1) * timing.Raw(time.Second)
		at := next(deadline, clocks.raw, clocks.now())
		clocks.sleepUntil(at, 50*time.Microsecond+time.Duration(random.Int64N(100_000)))
		missed[i] = clocks.raw.Sub(deadline)
		observe(missed[i])
	}
	return missed
}

func TestAlignerBoundsTheError(t *testing.T) {
	const n = 10_000
	aligner := timing.Aligner{Gain: timing.AlignGain, Limit: timing.AlignLimit}
	missed := alignmentErrors(n, aligner.Next, aligner.Observe)
	settled := settledAfterTurns(missed)
	mean, deviation := moments(settled)
	if math.Abs(mean) > 5_000 || deviation > 40_000 {
		t.Errorf("settled, sleeps miss by %v ± %v, want 0 ± 40µs at the most", time.Duration(mean), time.Duration(deviation))
	}
	for i, m := range missed {
		if m.Abs() > 1200*time.Microsecond {
			t.Fatalf("sleep %d missed by %v, want less than the jump of a turning slew and its jitter", i, m)
		}
	}
}

// settledAfterTurns leaves out the thirty sleeps after each turn of the slew.
func settledAfterTurns(missed []time.Duration) []time.Duration {
	var settled []time.Duration
	for i, m := range missed {
		if (i+50)%100 >= 30 {
			settled = append(settled, m)
		}
	}
	return settled
}

func TestWithoutFeedbackTheErrorStays(t *testing.T) {
	var aligner timing.Aligner
	missed := alignmentErrors(10_000, aligner.Next, aligner.Observe)
	if _, deviation := moments(missed); deviation < 400_000 {
		t.Errorf("without feedback sleeps miss by only ± %v, want the ± 500µs of the slew", time.Duration(deviation))
	}
}

// TestWithoutAlignmentTheErrorGrows keeps the grid on the slewed clock and never looks at the oscillator again.
func TestWithoutAlignmentTheErrorGrows(t *testing.T) {
	const n = 10_000
	clocks := slewedClocks{ppm: 500}
	var missed []time.Duration
	for i := range n {
		clocks.sleepUntil(timing.Instant(i+1)*timing.Instant(time.Second), 0)
		missed = append(missed, clocks.raw.Sub(timing.Raw(i+1)*timing.Raw(time.Second)))
	}
	for _, i := range []int{100, 1000, n} {
		if want := -time.Duration(i) * 499 * time.Microsecond; missed[i-1] > want {
			t.Errorf("after %d sleeps %v off, want more than %v", i, missed[i-1], want)
		}
	}
}

func TestAlignerLimits(t *testing.T) {
	a := timing.Aligner{Gain: 0.5, Limit: 100 * time.Microsecond}
	a.Observe(time.Second) // A stall counts for no more than the limit.
	if got := a.Correction(); got != 50*time.Microsecond {
		t.Errorf("correction %v after a stall, want half the limit", got)
	}
	for range 10 {
		a.Observe(time.Second)
	}
	if got := a.Correction(); got != a.Limit {
		t.Errorf("correction %v, want it held at the limit", got)
	}
	if got := a.Next(1050_000, 1000_000, 7); got != 7 {
		t.Errorf("a deadline nearer than the correction is slept for until %d, want at once", got)
	}
	if got := a.Next(timing.Raw(math.MaxInt64), 0, 7); got != timing.Never.Add(7-100*time.Microsecond) {
		t.Errorf("a deadline that never comes is slept for until %d", got)
	}
	for range 30 {
		a.Observe(-time.Second)
	}
	if got := a.Correction(); got != -a.Limit {
		t.Errorf("correction %v, want it held at the limit below 0", got)
	}
}
