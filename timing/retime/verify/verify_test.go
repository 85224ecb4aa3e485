package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tourbillon/timing/retime/carry"
)

func TestReadEvents(t *testing.T) {
	found, n := readEvents(strings.NewReader(`
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"output","Package":"p","Test":"TestA","Output":"hello\n"}
{"Action":"fail","Package":"p","Test":"TestA/sub"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestZZRetimedClock"}
{"Action":"output","Package":"p","Test":"TestZZRetimedClock","Output":"retimed-firings pion.ice 41\n"}
{"Action":"pass","Package":"p","Test":"TestZZRetimedClock"}
{"Action":"run","Package":"p","Test":"TestCrash"}
{"Action":"output","Package":"p","Output":"panic: no\n"}
{"Action":"fail","Package":"p"}
{"Action":"build-output","ImportPath":"q [q.test]","Output":"q.go:1: no\n"}
{"Action":"fail","Package":"q","FailedBuild":"q [q.test]"}`))
	if n != 16 {
		t.Errorf("%d events, want 16", n)
	}
	want := map[testID]string{{"p", "TestA"}: "fail", {"p", "TestA/sub"}: "fail", {"p", "TestB"}: "skip", {"p", "TestCrash"}: "fail"}
	for id, outcome := range want {
		if found.outcome[id] != outcome {
			t.Errorf("%s: %q, want %q", id, found.outcome[id], outcome)
		}
	}
	if len(found.outcome) != len(want) {
		t.Errorf("outcomes %v, want %v", found.outcome, want)
	}
	if !found.crashed["p"] || !found.crashed["q"] || found.firings["pion.ice"] != 41 {
		t.Errorf("crashed %v, firings %v", found.crashed, found.firings)
	}
	if log := found.log[testID{"q", ""}]; log == nil || log.String() != "q.go:1: no\n" {
		t.Errorf("what the build said is lost: %v", found.log)
	}
	twice, _ := readEvents(strings.NewReader(strings.Repeat(`{"Action":"run","Package":"p","Test":"TestA"}{"Action":"pass","Package":"p","Test":"TestA"}`, 2)))
	if got := twice.passes[testID{"p", "TestA"}]; got != 2 {
		t.Errorf("%d passes counted, want 2", got)
	}
	if names := found.names("p"); !slices.Equal(names, []string{"TestA", "TestB", "TestCrash"}) {
		t.Errorf("top-level tests %v", names)
	}
}

func TestVerdict(t *testing.T) {
	const pass, fail, skip = "pass", "fail", "skip"
	side := func(outcomes ...string) results {
		r := newResults()
		r.firings["pion.ice"] = 1
		for i, outcome := range outcomes {
			if outcome != "" {
				r.outcome[testID{"p", string(rune('A' + i))}] = outcome
			}
		}
		return r
	}
	cases := []struct {
		name               string
		plain, ours        string
		againPlain, again  int
		broken, flaky, bad int
	}{
		{"passes on both sides", pass, pass, 0, 0, 0, 0, 0},
		{"fails on both sides", fail, fail, 0, 0, 0, 0, 1},
		{"skipped on both sides", skip, skip, 0, 0, 0, 0, 0},
		{"fails re-timed, always", pass, fail, alone, 0, 1, 0, 0},
		{"fails re-timed, often", pass, fail, alone, alone - 2, 1, 0, 0},
		{"failed re-timed, once", pass, fail, alone, alone - 1, 0, 1, 0},
		{"failed re-timed, never again", pass, fail, alone, alone, 0, 1, 0},
		{"passes re-timed only", fail, pass, 0, alone, 0, 1, 0},
		{"is not there re-timed", pass, "", alone, 0, 1, 0, 0},
	}
	for _, c := range cases {
		v := verdict{module: carry.Module{Path: "p"}, sides: map[arm]results{published: side(c.plain, pass), retimed: side(c.ours, pass)}}
		v.again = map[testID]tally{{"p", "A"}: {alone, c.againPlain, c.again}}
		v.judge()
		if len(v.broken) != c.broken || len(v.flaky) != c.flaky || len(v.failing) != c.bad {
			t.Errorf("%s: broken %v, flaky %v, failing %v", c.name, v.broken, v.flaky, v.failing)
		}
	}
	v := verdict{module: carry.Module{Path: "p"}, sides: map[arm]results{published: newResults(), retimed: newResults()}}
	if v.judge(); len(v.broken) != 2 {
		t.Errorf("a run without tests and firings: %v, want it to count for nothing twice", v.broken)
	}
	var said strings.Builder
	if v.print(&said); strings.Count(said.String(), "BROKEN") != 2 {
		t.Errorf("printed %q", said.String())
	}
}

func TestPackageThatDoesNotBuild(t *testing.T) {
	plain, _ := readEvents(strings.NewReader(`{"Action":"run","Package":"p","Test":"TestA"}{"Action":"pass","Package":"p","Test":"TestA"}`))
	ours, _ := readEvents(strings.NewReader(`{"Action":"build-output","ImportPath":"p [p.test]","Output":"p.go:1: undefined\n"}{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`))
	ours.firings["pion.ice"] = 1
	v := verdict{sides: map[arm]results{published: plain, retimed: ours}}
	if doubtful := v.doubtful(); len(doubtful) > 0 {
		t.Errorf("%v would be run again, which cannot be", doubtful)
	}
	var said strings.Builder
	v.judge()
	if v.print(&said); len(v.broken) != 1 || !strings.Contains(said.String(), "do not build") || !strings.Contains(said.String(), "p.go:1: undefined") {
		t.Errorf("broken %v, printed\n%s", v.broken, said.String())
	}
}

func TestWorse(t *testing.T) {
	for again, want := range map[tally]bool{
		{5, 5, 5}: false, {5, 5, 4}: false, {5, 5, 3}: true, {5, 4, 2}: true, {5, 2, 4}: false,
		{25, 21, 16}: false, {25, 25, 19}: false, {25, 25, 18}: true, {25, 10, 25}: false,
	} {
		if again.worse() != want {
			t.Errorf("%+v: worse %v, want %v", again, again.worse(), want)
		}
	}
}

// TestScratch makes both sides of the smallest subject and looks at what differs.
func TestScratch(t *testing.T) {
	root, err := carry.Root()
	if err != nil {
		t.Fatal(err)
	}
	list, err := carry.Pinned(root)
	if err != nil {
		t.Fatal(err)
	}
	s := scratch{root: root, dir: filepath.Join(t.TempDir(), "with spaces"), list: list, subjects: []string{"stun"}}
	if err := s.make(); err != nil {
		t.Fatal(err)
	}
	m, err := s.subject("stun")
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[arm]int{published: 0, retimed: 1} {
		data, err := os.ReadFile(filepath.Join(s.folder(a, m), "client_test.go"))
		if err != nil || strings.Count(string(data), carry.StdtimePath) != want {
			t.Errorf("%s: client_test.go imports the stand-in %d times (%v), want %d", a, strings.Count(string(data), carry.StdtimePath), err, want)
		}
		cmd := exec.CommandContext(t.Context(), "go", "list", "-test", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./...")
		cmd.Dir = s.folder(a, m)
		cmd.Env = append(os.Environ(), "PWD="+cmd.Dir, "GOWORK="+s.workspace(a))
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "tourbillon/timing/stdtime") != (a == retimed) {
			t.Errorf("%s: %v, links\n%s", a, err, out)
		}
	}
}
