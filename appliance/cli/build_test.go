package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tourbillon/appliance/observe"
	"tourbillon/timing/inventory"
)

// program is a real binary of the checkout: a test binary has no build information.
type program struct {
	path string
	// retimed says whether the checkout's workspace re-times pion, versions what go.mod pins.
	retimed  bool
	versions map[string]string
}

func buildProgram(t *testing.T) program {
	t.Helper()
	p := program{path: filepath.Join(t.TempDir(), "tourbillon"), versions: map[string]string{}}
	goCommand(t, "build", "-trimpath", "-o", p.path, "tourbillon")
	workspace := strings.TrimSpace(goCommand(t, "env", "GOWORK"))
	p.retimed = workspace != "" && workspace != "off"
	for line := range strings.Lines(goCommand(t, "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}", "tourbillon")) {
		if path, version, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(path, "github.com/pion/") {
			p.versions[path] = version
		}
	}
	return p
}

func goCommand(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go %v: %v\n%s", args, err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func (p program) run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.path, args...)
	cmd.Dir = t.TempDir() // Nothing of the sources is near.
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestVersionOfARealBuild holds what a binary says of itself against the build list that it was made from.
func TestVersionOfARealBuild(t *testing.T) {
	p := buildProgram(t)
	t.Run("modules", func(t *testing.T) { testModules(t, p) })
	t.Run("timers", func(t *testing.T) { testTimers(t, p) })
}

func testModules(t *testing.T, p program) {
	stdout, stderr, err := p.run(t, "version", "--json")
	var build observe.Build
	if err != nil || json.Unmarshal([]byte(stdout), &build) != nil {
		t.Fatalf("version --json: %v\n%s%s", err, stdout, stderr)
	}
	want := observe.PackageTime
	if p.retimed {
		want = observe.Retimed
	}
	for path, version := range p.versions {
		if got := build.Timers.Modules[path]; got != want {
			t.Errorf("%s %s is %q, want %q", path, version, got, want)
		}
	}
	if len(p.versions) < 10 || len(build.Timers.Modules) != len(p.versions) {
		t.Errorf("the binary tells of %d pion modules, the build list of %d", len(build.Timers.Modules), len(p.versions))
	}
	if len(build.Timers.Problems) > 0 {
		t.Errorf("problems: %v", build.Timers.Problems)
	}
}

func testTimers(t *testing.T, p program) {
	stdout, stderr, err := p.run(t, "version", "--timers", "--json")
	if !p.retimed {
		if err == nil || !strings.Contains(stderr, "built with pion as published") {
			t.Errorf("version --timers of a plain build: %v %q, want it to say so", err, stderr)
		}
		return
	}
	var listing inventory.Inventory
	if err != nil || json.Unmarshal([]byte(stdout), &listing) != nil {
		t.Fatalf("version --timers --json: %v\n%s%s", err, stdout, stderr)
	}
	root := strings.TrimSpace(goCommand(t, "list", "-m", "-f", "{{.Dir}}", "tourbillon"))
	for _, c := range listing.Carried {
		if c.Label == "" || c.Tier != "precise" && c.Tier != "coarse" {
			t.Errorf("%+v has no label or tier", c)
		}
		if strings.HasPrefix(c.Module, "github.com/pion/") {
			checkPlace(t, filepath.Join(root, ".retimed", c.Module, c.File), c)
		}
	}
	if len(listing.Carried) < 50 || len(listing.Uncarried) < 10 {
		t.Errorf("%d carried and %d uncarried places: is that the whole program?", len(listing.Carried), len(listing.Uncarried))
	}
	text, _, err := p.run(t, "version", "--timers")
	if first := fmt.Sprintf("%s:%d", listing.Carried[0].File, listing.Carried[0].Line); err != nil || !strings.Contains(text, first) {
		t.Errorf("version --timers: %v, without %s:\n%.400s", err, first, text)
	}
}

// checkPlace looks whether the line that an entry names has the call that it names.
func checkPlace(t *testing.T, file string, c inventory.Carried) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	lines := strings.Split(string(data), "\n")
	name := c.Call[strings.LastIndex(c.Call, ".")+1:]
	if c.Line > len(lines) || !strings.Contains(lines[c.Line-1], name) {
		t.Errorf("%s:%d has no %s", file, c.Line, name)
	}
}
