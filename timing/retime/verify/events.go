package main

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
)

// testID is one test or subtest.
type testID struct{ Package, Name string }

func (t testID) String() string { return t.Package + " " + t.Name }

// results is what one side's tests did.
type results struct {
	// outcome is "pass", "fail" or "skip"; a test that began and did not end has failed.
	outcome map[testID]string
	// passes counts the passes of each test, which may run several times.
	passes map[testID]int
	// crashed are packages whose run ended early or did not build; log holds what packages and tests printed.
	crashed map[string]bool
	log     map[testID]*strings.Builder
	// firings counts the engine's timers by label.
	firings map[string]int
}

func newResults() results {
	return results{map[testID]string{}, map[testID]int{}, map[string]bool{}, map[testID]*strings.Builder{}, map[string]int{}}
}

// event is one line of `go test -json`.
type event struct {
	Action, Package, Test, Output, FailedBuild, ImportPath string
}

// readEvents reads the events of a run and counts them.
func readEvents(from io.Reader) (found results, events int) {
	found = newResults()
	for decoder := json.NewDecoder(from); ; events++ {
		var e event
		if err := decoder.Decode(&e); err != nil {
			found.close()
			return found, events
		}
		found.take(e)
	}
}

const running = "running"

func (r results) take(e event) {
	id := testID{cmp.Or(e.Package, strings.Fields(e.ImportPath + " ?")[0]), e.Test}
	switch e.Action {
	case "run":
		r.outcome[id] = running
	case "output", "build-output":
		r.print(id, e.Output)
	case "pass", "skip":
		if e.Test != "" {
			r.outcome[id] = e.Action
		}
		if e.Action == "pass" {
			r.passes[id]++
		}
	case "fail":
		if e.Test != "" {
			r.outcome[id] = e.Action
		}
		if e.FailedBuild != "" {
			r.crashed[e.Package] = true
		}
	}
}

func (r results) print(id testID, text string) {
	if r.log[id] == nil {
		r.log[id] = &strings.Builder{}
	}
	r.log[id].WriteString(text)
	if words := strings.Fields(text); len(words) == 3 && words[0] == firingsWord {
		n, _ := strconv.Atoi(words[2])
		r.firings[words[1]] += n
	}
}

// close settles what never ended, and forgets the test that verify itself added.
func (r results) close() {
	for id, outcome := range r.outcome {
		if outcome == running {
			r.outcome[id] = "fail"
			r.crashed[id.Package] = true
		}
		if id.Name == clockTestName {
			delete(r.outcome, id)
		}
	}
}

// add takes over the results of another run.
func (r results) add(more results) {
	for id, outcome := range more.outcome {
		r.outcome[id] = outcome
	}
	for label, n := range more.firings {
		r.firings[label] += n
	}
}

// names are the top-level tests of a package that have an outcome.
func (r results) names(pkg string) (names []string) {
	for id := range r.outcome {
		if id.Package == pkg && !strings.Contains(id.Name, "/") {
			names = append(names, id.Name)
		}
	}
	slices.Sort(names)
	return names
}

// unbuilt reports whether a package was to be tested and no test of it began.
func (r results) unbuilt(pkg string) bool { return r.crashed[pkg] && len(r.names(pkg)) == 0 }

func (r results) count(outcome string) (n int) {
	for _, o := range r.outcome {
		if o == outcome {
			n++
		}
	}
	return n
}
