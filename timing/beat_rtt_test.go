package timing_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"tourbillon/timing"
)

// rttStep is one sample and what the estimator says after it, all in nanoseconds.
type rttStep struct {
	sample, smoothed, variation, jitter float64
}

// TestRTTAgainstHandComputedSequences follows RFC 6298 sections 2.2 and 2.3 with alpha 1/8 and beta 1/4, RTTVAR before
// SRTT, and RFC 3550 section 6.4.1, in exact arithmetic. Integers may stray by a nanosecond a sample.
func TestRTTAgainstHandComputedSequences(t *testing.T) {
	const ms = 1e6
	cases := []struct {
		name  string
		steps []rttStep
	}{
		{"up and down", []rttStep{
			{100 * ms, 100 * ms, 50 * ms, 0},
			{140 * ms, 105 * ms, 47.5 * ms, 2.5 * ms},
			{60 * ms, 99.375 * ms, 46.875 * ms, 7.34375 * ms},
			{60 * ms, 94.453125 * ms, 45 * ms, 6.884765625 * ms},
			{94.453125 * ms, 94.453125 * ms, 33.75 * ms, 8.60778808594 * ms},
		}},
		{"constant path: the variation decays by 3/4", []rttStep{
			{8 * ms, 8 * ms, 4 * ms, 0},
			{8 * ms, 8 * ms, 3 * ms, 0},
			{8 * ms, 8 * ms, 2.25 * ms, 0},
			{8 * ms, 8 * ms, 1.6875 * ms, 0},
		}},
		{"one spike", []rttStep{
			{16 * ms, 16 * ms, 8 * ms, 0},
			{176 * ms, 36 * ms, 46 * ms, 10 * ms},
			{16 * ms, 33.5 * ms, 39.5 * ms, 19.375 * ms},
			{16 * ms, 31.3125 * ms, 34 * ms, 18.1640625 * ms},
		}},
		{"loopback microseconds", []rttStep{
			{40_000, 40_000, 20_000, 0},
			{56_000, 42_000, 19_000, 1_000},
			{24_000, 39_750, 18_750, 2_937.5},
			{39_750, 39_750, 14_062.5, 3_738.28125},
		}},
		{"nanoseconds", []rttStep{
			{1, 1, 0.5, 0},
			{9, 2, 2.375, 0.5},
		}},
	}
	for _, c := range cases {
		var r timing.RTT
		for i, s := range c.steps {
			r.Observe(time.Duration(s.sample))
			checkRTT(t, c.name, i, "SRTT", r.Smoothed, s.smoothed)
			checkRTT(t, c.name, i, "RTTVAR", r.Variation, s.variation)
			checkRTT(t, c.name, i, "jitter", r.Jitter, s.jitter)
		}
		if r.Samples != len(c.steps) {
			t.Errorf("%s: %d samples counted, want %d", c.name, r.Samples, len(c.steps))
		}
	}
}

func checkRTT(t *testing.T, name string, step int, what string, got time.Duration, want float64) {
	t.Helper()
	if off := float64(got) - want; off > float64(step+1) || off < -float64(step+1) {
		t.Errorf("%s, sample %d: %s %d ns, want %.3f", name, step, what, got, want)
	}
}

// TestJitterAgainstIntegerForm compares with RFC 3550 appendix A.8, which keeps 16 times the jitter and rounds:
// J += |d| - ((J + 8) >> 4). Ours drops what is under 16 ns.
func TestJitterAgainstIntegerForm(t *testing.T) {
	random := rand.New(rand.NewPCG(3550, 8))
	var r timing.RTT
	var scaled, last int64
	for i := range 10_000 {
		sample := 20_000_000 + random.Int64N(5_000_000)
		if i > 0 {
			scaled += max(sample-last, last-sample) - (scaled+8)>>4
		}
		last = sample
		r.Observe(time.Duration(sample))
		if off := int64(r.Jitter) - scaled>>4; off < -16 || off > 16 {
			t.Fatalf("sample %d: jitter %d ns, RFC 3550 A.8 has %d", i, r.Jitter, scaled>>4)
		}
	}
}

func TestRTTLead(t *testing.T) {
	var r timing.RTT
	if got := r.Lead(time.Millisecond); got != 0 {
		t.Errorf("lead %v before any sample, want 0", got)
	}
	for range 100 {
		r.Observe(300 * time.Microsecond)
	}
	if got := r.Lead(timing.DefaultBeatLead); got != 150*time.Microsecond {
		t.Errorf("lead %v on a path of 300 µs, want half", got)
	}
}
