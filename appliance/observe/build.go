// Package observe tells what the running program is and does: its build, its log.
package observe

import (
	"fmt"
	"runtime"
	"runtime/debug"
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
	// Stale: a copy of another version than the build list names.
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
}

// Timers says what protocol timers run on.
type Timers struct {
	// Clock is "hrtimer" or "runtime", Note how it runs or why it fell back.
	Clock string `json:"clock"`
	Note  string `json:"note,omitempty"`
	// Modules maps each linked pion module to Retimed, PackageTime or Stale.
	Modules map[string]string `json:"modules"`
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
	b := Build{Version: Version, Go: runtime.Version(), Timers: Timers{Clock: clock, Note: note, Modules: map[string]string{}}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			b.Revision = setting.Value
		}
	}
	registered := stdtime.Modules()
	for _, dependency := range info.Deps {
		if strings.HasPrefix(dependency.Path, pionPrefix) {
			b.Timers.Modules[dependency.Path] = stateOf(dependency, registered)
		}
	}
	return b
}

func stateOf(dependency *debug.Module, registered []stdtime.Module) string {
	for _, m := range registered {
		switch {
		case m.Path != dependency.Path:
		case m.Version == dependency.Version && dependency.Replace != nil:
			return Retimed
		default:
			return Stale
		}
	}
	return PackageTime
}

// Problems returns what makes this binary's claim about its timers untrue: copies of other versions than the build
// list names, or packages of two generator runs.
func (b Build) Problems() []error {
	problems := stdtime.Clashes()
	for path, state := range b.Timers.Modules {
		if state == Stale {
			problems = append(problems, fmt.Errorf("%s: the re-timed copy is of another version than go.mod names: run make build", path))
		}
	}
	return problems
}
