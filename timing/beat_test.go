package timing_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"tourbillon/timing"
)

// browserBeats is what was measured of a browser's timers: late by 1.82 ms on average with a deviation of 3.47 ms.
var browserBeats = timing.BeatModel{Mean: 1820 * time.Microsecond, Deviation: 3470 * time.Microsecond}

const browserPeriod = 500 * time.Millisecond

// latenessDraws draws how late each timer of the model fires.
func latenessDraws(m timing.BeatModel, seed uint64) func() time.Duration {
	random := rand.New(rand.NewPCG(seed, 1))
	return func() time.Duration {
		return m.Mean + time.Duration(random.NormFloat64()*float64(m.Deviation))
	}
}

// beatDrifts simulates n beats that wait by delay and returns how far each was behind the grid.
func beatDrifts(n int, late func() time.Duration, delay func(*timing.Beats, timing.Instant) time.Duration) []time.Duration {
	beats := timing.NewBeats(0, browserPeriod, 0)
	beats.Sent(0)
	now := timing.Instant(0)
	drift := make([]time.Duration, n)
	for i := range drift {
		now = now.Add(delay(beats, now) + late())
		drift[i] = now.Sub(timing.Instant(i+1) * timing.Instant(browserPeriod))
		beats.Sent(now)
	}
	return drift
}

func waitPeriod(*timing.Beats, timing.Instant) time.Duration          { return browserPeriod }
func waitCorrected(b *timing.Beats, now timing.Instant) time.Duration { return b.Delay(now) }

// moments returns the mean and the standard deviation of a sample.
func moments(sample []time.Duration) (mean, deviation float64) {
	for _, v := range sample {
		mean += float64(v) / float64(len(sample))
	}
	for _, v := range sample {
		deviation += (float64(v) - mean) * (float64(v) - mean) / float64(len(sample)-1)
	}
	return mean, math.Sqrt(deviation)
}

// checkMoments holds a sample of size s against the predicted moments: a mean strays by σ/√s, a deviation by σ/√(2s),
// and four of those are given.
func checkMoments(t *testing.T, what string, sample []time.Duration, mean, deviation time.Duration) {
	t.Helper()
	gotMean, gotDeviation := moments(sample)
	s, sigma := float64(len(sample)), float64(deviation)
	if off := math.Abs(gotMean - float64(mean)); off > 4*sigma/math.Sqrt(s) {
		t.Errorf("%s: mean %v, the model says %v", what, time.Duration(gotMean), mean)
	}
	if off := math.Abs(gotDeviation - sigma); off > 4*sigma/math.Sqrt(2*s) {
		t.Errorf("%s: deviation %v, the model says %v", what, time.Duration(gotDeviation), deviation)
	}
}

func TestBeatModelOverTenThousandBeats(t *testing.T) {
	const beats, series = 10_000, 200
	at := []int{1, 2, 5, 100, beats}
	free, held := make(map[int][]time.Duration), make(map[int][]time.Duration)
	for seed := range uint64(series) {
		f := beatDrifts(beats, latenessDraws(browserBeats, seed), waitPeriod)
		h := beatDrifts(beats, latenessDraws(browserBeats, seed+series), waitCorrected)
		for _, n := range at {
			free[n], held[n] = append(free[n], f[n-1]), append(held[n], h[n-1])
		}
	}
	for _, n := range at {
		mean, deviation := browserBeats.Uncorrected(n)
		checkMoments(t, "uncorrected", free[n], mean, deviation)
		mean, deviation = browserBeats.Corrected(n)
		checkMoments(t, "corrected", held[n], mean, deviation)
	}
}

func TestCorrectedBeatsStayBounded(t *testing.T) {
	const beats = 10_000
	mean, deviation := browserBeats.Corrected(beats)
	for n, drift := range beatDrifts(beats, latenessDraws(browserBeats, 7), waitCorrected) {
		if (drift - mean).Abs() > 6*deviation {
			t.Fatalf("beat %d is %v behind its grid, want %v ± 6·%v", n, drift, mean, deviation)
		}
	}
	free := beatDrifts(beats, latenessDraws(browserBeats, 7), waitPeriod)
	if last := free[beats-1]; last < 17*time.Second {
		t.Errorf("uncorrected, the last of %d beats is %v behind, want about 18 s", beats, last)
	}
}

// TestBeatsOnTheGridKeepEachLatenessToItself arms absolute instants: no beat inherits the lateness of another.
func TestBeatsOnTheGridKeepEachLatenessToItself(t *testing.T) {
	const n = 10_000
	beats, late := timing.NewBeats(0, browserPeriod, 0), latenessDraws(browserBeats, 3)
	beat := beats.Next()
	deviations := make([]time.Duration, n)
	for i := range deviations {
		sent := beat.Send.Add(late())
		deviations[i] = sent.Sub(timing.Instant(i) * timing.Instant(browserPeriod))
		beat = beats.Sent(sent)
	}
	checkMoments(t, "on the grid", deviations, browserBeats.Mean, browserBeats.Deviation)
}

