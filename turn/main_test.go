package turn_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// helperVariable names the helper that this test binary is to be, in a process of its own (interop_netns_test.go).
const helperVariable = "TOURBILLON_TURN_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" { // What a helper leaves ends with its process.
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}
