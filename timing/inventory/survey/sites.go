package survey

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// site is one place that arms a timer.
type site struct {
	module, pkg string
	// file is relative to the module; function is the enclosing one's name as the runtime gives it, without the
	// parts that stand for closures.
	file     string
	line     int
	function string
	call     string
	kind     kind
	// timer is the variable or field that holds the timer which a method re-arms, nil where that is not seen.
	timer types.Object
}

// sites finds all places outside the standard library, in the order of module, file and line.
func (p *program) sites() []site {
	var found []site
	for _, one := range p.packages {
		for _, file := range one.files {
			if !one.Standard {
				found = append(found, p.sitesIn(one, file)...)
			}
		}
	}
	slices.SortFunc(found, func(a, b site) int {
		return cmp.Or(cmp.Compare(a.module, b.module), cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.call, b.call))
	})
	return found
}

func (p *program) sitesIn(one *pkg, file *ast.File) (found []site) {
	add := func(pos token.Pos, function, call string, k kind, timer types.Object) {
		position := p.files.PositionFor(pos, false)
		rel, err := filepath.Rel(one.Module.Dir, position.Filename)
		if err != nil {
			rel = position.Filename
		}
		found = append(found, site{one.Module.Path, one.ImportPath, filepath.ToSlash(rel), position.Line, function, call, k, timer})
	}
	for _, declaration := range file.Decls {
		function := functionName(one.ImportPath, declaration)
		var parents []ast.Node
		ast.Inspect(declaration, func(n ast.Node) bool {
			if n == nil {
				parents = parents[:len(parents)-1]
				return true
			}
			if name, ok := n.(*ast.Ident); ok && one.info.Uses[name] != nil {
				call, k := p.callOf(one.info.Uses[name])
				if call != "" && !p.armsNothing(one, name, k, parents) {
					add(name.Pos(), function, call, k, timerOf(one, parents))
				}
			}
			parents = append(parents, n)
			return true
		})
	}
	for _, comment := range linknames(file) {
		add(comment.Pos(), one.ImportPath, comment.Text, onPackageTime, nil)
	}
	return found
}

// functionName is the name of a declared function as the runtime gives it; what is no function belongs to "init".
func functionName(path string, declaration ast.Decl) string {
	function, ok := declaration.(*ast.FuncDecl)
	if !ok {
		return path + ".init"
	}
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return path + "." + function.Name.Name
	}
	return path + "." + receiverName(function.Recv.List[0].Type) + "." + function.Name.Name
}

func receiverName(receiver ast.Expr) string {
	switch t := receiver.(type) {
	case *ast.StarExpr:
		return "(*" + receiverName(t.X) + ")"
	case *ast.IndexExpr:
		return receiverName(t.X) + "[...]"
	case *ast.IndexListExpr:
		return receiverName(t.X) + "[...]"
	case *ast.ParenExpr:
		return receiverName(t.X)
	case *ast.Ident:
		return t.Name
	}
	return "?"
}

// timerOf is the variable that a re-armed timer is held in: x of x.Reset, or f of x.f.Reset.
func timerOf(one *pkg, parents []ast.Node) types.Object {
	selector, ok := parents[len(parents)-1].(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	return heldIn(one, selector.X)
}

// heldIn is the variable or field that an expression names, nil where it is more than that.
func heldIn(one *pkg, e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return cmp.Or(one.info.Uses[e], one.info.Defs[e])
	case *ast.SelectorExpr:
		return one.info.Uses[e.Sel]
	}
	return nil
}

// clockLinkname matches the directives that reach timers past any import.
var clockLinkname = regexp.MustCompile(`^//go:linkname \w+ (time\.(Sleep|After|New|start|reset)|runtime\.(timeSleep|newTimer|resetTimer)|internal/poll\.)`)

func linknames(file *ast.File) (found []*ast.Comment) {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if clockLinkname.MatchString(strings.TrimSpace(comment.Text)) {
				found = append(found, comment)
			}
		}
	}
	return found
}
