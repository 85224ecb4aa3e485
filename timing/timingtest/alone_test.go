package timingtest_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"tourbillon/timing/timingtest"
)

// TestAlone holds that the test runs once, in another process.
func TestAlone(t *testing.T) {
	t.Run("sub test (1)", func(t *testing.T) {
		const first = "TOURBILLON_TEST_FIRST"
		here := strconv.Itoa(os.Getpid())
		if os.Getenv(first) == "" {
			t.Setenv(first, here)
		}
		if timingtest.Alone(t) && os.Getenv(first) == here {
			t.Error("it runs in the first process")
		}
	})
}

// TestAloneCanFail holds that a failure in the second process is one in the first.
func TestAloneCanFail(t *testing.T) {
	w := &witness{TB: t}
	if timingtest.Alone(w) {
		t.Error("on purpose")
		return
	}
	if len(w.errors) != 1 || !strings.Contains(w.log, "on purpose") {
		t.Errorf("a test that fails in its own process: %q\n%s", w.errors, w.log)
	}
}
