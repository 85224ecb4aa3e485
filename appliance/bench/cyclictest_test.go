//go:build linux

package bench

import (
	"strings"
	"testing"
)

func TestParseCyclictest(t *testing.T) {
	const text = "# /dev/cpu_dma_latency set to 0us\nT: 0 (31460) P:10 I:10000 C:    200 Min:     11 Act:   27 Avg:   44 Max:     293\n"
	got, ok := parseCyclictest(text)
	if want := (Floor{Cycles: 200, MinNS: 11_000, AvgNS: 44_000, MaxNS: 293_000}); !ok || got != want {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
	if _, ok := parseCyclictest("unable to set scheduler"); ok {
		t.Error("a failure is read as figures")
	}
}

func TestNoFloorIsSaid(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var said strings.Builder
	b := &bench{errs: &said, said: map[string]bool{}}
	floor, err := b.floor(t.Context())
	if floor != nil || err != nil {
		t.Errorf("%v, %v without cyclictest", floor, err)
	}
	if lines := strings.Count(said.String(), "\n"); lines != 1 || !strings.Contains(said.String(), "rt-tests") {
		t.Errorf("said %q, want one line that names the package", said.String())
	}
}
