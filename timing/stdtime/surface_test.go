package stdtime_test

import (
	"fmt"
	"go/constant"
	"go/importer"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"testing"
)

// standIn is a package of the standard library, what stands in for it, and where the two differ on purpose.
type standIn struct {
	theirs, ours string
	// own are types that package time's code has to be unable to mix up with its own.
	own []string
	// added are names that only the stand-in has.
	added map[string]string
}

var standIns = []standIn{
	{
		theirs: "time", ours: "tourbillon/timing/stdtime",
		own: []string{"Timer", "Ticker"},
		added: map[string]string{
			"AfterFuncSkip": "arms for stdcontext under its caller's label",
			"Use":           "sets the process clock", "ErrClockSet": "is its error", "SwapForTest": "is its test hook",
			"Module": "is what a re-timed module says of itself", "Register": "takes it", "Modules": "lists it", "Clashes": "judges it",
			"SiteOf": "tells label and tier", "LabelsOf": "tells all labels", "Tier": "is the class of clock", "Precise": "is one", "Coarse": "is one",
		},
	},
	{theirs: "context", ours: "tourbillon/timing/stdcontext"},
}

// TestSurface holds that a file which imports the standard package compiles with the stand-in: every exported name is
// there with the identical type, a constant with the identical value, and the types that differ have the same exported
// fields and methods.
func TestSurface(t *testing.T) {
	source := importer.ForCompiler(token.NewFileSet(), "source", nil)
	for _, s := range standIns {
		theirs, ours := importPackage(t, source, s.theirs), importPackage(t, source, s.ours)
		for _, problem := range s.compare(theirs, ours) {
			t.Errorf("%s: %s", s.ours, problem)
		}
		if problems := s.compare(ours, theirs); len(problems) < len(s.added) {
			t.Errorf("%s for %s: %d problems only: can the comparison fail?", s.theirs, s.ours, len(problems))
		}
	}
}

func importPackage(t *testing.T, source types.Importer, path string) *types.Package {
	t.Helper()
	p, err := source.Import(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s standIn) compare(theirs, ours *types.Package) (problems []string) {
	for _, name := range theirs.Scope().Names() {
		if want := theirs.Scope().Lookup(name); want.Exported() {
			problems = append(problems, s.compareObject(name, want, ours.Scope().Lookup(name))...)
		}
	}
	for _, name := range ours.Scope().Names() {
		if ours.Scope().Lookup(name).Exported() && theirs.Scope().Lookup(name) == nil && s.added[name] == "" {
			problems = append(problems, name+" is not in "+theirs.Path()+": give the reason")
		}
	}
	return problems
}

func (s standIn) compareObject(name string, want, got types.Object) []string {
	switch {
	case got == nil:
		return []string{name + " is missing"}
	case fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want):
		return []string{fmt.Sprintf("%s is a %T, want a %T", name, got, want)}
	case slices.Contains(s.own, name):
		return s.compareMembers(name, want.Type(), got.Type())
	case !types.Identical(got.Type(), want.Type()) && !s.sameFunction(want, got):
		return []string{fmt.Sprintf("%s is %s, want %s", name, got.Type(), want.Type())}
	}
	wanted, ok := want.(*types.Const)
	if ok && !constant.Compare(got.(*types.Const).Val(), token.EQL, wanted.Val()) {
		return []string{fmt.Sprintf("%s is %s, want %s", name, got.(*types.Const).Val(), wanted.Val())}
	}
	return nil
}

// sameFunction reports whether two functions differ at most in that the one has the stand-in's own types. Whether all
// other types are identical is seen where those are compared themselves.
func (s standIn) sameFunction(want, got types.Object) bool {
	_, isFunction := want.(*types.Func)
	return isFunction && s.text(got.Type()) == s.text(want.Type())
}

// text is the type with the stand-in's own types named as the standard package's.
func (s standIn) text(typ types.Type) string {
	return types.TypeString(typ, func(p *types.Package) string {
		if p.Path() == s.ours {
			return s.theirs
		}
		return p.Path()
	})
}

func (s standIn) compareMembers(name string, want, got types.Type) (problems []string) {
	wanted, have := s.members(want), s.members(got)
	for member, typ := range wanted {
		if have[member] != typ {
			problems = append(problems, fmt.Sprintf("%s.%s is %q, want %q", name, member, have[member], typ))
		}
	}
	for member := range maps.Keys(have) {
		if wanted[member] == "" {
			problems = append(problems, fmt.Sprintf("%s.%s has no counterpart", name, member))
		}
	}
	return problems
}

// members are a struct type's exported fields and methods with their types.
func (s standIn) members(typ types.Type) map[string]string {
	found := map[string]string{}
	for field := range typ.Underlying().(*types.Struct).Fields() {
		if field.Exported() {
			found[field.Name()] = s.text(field.Type())
		}
	}
	for method := range types.NewMethodSet(types.NewPointer(typ)).Methods() {
		if object := method.Obj(); object.Exported() {
			found[object.Name()] = s.text(object.Type().(*types.Signature))
		}
	}
	return found
}
