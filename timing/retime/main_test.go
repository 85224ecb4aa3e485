package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"tourbillon/timing/inventory"
	"tourbillon/timing/retime/carry"
)

// tryGo runs the go command as a developer does, in the checkout's own workspace or in none.
func (h house) tryGo(workspace string, args ...string) (string, error) {
	cmd := exec.CommandContext(h.t.Context(), "go", args...)
	cmd.Dir = h.root
	cmd.Env = append(os.Environ(), "PWD="+h.root, "GOWORK="+workspace)
	if workspace == "" {
		cmd.Env = append(cmd.Env, "GOFLAGS=-modcacherw") // -mod=mod is for no workspace.
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %v: %w\n%s", args, err, errs.String())
	}
	return string(out), nil
}

// TestGenerate starts from an empty module cache, below a path with spaces, with -mod=mod in GOFLAGS.
func TestGenerate(t *testing.T) {
	h := newHouse(t)
	if said := h.generate(); !strings.Contains(said, "1 modules on the injected clock; inventory of 2 timers") || !strings.Contains(said, " s)") {
		t.Errorf("said %q", said)
	}
	const copies = outputDir + "/" + modulePath
	for name, want := range map[string]string{
		"alpha.go":    "import time \"tourbillon/timing/stdtime\"",
		"alpha_js.go": "import t \"tourbillon/timing/stdtime\"",
		"context.go":  "\tcontext \"tourbillon/timing/stdcontext\"\n\ttime \"tourbillon/timing/stdtime\"",
		"plain.go":    alpha["plain.go"],
		"sub/sub.go":  "import . \"tourbillon/timing/stdtime\"",
		"LICENSE":     "MIT",
	} {
		if got := h.read(copies + "/" + name); !strings.Contains(got, want) || strings.Count(got, "\n") != strings.Count(alpha[name], "\n") {
			t.Errorf("%s is\n%s\nwant %q in it and as many lines as before", name, got, want)
		}
	}
	for _, name := range []string{"alpha_test.go", "examples", "sub/testdata"} {
		if _, err := os.Stat(filepath.Join(h.root, copies, name)); err == nil {
			t.Errorf("%s was copied", name)
		}
	}
	if got := h.goCommand("", "run", "."); strings.Count(got, modulePath+" v1.0.0 ") != 2 {
		t.Errorf("the program says that %q is registered, want both packages", got)
	}
	if got := h.goCommand("off", "run", "."); got != "[]\n" {
		t.Errorf("with GOWORK=off the program says that %q is registered, want nothing", got)
	}
	var recorded inventory.Recorded
	if err := json.Unmarshal([]byte(h.read(inventoryFile)), &recorded); err != nil || len(recorded.Carried) != 2 || recorded.Sums[modulePath] == "" {
		t.Errorf("inventory %+v, %v", recorded, err)
	}
}

func TestSameInputSameBytes(t *testing.T) {
	one, other := newHouse(t), newHouse(t)
	one.generate()
	other.generate()
	content := func(os.FileInfo) string { return "" }
	if a, b := one.output(content), other.output(content); !maps.Equal(a, b) || len(a) < 8 {
		t.Errorf("two checkouts of the same versions differ, or have too little:\n%v\n%v", slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
	}
}

// identity tells a file from one that was written again.
func identity(info os.FileInfo) string {
	return fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino, info.ModTime().UnixNano(), info.Mode(), "\n")
}

func TestNothingIsRewritten(t *testing.T) {
	h := newHouse(t)
	h.generate()
	before := h.output(identity)
	if said := h.generate(); !strings.HasPrefix(said, "retime: up to date (") {
		t.Errorf("said %q", said)
	}
	if after := h.output(identity); !maps.Equal(before, after) {
		t.Error("a second run wrote files again")
	}
	h.write("more.go", "package main\n\nvar more = 1\n")
	if said := h.generate(); !strings.HasPrefix(said, "retime: inventory of 2 timers") {
		t.Errorf("after a change of our own code it said %q", said)
	}
	after := h.output(identity)
	for _, name := range []string{inventoryFile} {
		delete(before, name)
		delete(after, name)
	}
	if !maps.Equal(before, after) {
		t.Error("a change of our own code had the copies written again")
	}
}

