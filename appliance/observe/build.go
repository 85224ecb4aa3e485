// Package observe tells what the running program is and does: its build, its log.
package observe

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"tourbillon/timing/stdtime"
)

// Version is the program's version, the newest heading of CHANGELOG.md.
const Version = "0.1.0"

// What a pion module of this binary runs on.
const (
	// Retimed: the module's copy registered itself and is the version that the build list names.
	Retimed = "retimed"
	// PackageTime: the module as published.
	PackageTime = "package-time"
	// Stale: a copy of another version than the build list names, or one that did not register itself.
	Stale = "stale"
)

// pionPrefix selects the modules whose timers matter.
const pionPrefix = "github.com/pion/"

// Build describes this binary, as the build information and the re-timed modules tell of themselves.
type Build struct {
	Version string `json:"version"`
	// Go is the toolchain, Revision the commit if the build recorded one.
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"`
	Timers   Timers `json:"timers"`

	problems []error
}

// Timers says what protocol timers run on.
type Timers struct {
	// Clock is "hrtimer" or "runtime", Note how it runs or why it fell back.
	Clock string `json:"clock"`
	Note  string `json:"note,omitempty"`
	// Modules maps each linked pion module to Retimed, PackageTime or Stale.
	Modules map[string]string `json:"modules"`
	// Problems are Build.Problems in words.
	Problems []string `json:"problems,omitempty"`
}

// Retimed reports whether every pion module runs on the injected clock.
func (t Timers) Retimed() bool {
	for _, state := range t.Modules {
		if state != Retimed {
			return false
		}
	}
	return len(t.Modules) > 0
}

// ReadBuild describes this binary. clock and note are the caller's, who knows which clock is in use.
func ReadBuild(clock, note string) Build {
	b := Build{Version: Version, Go: runtime.Version(), Timers: Timers{Clock: clock, Note: note}}
	registered := stdtime.Modules()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			b.Revision = setting.Value
		}
	}
	b.Timers.Modules, b.problems = compare(info.Deps, registered)
	b.problems = append(b.problems, stdtime.Clashes()...)
	_, err := inventoryOf(registered)
	if foreign := (*foreignInventoryError)(nil); errors.As(err, &foreign) {
		b.problems = append(b.problems, err)
	}
	for _, problem := range b.problems {
		b.Timers.Problems = append(b.Timers.Problems, problem.Error())
	}
	return b
}

// Problems returns what makes this binary's claim about its timers untrue: copies of other versions than the build list
// names, copies that do not tell what they are, some modules re-timed and others not, packages of two generator runs,
// or copies of other content than the build's inventory was made from.
func (b Build) Problems() []error { return b.problems }

// compare holds the linked modules against those that registered themselves as re-timed.
func compare(linked []*debug.Module, registered []stdtime.Module) (states map[string]string, problems []error) {
	states = map[string]string{}
	for _, dependency := range linked {
		if !strings.HasPrefix(dependency.Path, pionPrefix) {
			continue
		}
		state, err := stateOf(dependency, registered)
		states[dependency.Path] = state
		if err != nil {
			problems = append(problems, err)
		}
	}
	if err := half(states); err != nil {
		problems = append(problems, err)
	}
	return states, problems
}

func stateOf(dependency *debug.Module, registered []stdtime.Module) (state string, problem error) {
	i := slices.IndexFunc(registered, func(m stdtime.Module) bool { return m.Path == dependency.Path })
	switch replaced := dependency.Replace != nil; {
	case i < 0 && replaced && dependency.Replace.Version == "":
		return Stale, fmt.Errorf("%s: replaced by the folder %s, which is no re-timed copy: run make build", dependency.Path, dependency.Replace.Path)
	case i < 0:
		return PackageTime, nil
	case registered[i].Version != dependency.Version:
		return Stale, fmt.Errorf("%s: the re-timed copy is of %s and the build list names %s: run make build", dependency.Path, registered[i].Version, dependency.Version)
	case !replaced:
		return Stale, fmt.Errorf("%s: a re-timed copy is linked which the build list does not name: run make build", dependency.Path)
	}
	return Retimed, nil
}

// half says which modules are on package time where others are not.
func half(states map[string]string) error {
	var plain []string
	for _, path := range slices.Sorted(maps.Keys(states)) {
		if states[path] == PackageTime {
			plain = append(plain, path)
		}
	}
	if len(plain) == 0 || len(plain) == len(states) {
		return nil
	}
	return fmt.Errorf("half a re-timed build: %s on package time, the other %d pion modules not: run make build", strings.Join(plain, ", "), len(states)-len(plain))
}
