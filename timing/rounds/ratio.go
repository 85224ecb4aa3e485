package rounds

import (
	"fmt"
	"io"
	"slices"
)

// Ratio is a figure of an arm divided by that of another arm in the same round: the median, the ends and all rounds.
type Ratio struct {
	Arm    string    `json:"arm"`
	Figure string    `json:"figure"`
	Ratio  float64   `json:"ratio"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Rounds []float64 `json:"rounds"`
	// Bound is what the ratio is to keep, nil for a figure that is only told; Reached says whether it does.
	Bound   *float64 `json:"bound,omitempty"`
	Reached *bool    `json:"reached,omitempty"`
}

// Figure is one thing that every arm's answer has.
type Figure[T any] struct {
	Name string
	Of   func(T) float64
	// Bound is what the ratio is to keep, 0 where there is none; More tells that more is better.
	Bound float64
	More  bool
}

// Ratio compares an arm with another one. A figure that is 0 in the other arm has the ratio 0: nothing to compare with.
func (f Figure[T]) Ratio(all []Round[T], arm, to string) Ratio {
	values := Each(all, func(r Round[T]) float64 {
		if of := f.Of(r[to]); of != 0 {
			return f.Of(r[arm]) / of
		}
		return 0
	})
	q := Ratio{Arm: arm, Figure: f.Name, Ratio: Median(values), Low: slices.Min(values), High: slices.Max(values), Rounds: values}
	if f.Bound != 0 {
		reached := q.Ratio <= f.Bound
		if f.More {
			reached = q.Ratio >= f.Bound
		}
		q.Bound, q.Reached = &f.Bound, &reached
	}
	return q
}

// Verdict is the bound in words.
func (q Ratio) Verdict() string {
	switch {
	case q.Bound == nil:
		return "none"
	case *q.Reached:
		return fmt.Sprintf("%.2f, reached", *q.Bound)
	}
	return fmt.Sprintf("%.2f, NOT reached", *q.Bound)
}

// WriteRatios writes the ratios to an arm as lines of a table with tabs between its columns.
func WriteRatios(w io.Writer, to string, ratios []Ratio) {
	if len(ratios) == 0 {
		return
	}
	fmt.Fprintf(w, "\nto %s\tmedian\tlow - high\tbound\n", to)
	for _, q := range ratios {
		fmt.Fprintf(w, "%s %s\t%.3f\t%.3f - %.3f\t%s\n", q.Arm, q.Figure, q.Ratio, q.Low, q.High, q.Verdict())
	}
}
