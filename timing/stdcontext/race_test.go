//go:build race

package stdcontext_test

// budget is wider under the race detector, which has pools forget one object in four.
const budget = 3.0
