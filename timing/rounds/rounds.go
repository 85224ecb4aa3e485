package rounds

import (
	"context"
	"fmt"
	"slices"
)

// Round is each arm's answer.
type Round[T any] map[string]T

// Measure measures every arm in each of n rounds, every other round in the other order. It blocks until the last
// measurement has ended; an error names its round and arm.
func Measure[T any](ctx context.Context, n int, arms []string, measure func(ctx context.Context, arm string) (T, error)) ([]Round[T], error) {
	order := slices.Clone(arms)
	var all []Round[T]
	for i := range n {
		r := Round[T]{}
		for _, arm := range order {
			answer, err := measure(ctx, arm)
			if err != nil {
				return nil, fmt.Errorf("round %d, arm %s: %w", i+1, arm, err)
			}
			r[arm] = answer
		}
		all = append(all, r)
		slices.Reverse(order)
	}
	return all, nil
}

// Over is the median over the rounds of one figure of an arm.
func Over[T any](all []Round[T], arm string, of func(T) float64) float64 {
	return Median(Each(all, func(r Round[T]) float64 { return of(r[arm]) }))
}

// Each is a figure of every round.
func Each[T any](all []Round[T], of func(Round[T]) float64) []float64 {
	values := make([]float64, 0, len(all))
	for _, r := range all {
		values = append(values, of(r))
	}
	return values
}

// Median is the mean of the middle two of an even count; values must not be empty.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Nearest is the sample at or below which the given hundredths of a sorted set lie (nearest rank); the set must not be
// empty.
func Nearest(sorted []int64, hundredths int) int64 {
	return sorted[max(1, (len(sorted)*hundredths+99)/100)-1]
}
