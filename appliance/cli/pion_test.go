package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestBenchPion runs the process behind one arm, and the comparison without its other program.
func TestBenchPion(t *testing.T) {
	code, stdout, stderr := run(t, "bench", "pion", "--arm", "self", "--clock", "runtime", "--connects", "1", "--duration", "1s")
	var answer struct {
		Build   struct{ Clock string }
		Connect int64   `json:"connect_p50_ns"`
		Rate    float64 `json:"throughput_bytes_per_s"`
	}
	if err := json.Unmarshal([]byte(stdout), &answer); code != 0 || err != nil {
		t.Fatalf("exit %d, %v:\n%s%s", code, err, stdout, stderr)
	}
	if answer.Build.Clock != "runtime" || answer.Connect <= 0 || answer.Rate <= 0 {
		t.Errorf("answer %s", stdout)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"bench", "pion"}, 1, "make build"},
		{[]string{"bench", "pion", "--pairs", "0"}, 64, "from 1 to 1000"},
		{[]string{"bench", "tea"}, 64, `bench wants timers, pion, turn, stun, ice or signaling, not "tea"`},
		{[]string{"bench"}, 64, "bench wants timers, pion, turn, stun, ice or signaling"},
	} {
		if code, _, stderr := run(t, c.args...); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit %d, want %d with %q:\n%s", c.args, code, c.code, c.want, stderr)
		}
	}
}
