package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tourbillon/timing/retime/carry"
)

// verdict is what the tests of one module say.
type verdict struct {
	module carry.Module
	sides  map[arm]results
	again  map[testID]tally

	// broken pass as published and not re-timed; flaky pass sometimes, re-timed not clearly less often; failing fail on
	// both.
	broken, flaky, failing []string
}

// tally counts the passes of a test that was run again alone.
type tally struct{ runs, plain, ours int }

// worse reports whether the re-timed side passes less often by more than chance explains: by one run in few, by a
// quarter of them in many. Of two sides that pass equally often, whatever that is, 25 runs differ by seven or more in
// one case of thirty at most.
func (t tally) worse() bool { return t.plain-t.ours > max(1, t.runs/4) }

// doubtful lists the top-level tests with anything that failed on one side at least, or that ran on one side only.
func (v verdict) doubtful() []testID {
	found := map[testID]bool{}
	for _, pair := range [][2]arm{{published, retimed}, {retimed, published}} {
		for id, outcome := range v.sides[pair[0]].outcome {
			if outcome == "fail" || v.sides[pair[1]].outcome[id] == "" && !v.sides[pair[1]].unbuilt(id.Package) {
				top, _, _ := strings.Cut(id.Name, "/")
				found[testID{id.Package, top}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b testID) int { return strings.Compare(a.String(), b.String()) })
}

// judge sorts the doubtful tests.
func (v *verdict) judge() {
	for _, id := range v.doubtful() {
		again := v.again[id]
		skipped := v.sides[published].outcome[id] == "skip" && v.sides[retimed].outcome[id] == "skip"
		line := fmt.Sprintf("%s (again alone %d times: published passed %d, re-timed %d)", id, again.runs, again.plain, again.ours)
		switch {
		case skipped:
		case again.plain == 0 && again.ours == 0:
			v.failing = append(v.failing, line)
		case again.ours == 0 || again.worse():
			v.broken = append(v.broken, line)
		default:
			v.flaky = append(v.flaky, line)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(v.sides[retimed].crashed)) {
		if line := pkg + " has tests that do not build re-timed"; v.sides[retimed].unbuilt(pkg) && !v.sides[published].unbuilt(pkg) {
			v.broken = append(v.broken, line)
		}
	}
	if len(v.sides[retimed].firings) == 0 {
		v.broken = append(v.broken, v.module.Path+": no timer fired on the engine, so this run shows nothing")
	}
	if v.sides[published].count("pass") == 0 {
		v.broken = append(v.broken, v.module.Path+": no test passes as published, so this run shows nothing")
	}
}

func (v verdict) print(w io.Writer) {
	plain, ours := v.sides[published], v.sides[retimed]
	fmt.Fprintf(w, "%s %s\n", v.module.Path, v.module.Version)
	fmt.Fprintf(w, "  published  %4d passed  %3d failed  %3d skipped\n", plain.count("pass"), plain.count("fail"), plain.count("skip"))
	fmt.Fprintf(w, "  re-timed   %4d passed  %3d failed  %3d skipped  difference in passes %+d\n",
		ours.count("pass"), ours.count("fail"), ours.count("skip"), ours.count("pass")-plain.count("pass"))
	fmt.Fprintf(w, "  fired on the engine:")
	for _, label := range slices.Sorted(maps.Keys(ours.firings)) {
		fmt.Fprintf(w, "  %s %d", label, ours.firings[label])
	}
	fmt.Fprintln(w)
	for _, list := range []struct {
		name  string
		tests []string
	}{{"flaky", v.flaky}, {"fails on both sides", v.failing}, {"BROKEN", v.broken}} {
		for _, test := range list.tests {
			fmt.Fprintf(w, "  %s: %s\n", list.name, test)
		}
	}
	for _, test := range v.broken {
		v.explain(w, test)
	}
}

// explain prints the end of what a broken test, or its package, said.
func (v verdict) explain(w io.Writer, broken string) {
	const lines = 40
	for id, log := range v.sides[retimed].log {
		own := id.Name != "" && strings.HasPrefix(broken, id.String()+" ")
		if whole := id.Name == "" && strings.HasPrefix(broken, id.Package+" "); own || whole {
			said := strings.Split(strings.TrimSpace(log.String()), "\n")
			fmt.Fprintf(w, "  %s said:\n    %s\n", id, strings.Join(said[max(0, len(said)-lines):], "\n    "))
		}
	}
}
