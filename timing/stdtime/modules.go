package stdtime

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Module is a module that was re-timed into this binary, as the generated copy says of itself.
type Module struct {
	// Path and Version are the module's in go.mod; Sum is the generator's hash of the copied source files.
	Path, Version, Sum string
}

// majorVersion is the last element of a module path from major version 2 on.
var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// Label is the name under which the module's timers are recorded: the last two words of its path, "pion.ice".
func (m Module) Label() string {
	words := strings.Split(m.Path, "/")
	if n := len(words); n > 1 && majorVersion.MatchString(words[n-1]) {
		words = words[:n-1]
	}
	return strings.Join(words[max(0, len(words)-2):], ".")
}

var registry struct {
	sync.Mutex
	modules map[string]Module
	clashes []error
}

// Register is called by the generated copy of each re-timed package.
func Register(m Module) {
	registry.Lock()
	defer registry.Unlock()
	if registry.modules == nil {
		registry.modules = make(map[string]Module)
	}
	if before, ok := registry.modules[m.Path]; ok && before != m {
		registry.clashes = append(registry.clashes, fmt.Errorf(
			"%s: packages of two generator runs are linked (%s %s and %s %s): run make build",
			m.Path, before.Version, before.Sum, m.Version, m.Sum))
	}
	registry.modules[m.Path] = m
}

// Modules lists the re-timed modules by path.
func Modules() []Module {
	registry.Lock()
	defer registry.Unlock()
	modules := make([]Module, 0, len(registry.modules))
	for _, m := range registry.modules {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b Module) int { return cmp.Compare(a.Path, b.Path) })
	return modules
}

// Clashes returns what is wrong with the registered modules by themselves; nil when nothing is.
func Clashes() []error {
	registry.Lock()
	defer registry.Unlock()
	return slices.Clone(registry.clashes)
}
