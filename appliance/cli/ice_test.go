package cli_test

import (
	"strings"
	"testing"

	"tourbillon/signaling/agent/bench/negotiate"
)

// TestBenchICE refuses what it cannot measure, and a part of a round that is started by hand.
func TestBenchICE(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"bench", "ice", "--loss", "99"}, 64, "percent, from 0 to 50"},
		{[]string{"bench", "ice", "--arm", "tea"}, 64, `no arm "tea"`},
		{[]string{"bench", "ice"}, 1, "make build"},
		{[]string{negotiate.ChildCommand}, 1, "is started by `tourbillon bench ice` alone"},
	} {
		if code, _, stderr := run(t, c.args...); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, %q, want %d and %q", c.args, code, stderr, c.code, c.want)
		}
	}
}
