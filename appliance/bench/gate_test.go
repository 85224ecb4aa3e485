//go:build linux && gate

package bench

import (
	"testing"
)

// TestGate holds loosely what the engine is for: idle, its median lateness is at most half of package time's, where an
// eighth is claimed. It is the median of three runs, and no measure of the machine.
func TestGate(t *testing.T) {
	out, said := timers(t, "--arm", "runtime,hrtimer", "--timers", "50", "--interval", "20ms", "--duration", "2s", "--runs", "3", "--json")
	var r Report
	decode(t, out, &r)
	var ratios []float64
	for i := 0; i+1 < len(r.Rows); i += 2 {
		ratios = append(ratios, ratio(r.Rows[i+1].P50NS, r.Rows[i].P50NS))
	}
	if len(ratios) != 3 {
		t.Fatalf("%d runs, want 3\n%s", len(ratios), said)
	}
	if s := spreadOf(ratios); s.median > 0.5 {
		t.Errorf("hrtimer's p50 is %.3g of package time's (%v), want at most 0.5", s.median, ratios)
	}
}
