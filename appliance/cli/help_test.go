package cli_test

import (
	"regexp"
	"strings"
	"testing"

	"tourbillon/appliance/cli"
)

// TestHelp holds that a command with options of its own tells of these alone.
func TestHelp(t *testing.T) {
	for _, c := range []struct {
		args, has, lacks string
	}{
		{"probe --help", "--max-loss PERCENT", "bench"},
		{"probe stun:h -h", "--max-loss PERCENT", "bench"},
		{"help probe", "--max-loss PERCENT", "bench"},
		{"bench ice --help", "--loss PERCENT", "bench stun"},
		{"bench timers -h", "--table NAME", "bench pion"},
		{"bench --help", "bench stun:", "--max-loss"},
		{"bench tea --help", "bench stun:", "--max-loss"},
		{"--help", "tourbillon probe --help", "--max-loss"},
		{"help", "credentials turn", "--max-loss"},
		{"serve --help", "--check", "--max-loss"},
	} {
		var out, errs strings.Builder
		code := cli.Run(t.Context(), strings.Fields(c.args), cli.IO{Out: &out, Err: &errs})
		if code != 0 || !strings.Contains(out.String(), c.has) || strings.Contains(out.String(), c.lacks) {
			t.Errorf("%s: exit %d, want %q and no %q:\n%s%s", c.args, code, c.has, c.lacks, out.String(), errs.String())
		}
	}
}

// TestProbeHelpIsWhole holds that every option that the manual of probe tells of is one, and that the rest of what it
// prints is filled in.
func TestProbeHelpIsWhole(t *testing.T) {
	var out strings.Builder
	cli.Run(t.Context(), []string{"probe", "--help"}, cli.IO{Out: &out})
	if strings.Contains(out.String(), "%!") {
		t.Errorf("%s", out.String())
	}
	told := map[string]bool{}
	for _, option := range regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(out.String(), -1) {
		told[option] = true
	}
	for option := range told {
		var errs strings.Builder
		cli.Run(t.Context(), []string{"probe", option}, cli.IO{Out: &out, Err: &errs})
		if strings.Contains(errs.String(), "not defined") {
			t.Errorf("%s: %s", option, errs.String())
		}
	}
	for _, option := range []string{"--user", "--password-file", "--pass-file", "--pass", "--secret-file", "--secret", "--count", "--interval",
		"--max-loss", "--timeout", "--insecure", "--hairpin", "--clock", "--json"} {
		if !told[option] {
			t.Errorf("%s is not told of", option)
		}
	}
}
