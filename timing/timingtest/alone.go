package timingtest

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// aloneVariable marks the process that Alone has started for one test.
const aloneVariable = "TOURBILLON_TEST_ALONE"

// Alone lets a test have a process of its own, for tests that set what a process has one of, such as the process clock:
// other tests may have left timers armed on it, as pion does after closing. In the first process it runs the test, and
// that one alone, in a second process, logs what that says, fails when it fails, and returns false; there it returns
// true.
//
//	if !timingtest.Alone(t) {
//		return
//	}
func Alone(t testing.TB) bool {
	t.Helper()
	if os.Getenv(aloneVariable) != "" {
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatalf("find this test's program: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run="+exactly(t.Name()), "-test.v", "-test.count=1", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), aloneVariable+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("in a process of its own:\n%s", out)
	// A pattern that matches nothing passes too.
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("the test has not passed in a process of its own: %v", err)
	}
	return false
}

// exactly is the pattern of -test.run that one test's or subtest's name alone matches.
func exactly(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}