// TestChangedOutputIsSeen changes what was generated in each way there is.
func TestChangedOutputIsSeen(t *testing.T) {
	const copies = outputDir + "/" + modulePath
	h := newHouse(t)
	h.generate()
	content := func(os.FileInfo) string { return "" }
	want := h.output(content)
	remove := func(name string) {
		if err := os.RemoveAll(filepath.Join(h.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name   string
		change func()
		said   string
	}{
		{"files edited, added and gone", func() {
			h.write(copies+"/alpha.go", "package alpha\n")
			h.write(copies+"/more.go", "package alpha\n")
			remove(copies + "/plain.go")
		}, "changed after they were generated, and are generated anew: " + copies + "/alpha.go, " + copies + "/more.go, " + copies + "/plain.go\n"},
		{"the workspace edited", func() { h.write(workFile, "go 1.26\n\nuse .\n") }, "anew: " + workFile + "\n"},
		{"the stamp torn", func() { h.write(outputDir+"/"+stampFile, "{") }, "1 modules"},
		{"the copies gone, and the workspace left", func() { remove(outputDir) }, "1 modules"},
		{"the inventory gone", func() { remove(inventoryFile) }, "inventory of 2 timers"},
	}
	for _, c := range cases {
		c.change()
		if said := h.generate(); !strings.Contains(said, c.said) {
			t.Errorf("%s: said %q, want %q", c.name, said, c.said)
		}
		if !maps.Equal(h.output(content), want) {
			t.Errorf("%s: the output is not as it was", c.name)
		}
	}
}

func TestVersionBump(t *testing.T) {
	h := newHouse(t)
	h.generate()
	bumped := maps.Clone(alpha)
	bumped["alpha.go"] += "\n// More is more.\nconst More = 1\n"
	h.publish("v1.1.0", bumped)
	h.require("v1.1.0")
	if got := h.goCommand("", "run", "."); got != "[]\n" {
		t.Errorf("between bump and generation the program says that %q is registered, want the published module", got)
	}
	h.generate()
	if got := h.goCommand("", "run", "."); strings.Count(got, modulePath+" v1.1.0 ") != 2 {
		t.Errorf("the program says that %q is registered, want v1.1.0", got)
	}
	if got := h.read(outputDir + "/" + modulePath + "/alpha.go"); !strings.Contains(got, "More") {
		t.Errorf("the copy is not of the version that go.mod names:\n%s", got)
	}
}

// TestUncarriableVersion bumps to versions that cannot be carried. Each is told in one line, and all stays as it was.
func TestUncarriableVersion(t *testing.T) {
	h := newHouse(t)
	h.generate()
	before := h.output(identity)
	cases := []struct{ file, text, want string }{
		{"link.go", "package alpha\n\nimport _ \"unsafe\"\n\n//go:linkname now runtime.nanotime\nfunc now() int64\n", "link.go:5:1: linkname to runtime.nanotime reaches the clock past any import"},
		{"c.go", "package alpha\n\nimport \"C\"\n", "c.go:3:8: imports C, whose timers no Go import can turn"},
		{"a.s", "\nTEXT ·now(SB), 4, $0\n\tCALL runtime·nanotime1(SB)\n", "a.s:3: assembly reaches the clock past any import: CALL runtime·nanotime1(SB)"},
		{"torn.go", "package alpha\n\nfunc {\n", "torn.go:3:6: expected 'IDENT'"},
		{"surface.go", "package alpha\n\nimport \"time\"\n\nvar _ = time.Minute\n", "surface.go:5:14: undefined: time.Minute"},
	}
	for i, c := range cases {
		version := fmt.Sprintf("v1.%d.0", i+1)
		files := maps.Clone(alpha)
		files[c.file] = c.text
		h.publish(version, files)
		h.require(version)
		err := run(h.root, io.Discard)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), modulePath+" "+version) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one line with the version and %q", c.file, err, c.want)
		}
		var uncarriable *carry.UncarriableError
		var uncarried *uncarriedError
		if c.file != "torn.go" && !errors.As(err, &uncarriable) && !errors.As(err, &uncarried) {
			t.Errorf("%s: the error has type %T", c.file, err)
		}
		if !maps.Equal(h.output(identity), before) {
			t.Errorf("%s: something was written", c.file)
		}
		if left, _ := filepath.Glob(filepath.Join(h.root, outputDir+"-new-*")); len(left) > 0 {
			t.Errorf("%s: %v was left behind", c.file, left)
		}
	}
}

// TestOwnCodeThatDoesNotCompile must not keep anybody from the copies, which editors need to help with it.
func TestOwnCodeThatDoesNotCompile(t *testing.T) {
	h := newHouse(t)
	h.generate()
	h.write("broken.go", "package main\n\nvar broken int = \"\"\n")
	if said := h.generate(); !strings.Contains(said, "no inventory of timers, since the program does not compile: broken.go:3:18") {
		t.Errorf("said %q", said)
	}
	if _, err := os.Stat(filepath.Join(h.root, inventoryFile)); err == nil {
		t.Error("an old inventory was left for the build to embed")
	}
}

func TestMissing(t *testing.T) {
	h := newHouse(t)
	if err := os.RemoveAll(h.proxy); err != nil {
		t.Fatal(err)
	}
	if err := run(h.root, io.Discard); err == nil || !strings.Contains(err.Error(), "download") && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without module cache and proxy: %v", err)
	}
	h.write("go.mod", "module tourbillon\n\ngo 1.26\n")
	if err := run(h.root, io.Discard); err == nil || !strings.Contains(err.Error(), "requires no module below github.com/pion/") {
		t.Errorf("without pion: %v", err)
	}
}

// TestReadOnlyCheckout uses a folder that not even root can write in.
func TestReadOnlyCheckout(t *testing.T) {
	_, _, err := generation{root: "/proc"}.prepare()
	if err == nil || !strings.Contains(err.Error(), "cannot write in /proc") || !strings.Contains(err.Error(), "build in a checkout that this user can write") {
		t.Errorf("said %v", err)
	}
}

// TestCheckoutsOwnCopies looks at the copies that this very checkout builds with, if it has any.
func TestCheckoutsOwnCopies(t *testing.T) {
	root, err := carry.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, outputDir)); errors.Is(err, os.ErrNotExist) {
		t.Log("pion is as published here")
		return
	}
	list, err := carry.Pinned(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, same, edited, err := (generation{root, list}).upToDate(); !same || err != nil {
		t.Errorf("the copies are not what the generator makes of go.mod (changed since: %v, %v): run make build", edited, err)
	}
}
