//go:build linux

package bench

import (
	"cmp"
	"math"
	"slices"
)

// perMille returns the sample below or at which the given thousandths of a sorted set lie (nearest rank), 0 of none.
func perMille(sorted []int64, thousandths int) int64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*thousandths + 999) / 1000
	return sorted[max(rank, 1)-1]
}

// mean returns the arithmetic mean, 0 of none.
func mean(samples []int64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sum := 0.0
	for _, s := range samples {
		sum += float64(s)
	}
	return sum / float64(len(samples))
}

// deviation returns the standard deviation of the samples themselves (divided by n), 0 of none.
func deviation(samples []int64) float64 {
	if len(samples) == 0 {
		return 0
	}
	m, sum := mean(samples), 0.0
	for _, s := range samples {
		sum += (float64(s) - m) * (float64(s) - m)
	}
	return math.Sqrt(sum / float64(len(samples)))
}

// number is what a spread can be taken of.
type number interface{ ~int64 | ~float64 }

// spread is the middle and the ends of several runs' figures.
type spread[N number] struct{ median, low, high N }

// spreadOf returns the zero spread of no figures. An even count's median is the mean of the middle two.
func spreadOf[N number](figures []N) spread[N] {
	if len(figures) == 0 {
		return spread[N]{}
	}
	sorted := slices.SortedFunc(slices.Values(figures), cmp.Compare[N])
	n := len(sorted)
	return spread[N]{median: (sorted[(n-1)/2] + sorted[n/2]) / 2, low: sorted[0], high: sorted[n-1]}
}

// ratio returns a/b, and 0 where b is 0 and there is nothing to compare with.
func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// curvePoints is how many points of a curve lie between one nine and the next: 90 %, 99 %, 99.9 % …
const curvePoints = 20

// shareAt is the cumulative share that a curve's point i stands for.
func shareAt(i int) float64 { return 1 - math.Pow(10, -float64(i)/curvePoints) }

// curve samples the distribution at growing shares, as far as the set has samples beyond: element i is the lateness
// that the share shareAt(i) of the samples does not exceed.
func curve(sorted []int64) []int64 {
	if len(sorted) == 0 {
		return nil
	}
	last := int(math.Log10(float64(len(sorted))) * curvePoints)
	points := make([]int64, 0, last+1)
	for i := range last + 1 {
		rank := int(math.Ceil(shareAt(i) * float64(len(sorted))))
		points = append(points, sorted[min(max(rank, 1), len(sorted))-1])
	}
	return points
}
