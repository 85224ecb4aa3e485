package survey

import (
	"go/ast"
	"go/types"
	"slices"
)

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
