//go:build !race

package stdcontext_test

// budget is how many times package time's allocation a context may cost.
const budget = 2.0
