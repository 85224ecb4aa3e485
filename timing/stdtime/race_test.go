//go:build race

package stdtime_test

// budget and stray are wider under the race detector, which has pools forget one object in four.
const (
	budget = 6.0
	stray  = 2.5
)
