//go:build !race

package stdtime_test

// budget is how many times package time's allocation a timer may cost.
const budget = 2.0
