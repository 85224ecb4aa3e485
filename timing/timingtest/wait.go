package timingtest

import (
	"context"
	"testing"
	"time"
)

// Patience bounds a test's wait for what another goroutine or process is about to bring about. Nothing comes near it
// unless something is broken: a machine that others use stands still for seconds.
const Patience = time.Minute

// look is how often a condition is looked at: seldom enough to leave the processor to those who bring it about.
const look = time.Millisecond

// Patient is a context that ends with the test, or when it has waited for too long.
func Patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Eventually waits until a condition holds, and fails the test where that never happens.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(Patience); !holds(); time.Sleep(look) {
		if time.Now().After(limit) {
			t.Fatalf("never came true: %s", what)
		}
	}
}
