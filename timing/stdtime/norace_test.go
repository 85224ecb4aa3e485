//go:build !race

package stdtime_test

// budget is how many times package time's allocation a timer may cost, stray what the runtime itself allocates now and
// then.
const (
	budget = 2.0
	stray  = 0.1
)
