package appliance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms lists what each part of the house may import of the house; the longest matching prefix counts. Siblings never
// import one another: each states the interface that it needs, and appliance fits them together.
var rooms = map[string][]string{
	"tourbillon":                  {"tourbillon/appliance/..."},
	"tourbillon/appliance":        {"tourbillon/..."},
	"tourbillon/signaling":        {"tourbillon/signaling/socket/...", "tourbillon/timing/..."},
	"tourbillon/signaling/agent":  {"tourbillon/signaling/agent/...", "tourbillon/timing/..."},
	"tourbillon/signaling/socket": nil, // Carries what the protocols say, and knows none of them.
	"tourbillon/turn":             {"tourbillon/timing/...", "tourbillon/turn/..."},
	"tourbillon/turn/relay":       {"tourbillon/timing/kernel/...", "tourbillon/turn/nonce/..."}, // What runs without a Go processor needs no more.
	"tourbillon/web":              {"tourbillon/timing/..."},
	"tourbillon/timing":           {"tourbillon/timing/..."},
	"tourbillon/timing/kernel":    nil,
}

// owners says which room alone may import a library.
var owners = map[string][]string{
	"github.com/pion/turn/":         {"tourbillon/turn"},
	"github.com/pion/dtls/":         {"tourbillon/turn"},
	"github.com/pion/webrtc/":       {"tourbillon/signaling/agent"},
	"github.com/pion/ice/":          {"tourbillon/signaling/agent"},
	"github.com/lxzan/gws":          {"tourbillon/signaling"},
	"github.com/golang-jwt/":        {"tourbillon/signaling"},
	"github.com/labstack/echo/":     {"tourbillon/signaling", "tourbillon/appliance"},
	"github.com/coreos/go-systemd/": {"tourbillon/appliance"},
	"github.com/prometheus/":        {"tourbillon/appliance"},
	"go.yaml.in/yaml/":              {"tourbillon/appliance"},
	"github.com/HdrHistogram/":      {"tourbillon/timing"},
	"tourbillon/timing/stdtime":     {"tourbillon/timing", "tourbillon/appliance"},
	"github.com/coder/websocket":    nil, // The rival in a benchmark, and a client in tests.
	"tourbillon/timing/timingtest":  nil, // Tests alone.
	"tourbillon/appliance/netlab":   nil, // The same.
}

type listedPackage struct {
	ImportPath, Dir string
	Imports         []string
	GoFiles         []string
}

