package survey

import (
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"strings"

	"tourbillon/timing/inventory"
	"tourbillon/timing/retime/carry"
	"tourbillon/timing/stdtime"
)

// Survey lists every place that arms a timer in the program that the package pattern names, as the go command sees it
// from dir with the given go.work, and what does not compile outside the standard library; the places in what does not
// compile may be missing.
func Survey(dir, workspace, pattern string) (inventory.Inventory, []Broken, error) {
	p, err := load(dir, workspace, pattern)
	if err != nil {
		return inventory.Inventory{}, nil, err
	}
	return p.inventory(), p.broken, nil
}

func (p *program) inventory() inventory.Inventory {
	listing := inventory.Inventory{Carried: []inventory.Carried{}, Uncarried: []inventory.Uncarried{}}
	made := p.madeIn()
	for _, s := range p.sites() {
		switch s.kind {
		case onProcessClock, onClock:
			if isClock(s.pkg) {
				continue // What arms here does so for a place elsewhere.
			}
			label, tier := ownTimer(s)
			if s.kind == onProcessClock {
				label, tier = s.labelled(made)
			}
			listing.Carried = append(listing.Carried, inventory.Carried{Module: s.module, File: s.file, Line: s.line, Call: s.call, Label: label, Tier: tier})
		default:
			listing.Uncarried = append(listing.Uncarried, inventory.Uncarried{Module: s.module, File: s.file, Line: s.line, Call: s.call, Reason: reasonFor(s)})
		}
	}
	listing.Uncarried = append(listing.Uncarried, p.standardLibrary())
	return listing
}

// isClock reports whether a package is part of the clock, which every other package's place leads to.
func isClock(path string) bool {
	return path == "tourbillon/timing" || strings.HasPrefix(path, "tourbillon/timing/")
}

// labelled is a place's label and tier: those of where the timer was made, if it re-arms one that was made elsewhere.
func (s site) labelled(made map[types.Object][]string) (label, tier string) {
	function := s.function
	if makers := made[s.timer]; s.timer != nil && len(makers) == 1 && strings.HasSuffix(s.call, ".Reset") {
		function = makers[0]
	}
	name, t := stdtime.SiteOf(function)
	return name, string(t)
}

// madeIn maps variables and fields to the functions that put a new timer of the process clock there.
func (p *program) madeIn() map[types.Object][]string {
	made := map[types.Object][]string{}
	for _, one := range p.packages {
		if one.Standard || !strings.HasPrefix(one.ImportPath, carry.Prefix) {
			continue
		}
		for _, file := range one.files {
			for _, declaration := range file.Decls {
				p.noteMakers(one, declaration, made)
			}
		}
	}
	return made
}

func (p *program) noteMakers(one *pkg, declaration ast.Decl, made map[types.Object][]string) {
	function := functionName(one.ImportPath, declaration)
	note := func(to, value ast.Expr) {
		call, ok := ast.Unparen(value).(*ast.CallExpr)
		if !ok {
			return
		}
		selector, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
		held := heldIn(one, to)
		if !ok || held == nil || one.info.Uses[selector.Sel] == nil {
			return
		}
		if _, k := p.callOf(one.info.Uses[selector.Sel]); k == onProcessClock && !slices.Contains(made[held], function) {
			made[held] = append(made[held], function)
		}
	}
	ast.Inspect(declaration, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i := 0; i < len(n.Lhs) && len(n.Lhs) == len(n.Rhs); i++ {
				note(n.Lhs[i], n.Rhs[i])
			}
		case *ast.KeyValueExpr:
			note(n.Key, n.Value)
		}
		return true
	})
}

// standardLibrary is the one entry for the timers that linked packages of the standard library arm by themselves.
func (p *program) standardLibrary() inventory.Uncarried {
	arming := map[string]bool{}
	for _, one := range p.packages {
		if one.Standard && slices.ContainsFunc(one.files, mentionsTimers) {
			arming[one.ImportPath] = true
		}
	}
	return inventory.Uncarried{
		Module: "std", Call: "inside " + strings.Join(slices.Sorted(maps.Keys(arming)), ", "), Reason: standardReason,
	}
}

// mentionsTimers reports whether a file of the standard library names a function that arms timers.
func mentionsTimers(file *ast.File) (found bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return !found
		}
		from, ok := selector.X.(*ast.Ident)
		found = found || ok && (from.Name == "time" || from.Name == "context") && slices.Contains(armers[from.Name], selector.Sel.Name)
		return !found
	})
	return found
}
