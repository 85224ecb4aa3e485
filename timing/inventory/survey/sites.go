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

// armsNothing reports whether a use of what usually arms a timer does not: a setting that is only read, a deadline that
// is cleared, that lies in the past (which interrupts), or that a SetDeadline method passes on for its caller.
func (p *program) armsNothing(one *pkg, name *ast.Ident, k kind, parents []ast.Node) bool {
	switch k {
	case bySetting:
		return !isSet(name, parents)
	case onSocket:
		call := enclosingCall(name, parents)
		if call == nil {
			return false // Taken as a value: nothing is known of its deadlines.
		}
		return p.isPast(one, call.Args[0]) || passesOn(one, call.Args[0], parents)
	}
	return false
}

// isSet reports whether a field is given a value: in a literal or by an assignment.
func isSet(name *ast.Ident, parents []ast.Node) bool {
	if pair, ok := parents[len(parents)-1].(*ast.KeyValueExpr); ok {
		return pair.Key == name
	}
	selector, ok := parents[len(parents)-1].(*ast.SelectorExpr)
	if !ok || len(parents) < 2 {
		return false
	}
	assignment, ok := parents[len(parents)-2].(*ast.AssignStmt)
	return ok && slices.Contains(assignment.Lhs, ast.Expr(selector))
}

// enclosingCall is the call whose function the name is, nil where it is none's.
func enclosingCall(name *ast.Ident, parents []ast.Node) *ast.CallExpr {
	var function ast.Expr = name
	for _, parent := range slices.Backward(parents) {
		switch parent := parent.(type) {
		case *ast.SelectorExpr, *ast.ParenExpr:
			function = parent.(ast.Expr)
		case *ast.CallExpr:
			if parent.Fun == function && len(parent.Args) == 1 {
				return parent
			}
			return nil
		default:
			return nil
		}
	}
	return nil
}

// isPast reports whether an expression is the zero time, a fixed instant, the present one, or a variable of the package
// that holds one of these.
func (p *program) isPast(one *pkg, e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.CompositeLit:
		return len(e.Elts) == 0
	case *ast.CallExpr:
		selector, ok := ast.Unparen(e.Fun).(*ast.SelectorExpr)
		if !ok {
			return false
		}
		function, ok := one.info.Uses[selector.Sel].(*types.Func)
		return ok && function.Pkg() != nil && (called(function.Pkg().Path(), nameOf(function)) == "time.Now" ||
			called(function.Pkg().Path(), nameOf(function)) == "time.Unix" && allConstant(one, e.Args))
	case *ast.Ident:
		variable, ok := one.info.Uses[e].(*types.Var)
		return ok && variable.Parent() == one.types.Scope() && p.startsPast(one, variable)
	}
	return false
}

// startsPast reports whether a variable of the package is declared with an instant that isPast.
func (p *program) startsPast(one *pkg, variable *types.Var) bool {
	for _, file := range one.files {
		for _, declaration := range file.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				values, ok := spec.(*ast.ValueSpec)
				for i := 0; ok && i < len(values.Values) && i < len(values.Names); i++ {
					if one.info.Defs[values.Names[i]] == variable {
						return p.isPast(one, values.Values[i])
					}
				}
			}
		}
	}
	return false
}

func allConstant(one *pkg, expressions []ast.Expr) bool {
	return !slices.ContainsFunc(expressions, func(e ast.Expr) bool { return one.info.Types[e].Value == nil })
}

// passesOn reports whether a deadline is the parameter of a method that itself sets deadlines.
func passesOn(one *pkg, deadline ast.Expr, parents []ast.Node) bool {
	method, ok := parents[0].(*ast.FuncDecl)
	if !ok || !slices.Contains(deadlineSetters, method.Name.Name) {
		return false
	}
	name, ok := ast.Unparen(deadline).(*ast.Ident)
	if !ok || one.info.Uses[name] == nil {
		return false
	}
	at := one.info.Uses[name].Pos()
	return method.Type.Params.Pos() <= at && at < method.Type.Params.End()
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
