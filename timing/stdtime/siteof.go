package stdtime

import (
	"regexp"
	"slices"
	"strings"
)

// SiteOf names the label and the tier of the timers that a function arms. The function is named as [runtime.Frame]
// does, with closures as part of the function around them. Where one function makes several kinds of timers for its
// callers the label stands for all of [LabelsOf]. Functions outside the re-timed modules have the label "other".
func SiteOf(function string) (label string, tier Tier) {
	if r := rowOf(function); r != nil {
		return r.label, r.tier
	}
	if module := moduleOf(function); module != "" {
		return Module{Path: module}.Label(), Precise
	}
	return "other", Precise
}

// LabelsOf names all labels that the timers of a function are recorded under.
func LabelsOf(function string) []string {
	if r := rowOf(function); r != nil && kinds[r.label] != nil {
		return slices.Clone(kinds[r.label])
	}
	label, _ := SiteOf(function)
	return []string{label}
}

// rowOf finds a function's row; nil when it has none.
func rowOf(function string) *row {
	module := moduleOf(function)
	if module == "" {
		return nil
	}
	label, local := Module{Path: module}.Label(), withoutClosures(function[len(module):])
	for i := range rows {
		if r := &rows[i]; strings.HasPrefix(r.label, label+".") && r.names(local) {
			return r
		}
	}
	return nil
}

// names reports whether the row is about a function that is named relative to its module: "/dir.Function", or
// ".Function" at the top. A closure of a function that the compiler put into another one bears both names.
func (r *row) names(local string) bool {
	local = strings.TrimPrefix(local, "/")
	if local == r.function {
		return true
	}
	dir, name, _ := strings.Cut(r.function, ".")
	rest, inPackage := strings.CutPrefix(local, dir+".")
	outer, inlined := strings.CutSuffix(rest, "."+name)
	return inPackage && inlined && !strings.HasSuffix(outer, ")")
}

// closure is what the compiler adds to a function's name for functions inside of it.
var closure = regexp.MustCompile(`(\.func[0-9]+|\.gowrap[0-9]+|\.deferwrap[0-9]+|-range[0-9]+|-fm|\.[0-9]+)+$`)

func withoutClosures(function string) string { return closure.ReplaceAllString(function, "") }

// pionModule is the path of any pion module, so that a label can be told also for modules that are not linked.
var pionModule = regexp.MustCompile(`^github\.com/pion/[^/.]+(/v[0-9]+)?`)

// moduleOf is the path of the module that a function belongs to, "" for functions of modules that are not re-timed.
func moduleOf(function string) string {
	for _, m := range Modules() {
		if rest, ok := strings.CutPrefix(function, m.Path); ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/")) {
			return m.Path
		}
	}
	return pionModule.FindString(function)
}
