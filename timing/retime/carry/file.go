package carry

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The packages that stand in for package time and package context.
const (
	StdtimePath    = "tourbillon/timing/stdtime"
	StdcontextPath = "tourbillon/timing/stdcontext"
)

// contextTimers are the functions of package context that arm timers.
var contextTimers = []string{"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause"}

// UncarriableError is a construct that cannot be put on the injected clock.
type UncarriableError struct {
	// Position is the file, relative to its module, with line and column.
	Position token.Position
	// Reason says what the construct does that no turned import reaches.
	Reason string
}

func (e *UncarriableError) Error() string { return fmt.Sprintf("%s: %s", e.Position, e.Reason) }

// File returns a Go file with its imports of package time and package context turned, and its package's name. All
// else, and each line's number, stays. rel names the file in errors, of which an [UncarriableError] is one.
func File(rel string, source []byte) (turned []byte, packageName string, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, rel, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, "", fmt.Errorf("parse: %w", err)
	}
	if err := refuseLinkname(files, file); err != nil {
		return nil, "", err
	}
	for _, imported := range slices.Backward(file.Imports) { // Backwards, so that offsets stay true.
		text, err := turnedImport(files, file, imported)
		if err != nil {
			return nil, "", err
		}
		if text != "" {
			from, to := at(files, imported.Pos()).Offset, at(files, imported.Path.End()).Offset
			source = slices.Concat(source[:from], []byte(text), source[to:])
		}
	}
	return source, file.Name.Name, nil
}

// turnedImport is what stands in for an import, "" where it stays.
func turnedImport(files *token.FileSet, file *ast.File, imported *ast.ImportSpec) (string, error) {
	path, err := strconv.Unquote(imported.Path.Value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", at(files, imported.Pos()), err)
	}
	name := path
	if imported.Name != nil {
		name = imported.Name.Name
	}
	switch {
	case path == "C":
		return "", &UncarriableError{at(files, imported.Pos()), "imports C, whose timers no Go import can turn"}
	case path == "time":
		return name + " " + strconv.Quote(StdtimePath), nil
	case path == "context" && armsContextTimer(file, name):
		return name + " " + strconv.Quote(StdcontextPath), nil
	}
	return "", nil
}

// armsContextTimer reports whether the file names one of contextTimers of the import with the given name. A local
// variable of that name may make it say yes too often, which does no harm: package stdcontext is complete.
func armsContextTimer(file *ast.File, name string) bool {
	found := false
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			from, ok := n.X.(*ast.Ident)
			found = found || ok && from.Name == name && slices.Contains(contextTimers, n.Sel.Name)
		case *ast.Ident:
			found = found || name == "." && slices.Contains(contextTimers, n.Name)
		}
		return !found
	})
	return found
}

// at is where something is in its file, whatever a line directive of a generated file says.
func at(files *token.FileSet, pos token.Pos) token.Position { return files.PositionFor(pos, false) }

// clockSymbol matches the names of what keeps time inside the standard library, with the dot of Go or of assembly.
var clockSymbol = regexp.MustCompile(`(?:^|[^\w/])((?:time|context)[.·]|(?:runtime|internal/poll\.runtime)[._·](?:nanotime|walltime|time|newTimer|stopTimer|resetTimer|poll))\w*`)

// refuseLinkname stops at a linkname into the standard library's clock, which no import can turn.
func refuseLinkname(files *token.FileSet, file *ast.File) error {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			fields := strings.Fields(comment.Text)
			if len(fields) == 3 && fields[0] == "//go:linkname" && clockSymbol.MatchString(fields[2]) {
				return &UncarriableError{at(files, comment.Pos()), "linkname to " + fields[2] + " reaches the clock past any import"}
			}
		}
	}
	return nil
}

// refuseAssembly stops at assembly that names the clock.
func refuseAssembly(rel string, source []byte) error {
	for i, line := range strings.Split(string(source), "\n") {
		if found := clockSymbol.FindString(line); strings.Contains(found, "·") {
			return &UncarriableError{token.Position{Filename: rel, Line: i + 1}, "assembly reaches the clock past any import: " + strings.TrimSpace(line)}
		}
	}
	return nil
}