func TestImportDirections(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, imported := range p.Imports {
			if why := judge(p.ImportPath, imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
	}
}

// TestJudgeCanRefuse guards the guard.
func TestJudgeCanRefuse(t *testing.T) {
	for _, arrow := range [][2]string{
		{"tourbillon/turn", "tourbillon/signaling"},
		{"tourbillon/signaling", "tourbillon/turn"},
		{"tourbillon/signaling/agent", "tourbillon/signaling"},
		{"tourbillon/timing", "tourbillon/appliance"},
		{"tourbillon/signaling", "github.com/pion/webrtc/v4"},
		{"tourbillon/appliance", "github.com/pion/turn/v5"},
	} {
		if judge(arrow[0], arrow[1]) == "" {
			t.Errorf("%s may import %s", arrow[0], arrow[1])
		}
	}
	if why := judge("tourbillon/appliance/cli", "tourbillon/turn"); why != "" {
		t.Errorf("appliance may not import turn: %s", why)
	}
}

func judge(from, imported string) (why string) {
	for prefix, allowed := range owners {
		if strings.HasPrefix(imported, prefix) && !slices.Contains(allowed, roomOf(from)) {
			return fmt.Sprintf("only %v may", allowed)
		}
	}
	if !strings.HasPrefix(imported, "tourbillon") {
		return ""
	}
	for _, allowed := range rooms[roomOf(from)] {
		if base, whole := strings.CutSuffix(allowed, "/..."); whole && (imported == base || strings.HasPrefix(imported, base+"/")) {
			return ""
		}
	}
	return "the arrows in DESIGN point another way"
}

// roomOf is the longest prefix of a package path that rooms knows.
func roomOf(path string) string {
	for ; path != "."; path = filepath.Dir(path) {
		if _, ok := rooms[path]; ok {
			return path
		}
	}
	return ""
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles", "tourbillon/...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the packages: %v\n%s", err, stderr.String())
	}
	var packages []listedPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// armsTimers are the functions of the standard library that arm timers or wait; they run on no injected clock.
var armsTimers = map[string][]string{
	"time":    {"After", "AfterFunc", "NewTicker", "NewTimer", "Sleep", "Tick"},
	"context": {"WithDeadline", "WithDeadlineCause", "WithTimeout", "WithTimeoutCause"},
}

// allowedTimers are the uses that bound the program's own work and are no timer of a protocol.
var allowedTimers = map[string]string{
	"appliance/appliance.go context.WithTimeout": "bounds the stop, during which the clock itself closes",
	"appliance/notify.go context.WithTimeout":    "bounds a self-check, which has to end also when the clock does not run",
}

// TestTimersOnlyInTiming reads every Go file of the house. Tests may bound their own waiting.
func TestTimersOnlyInTiming(t *testing.T) {
	const root = ".."
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == "timing" || name == "node_modules" || strings.HasPrefix(name, ".") && path != root {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		files++
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, call := range timersIn(t, rel, source) {
			inTest := strings.HasSuffix(name, "_test.go") && strings.HasPrefix(call, "context.")
			if !inTest && allowedTimers[rel+" "+call] == "" {
				t.Errorf("%s: %s runs on no injected clock: use timing.Clock", rel, call)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Errorf("read %d files only: is the root right?", files)
	}
}

// TestTimersInCanFind guards the guard.
func TestTimersInCanFind(t *testing.T) {
	cases := map[string]string{
		"import \"time\"\nvar _ = time.After(1)":                        "time.After",
		"import clock \"time\"\nvar _ = clock.NewTimer":                 "time.NewTimer",
		"import . \"time\"":                                             "time.*",
		"import c \"context\"\nvar _, _ = c.WithTimeout(nil, 1)":        "context.WithTimeout",
		"import \"time\"\nvar _ = time.Second":                          "",
		"import \"context\"\nvar _ = context.Background()":              "",
		"var time struct{ After func() }\nfunc init() { time.After() }": "",
	}
	for source, want := range cases {
		if got := strings.Join(timersIn(t, "a.go", []byte("package a\n"+source)), " "); got != want {
			t.Errorf("%q: found %q, want %q", source, got, want)
		}
	}
}

func timersIn(t *testing.T, name string, source []byte) (found []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]string{} // Name in this file → path.
	for _, imported := range file.Imports {
		path, err := strconv.Unquote(imported.Path.Value)
		if err != nil || armsTimers[path] == nil {
			continue
		}
		local := path
		if imported.Name != nil {
			local = imported.Name.Name
		}
		if local == "." {
			found = append(found, path+".*")
		}
		packages[local] = path
	}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if from, ok := selector.X.(*ast.Ident); ok && slices.Contains(armsTimers[packages[from.Name]], selector.Sel.Name) {
			found = append(found, packages[from.Name]+"."+selector.Sel.Name)
		}
		return true
	})
	return found
}

// oldMajors are modules past their end whose advisories are not fixed; turn/v5 below 5.0.8 does not enforce
// permissions for TCP.
var oldMajors = []string{
	"github.com/pion/turn/v2", "github.com/pion/turn/v3", "github.com/pion/turn/v4", "github.com/pion/ice", "github.com/pion/ice/v2",
	"github.com/pion/ice/v3", "github.com/pion/dtls", "github.com/pion/dtls/v2", "github.com/pion/stun", "github.com/pion/stun/v2",
	"github.com/pion/turn/v5@v5.0.0", "github.com/pion/turn/v5@v5.0.1", "github.com/pion/turn/v5@v5.0.2", "github.com/pion/turn/v5@v5.0.3",
	"github.com/pion/turn/v5@v5.0.4", "github.com/pion/turn/v5@v5.0.5", "github.com/pion/turn/v5@v5.0.6", "github.com/pion/turn/v5@v5.0.7",
}

func TestNoOldMajorsInTheModuleGraph(t *testing.T) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Path}}@{{.Version}}", "all")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(out))
	if !slices.Contains(words, "github.com/pion/turn/v5") {
		t.Fatal("the build list has no pion/turn/v5: is it the right one?")
	}
	for _, old := range oldMajors {
		if slices.Contains(words, old) {
			t.Errorf("%s is in the module graph", old)
		}
	}
}
