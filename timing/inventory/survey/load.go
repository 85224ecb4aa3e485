// Package survey makes the inventory of timers: it type-checks a program with all its dependencies from their sources,
// as the go command lists them for one workspace, and finds every use of what arms a timer, be it called, taken as a
// value, imported with a dot or under another name.
//
// It needs no compiled packages, so that it is quick also where nothing has been built. Function bodies of the standard
// library are left out: its own timers are one class in the inventory.
package survey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"tourbillon/timing/retime/carry"
)

// pkg is a package as the go command lists it, with what was read of it.
type pkg struct {
	ImportPath, Dir   string
	GoFiles, CgoFiles []string
	Imports           []string
	ImportMap         map[string]string
	Standard          bool
	Module            *module
	Error             *struct{ Pos, Err string }

	files []*ast.File
	info  *types.Info
	types *types.Package
	// checked is closed when info and types are there.
	checked chan struct{}
}

type module struct{ Path, Version, Dir string }

// program is a program with all packages that it links, dependencies first.
type program struct {
	files    *token.FileSet
	packages []*pkg
	byPath   map[string]*pkg
	// broken are the places outside the standard library that do not compile, guarded by mu while packages are read.
	mu     sync.Mutex
	broken []Broken
}

// Broken is a place that does not compile.
type Broken struct {
	// Module is the path of its module.
	Module string
	// Err has file, line and reason.
	Err error
}

// load reads the program that the package pattern names, as seen from dir with the given go.work ("off" for none).
func load(dir, workspace, pattern string) (*program, error) {
	out, err := carry.Go(dir, workspace, "list", "-e", "-deps",
		"-json=ImportPath,Dir,GoFiles,CgoFiles,Imports,ImportMap,Standard,Module,Error", pattern)
	if err != nil {
		return nil, fmt.Errorf("list what %s links: %w", pattern, err)
	}
	p := &program{files: token.NewFileSet(), byPath: map[string]*pkg{}}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		listed := &pkg{checked: make(chan struct{})}
		if err := decoder.Decode(listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read what %s links: %w", pattern, err)
		}
		if listed.Module == nil {
			listed.Module = &module{Path: "std"}
		}
		p.packages = append(p.packages, listed)
		p.byPath[listed.ImportPath] = listed
	}
	p.each(p.parse)
	p.each(p.check)
	slices.SortStableFunc(p.broken, func(a, b Broken) int { return strings.Compare(a.Module, b.Module) })
	return p, nil
}

// each does something to all packages, on as many goroutines as there are processors, and begins in their order.
func (p *program) each(do func(*pkg)) {
	var wait sync.WaitGroup
	work := make(chan *pkg)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for one := range work {
				do(one)
			}
		})
	}
	for _, one := range p.packages {
		work <- one
	}
	close(work)
	wait.Wait()
}

// note takes down what does not compile; what package unsafe and C hide in the standard library is no fault.
func (p *program) note(one *pkg, err error) {
	if one.Standard || err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = append(p.broken, Broken{one.Module.Path, err})
}

func (p *program) parse(one *pkg) { p.note(one, one.parse(p.files)) }

func (one *pkg) parse(files *token.FileSet) error {
	mode := parser.SkipObjectResolution
	if !one.Standard {
		mode |= parser.ParseComments
	}
	var errs []error
	if one.Error != nil {
		errs = append(errs, fmt.Errorf("%s: %s: %s", one.ImportPath, one.Error.Pos, one.Error.Err))
	}
	for _, name := range append(one.GoFiles, one.CgoFiles...) {
		file, err := parser.ParseFile(files, filepath.Join(one.Dir, name), nil, mode)
		if err != nil {
			errs = append(errs, one.shorten(err))
		}
		if file != nil {
			one.files = append(one.files, file)
		}
	}
	return errors.Join(errs...)
}

// check type-checks one package. Its imports come before it in the list of packages, so that somebody is at work on those
// that it waits for.
func (p *program) check(one *pkg) {
	defer close(one.checked)
	if one.ImportPath == "unsafe" {
		one.types = types.Unsafe
		return
	}
	for _, path := range one.Imports {
		if imported := p.byPath[path]; imported != nil {
			<-imported.checked
		}
	}
	config := types.Config{
		IgnoreFuncBodies: one.Standard, FakeImportC: true, Importer: importer{p, one},
		Sizes: types.SizesFor("gc", runtime.GOARCH),
		Error: func(err error) { p.note(one, one.shorten(err)) },
	}
	if !one.Standard {
		one.info = &types.Info{
			Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{}, Types: map[ast.Expr]types.TypeAndValue{},
		}
	}
	one.types, _ = config.Check(one.ImportPath, p.files, one.files, one.info) // Errors went to config.Error.
}

// shorten takes the folder of the module out of an error.
func (one *pkg) shorten(err error) error {
	if one.Module.Dir == "" {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), one.Module.Dir+string(filepath.Separator), ""))
}

// importer finds what a package imports among the checked ones.
type importer struct {
	program *program
	of      *pkg
}

func (i importer) Import(path string) (*types.Package, error) {
	if mapped := i.of.ImportMap[path]; mapped != "" {
		path = mapped
	}
	if found := i.program.byPath[path]; found != nil && found.types != nil {
		return found.types, nil
	}
	return nil, fmt.Errorf("the go command lists no package %s", path)
}
