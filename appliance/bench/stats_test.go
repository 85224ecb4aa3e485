//go:build linux

package bench

import (
	"slices"
	"testing"
)

func upTo(n int64) []int64 {
	var all []int64
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

func TestPerMille(t *testing.T) {
	for _, c := range []struct {
		sorted      []int64
		thousandths int
		want        int64
	}{
		{nil, 500, 0},
		{[]int64{7}, 1, 7},
		{[]int64{7}, 1000, 7},
		{upTo(10), 500, 5},
		{upTo(10), 501, 6},
		{upTo(10), 990, 10},
		{upTo(100), 990, 99},
		{upTo(1000), 999, 999},
		{upTo(1001), 999, 1000},
		{upTo(1000), 1000, 1000},
	} {
		if got := perMille(c.sorted, c.thousandths); got != c.want {
			t.Errorf("%d of 1000 of %d samples: %d, want %d", c.thousandths, len(c.sorted), got, c.want)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		figures []float64
		want    spread[float64]
	}{
		{nil, spread[float64]{}},
		{[]float64{3}, spread[float64]{3, 3, 3}},
		{[]float64{9, 1, 5}, spread[float64]{5, 1, 9}},
		{[]float64{4, 1, 2, 9}, spread[float64]{3, 1, 9}},
	} {
		if got := spreadOf(c.figures); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.figures, got, c.want)
		}
	}
	figures := []int64{2, 1}
	spreadOf(figures)
	if !slices.Equal(figures, []int64{2, 1}) {
		t.Error("the runs' order is lost")
	}
}

func TestMeanAndDeviation(t *testing.T) {
	for _, c := range []struct {
		samples         []int64
		mean, deviation float64
	}{
		{nil, 0, 0},
		{[]int64{4}, 4, 0},
		{[]int64{2, 4, 4, 4, 5, 5, 7, 9}, 5, 2},
	} {
		if m, d := mean(c.samples), deviation(c.samples); m != c.mean || d != c.deviation {
			t.Errorf("%v: mean %g, deviation %g, want %g and %g", c.samples, m, d, c.mean, c.deviation)
		}
	}
}

func TestRatio(t *testing.T) {
	if got := ratio(3, 4); got != 0.75 {
		t.Errorf("3 to 4 is %g", got)
	}
	if got := ratio(3, 0); got != 0 {
		t.Errorf("with nothing to compare with %g, want 0", got)
	}
}

func TestCurve(t *testing.T) {
	if got := curve(nil); got != nil {
		t.Errorf("of nothing %v", got)
	}
	points := curve(upTo(1000))
	if len(points) != 3*curvePoints+1 {
		t.Fatalf("%d points of 1000 samples, want three nines", len(points))
	}
	for i, want := range map[int]int64{0: 1, curvePoints: 900, 2 * curvePoints: 990, 3 * curvePoints: 999} {
		// The share is a rounded power of ten: a neighbour is as good.
		if got := points[i]; got < want || got > want+1 {
			t.Errorf("point %d (share %g): %d, want %d", i, shareAt(i), got, want)
		}
	}
	if !slices.IsSorted(points) {
		t.Error("the curve falls")
	}
}