// TestBeatModelAgainstFigures checks the model by hand: 100·1.82 and √100·3.47; 1.82/0.3 and 3.47/√(1-0.49).
func TestBeatModelAgainstFigures(t *testing.T) {
	mean, deviation := browserBeats.Uncorrected(100)
	if mean != 182*time.Millisecond || deviation != 34700*time.Microsecond {
		t.Errorf("after 100 beats %v ± %v, want 182ms ± 34.7ms", mean, deviation)
	}
	mean, deviation = browserBeats.Corrected(100)
	if mean.Round(time.Microsecond) != 6067*time.Microsecond || deviation.Round(time.Microsecond) != 4859*time.Microsecond {
		t.Errorf("corrected %v ± %v, want 6.067ms ± 4.859ms", mean, deviation)
	}
	if mean, deviation = browserBeats.Corrected(1); mean != browserBeats.Mean || deviation != browserBeats.Deviation {
		t.Errorf("the first corrected beat %v ± %v, want what a single timer has", mean, deviation)
	}
}

func TestBeatDelay(t *testing.T) {
	const ms = time.Millisecond
	cases := []struct{ period, drift, want time.Duration }{
		{500 * ms, 0, 500 * ms},
		{500 * ms, 10 * ms, 497 * ms},
		{500 * ms, -10 * ms, 503 * ms},
		{500 * ms, 1600 * ms, 20 * ms},
		{500 * ms, 1700 * ms, 10 * ms},
		{500 * ms, time.Hour, 10 * ms},
		{5 * ms, 0, 10 * ms},
	}
	for _, c := range cases {
		if got := timing.BeatDelay(c.period, c.drift); got != c.want {
			t.Errorf("period %v, %v behind: next delay %v, want %v", c.period, c.drift, got, c.want)
		}
	}
}

func TestBeatsLead(t *testing.T) {
	const due = timing.Instant(time.Second)
	cases := []struct {
		name      string
		roundTrip time.Duration
		want      time.Duration
	}{
		{"half the round trip", 300 * time.Microsecond, 150 * time.Microsecond},
		{"at the cap", 400 * time.Microsecond, 200 * time.Microsecond},
		{"capped", 80 * time.Millisecond, 200 * time.Microsecond},
		{"a round trip below zero never delays a beat", -time.Millisecond, 0},
	}
	for _, c := range cases {
		var rtt timing.RTT
		rtt.Observe(c.roundTrip)
		beats := timing.NewBeats(due, time.Second, timing.DefaultBeatLead)
		if early := due.Sub(beats.Next().Send); early != 0 {
			t.Errorf("%s: %v early before any round trip was known, want 0", c.name, early)
		}
		beats.Observe(rtt)
		if beat := beats.Next(); beat.Due != due || beat.Due.Sub(beat.Send) != c.want {
			t.Errorf("%s: %v early, want %v", c.name, beat.Due.Sub(beat.Send), c.want)
		}
	}
}

func TestBeatsAfterStallAndPeriodChange(t *testing.T) {
	const ms = timing.Instant(time.Millisecond)
	var rtt timing.RTT
	rtt.Observe(400 * time.Microsecond)
	beats := timing.NewBeats(100*ms, 10*time.Millisecond, timing.DefaultBeatLead)
	beats.Observe(rtt)
	if beat := beats.Sent(beats.Next().Send); beat.Due != 110*ms || beat.Overrun != 0 {
		t.Errorf("after a beat that left early as planned: %+v, want due at 110 ms", beat)
	}
	if beat := beats.Sent(165 * ms); beat.Due != 170*ms || beat.Overrun != 5 {
		t.Errorf("after a stall: %+v, want due at 170 ms with 5 skipped", beat)
	}
	beats.SetPeriod(30*time.Millisecond, 166*ms)
	if beat := beats.Next(); beat.Due != 190*ms {
		t.Errorf("after a longer period: %+v, want due 30 ms after the grid's 160 ms", beat)
	}
	beats.SetPeriod(time.Millisecond, 180*ms)
	if beat := beats.Next(); beat.Due != 181*ms {
		t.Errorf("after a shorter period whose instants have passed: %+v, want one period from now", beat)
	}
}

// TestBeatsDelayAimsAtTheLead has the beat fire exactly as planned: by delay, too, the grid is then kept.
func TestBeatsDelayAimsAtTheLead(t *testing.T) {
	var rtt timing.RTT
	rtt.Observe(time.Millisecond)
	beats := timing.NewBeats(0, browserPeriod, timing.DefaultBeatLead)
	beats.Observe(rtt)
	sent := beats.Next().Send
	beats.Sent(sent)
	if got := beats.Delay(sent); got != browserPeriod {
		t.Errorf("on time, the next delay is %v, want %v", got, browserPeriod)
	}
	stalled := sent.Add(3*browserPeriod + 100*time.Millisecond)
	beats.Sent(stalled)
	if got, want := beats.Delay(stalled), browserPeriod-30*time.Millisecond; got != want {
		t.Errorf("after a stall the next delay is %v, want %v: skipped instants are no drift", got, want)
	}
}
