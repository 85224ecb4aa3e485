package stdtime

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// carried is a pion module of the build list, with its sources: the re-timed copy, or with GOWORK=off the module cache.
type carried struct{ Path, Dir string }

func carriedModules(t *testing.T) (modules []carried) {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-json=Path,Dir", "all")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the modules: %v\n%s", err, stderr.String())
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var m carried
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(m.Path, "github.com/pion/") {
			continue
		}
		if m.Dir == "" {
			t.Fatalf("%s has no sources: run go mod download", m.Path)
		}
		modules = append(modules, m)
	}
	if len(modules) < 10 {
		t.Fatalf("%d pion modules only: is the build list right?", len(modules))
	}
	return modules
}

// function is one function of a module, named as the runtime does.
type function struct {
	name string
	file string
	body *ast.BlockStmt
	// timers are the names by which the file knows packages that arm timers, with their arming functions.
	timers map[string][]string
	set    *token.FileSet
}

// eachFunction reads the module's Go files, whatever system they are for, but tests.
func (m carried) eachFunction(t *testing.T, visit func(function)) {
	t.Helper()
	err := filepath.WalkDir(m.Dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == "examples" || name == "testdata" || strings.HasPrefix(name, ".") && file != m.Dir {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			return m.readFile(file, visit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (m carried) readFile(name string, visit func(function)) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(m.Dir, name)
	if err != nil {
		return err
	}
	pkg := path.Join(m.Path, filepath.ToSlash(filepath.Dir(rel)))
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Body != nil {
				visit(function{pkg + "." + receiver(d) + d.Name.Name, rel, d.Body, timersOf(file), set})
			}
		case *ast.GenDecl: // Functions in variables are closures of the package's initialisation.
			visit(function{pkg + ".init", rel, &ast.BlockStmt{List: []ast.Stmt{&ast.DeclStmt{Decl: d}}}, timersOf(file), set})
		}
	}
	return nil
}

// receiver is "(*T)." or "T." of a method, "" of a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	switch typ := d.Recv.List[0].Type.(type) {
	case *ast.StarExpr:
		if base, ok := typ.X.(*ast.Ident); ok {
			return "(*" + base.Name + ")."
		}
	case *ast.Ident:
		return typ.Name + "."
	}
	return "(generic)." // No row can name it, so that a timer in there is told.
}

// arming functions of the packages that arm timers, as published and re-timed.
var (
	ofTime          = []string{"After", "AfterFunc", "NewTicker", "NewTimer", "Sleep", "Tick"}
	ofContext       = []string{"WithDeadline", "WithDeadlineCause", "WithTimeout", "WithTimeoutCause"}
	armingFunctions = map[string][]string{
		"time": ofTime, "tourbillon/timing/stdtime": ofTime,
		"context": ofContext, "tourbillon/timing/stdcontext": ofContext,
	}
)

func timersOf(file *ast.File) map[string][]string {
	found := map[string][]string{}
	for _, imported := range file.Imports {
		from, _ := strconv.Unquote(imported.Path.Value) // The parser has seen to it.
		if armingFunctions[from] == nil {
			continue
		}
		local := from
		if imported.Name != nil {
			local = imported.Name.Name
		}
		found[local] = armingFunctions[from]
	}
	return found
}

// siteInSource is a function that arms a timer, with the call by which it does.
type siteInSource struct {
	function, call, file string
	position             token.Position
}

func (m carried) armings(t *testing.T) (found []siteInSource) {
	t.Helper()
	m.eachFunction(t, func(f function) {
		ast.Inspect(f.body, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := selector.X.(*ast.Ident)
			if ok && slices.Contains(f.timers[from.Name], selector.Sel.Name) {
				call := from.Name + "." + selector.Sel.Name
				found = append(found, siteInSource{f.name, call, f.file, f.set.Position(selector.Pos())})
			}
			return true
		})
	})
	return found
}
