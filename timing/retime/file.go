package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The packages that stand in for package time and package context.
const (
	stdtimePath    = "tourbillon/timing/stdtime"
	stdcontextPath = "tourbillon/timing/stdcontext"
)

// contextTimers are the functions of package context that arm timers.
var contextTimers = []string{"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause"}

// uncarriableError is a construct that the generator cannot put on the injected clock.
type uncarriableError struct {
	position token.Position
	reason   string
}

func (e *uncarriableError) Error() string { return fmt.Sprintf("%s: %s", e.position, e.reason) }

// retimeFile returns a Go file with its imports of package time and package context turned, and notes the package
// that the file belongs to under its folder. All else, and each line's number, stays.
func retimeFile(rel string, source []byte, packages map[string]string) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, rel, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	if dir := filepath.Dir(rel); file.Name.Name != "main" || packages[dir] == "" {
		packages[dir] = file.Name.Name
	}
	if err := refuseLinkname(files, file); err != nil {
		return nil, err
	}
	for _, imported := range slices.Backward(file.Imports) { // Backwards, so that offsets stay true.
		text, err := turnedImport(files, file, imported)
		if err != nil {
			return nil, err
		}
		if text != "" {
			from, to := files.Position(imported.Pos()).Offset, files.Position(imported.Path.End()).Offset
			source = slices.Concat(source[:from], []byte(text), source[to:])
		}
	}
	return source, nil
}

// turnedImport is what stands in for an import, "" where it stays.
func turnedImport(files *token.FileSet, file *ast.File, imported *ast.ImportSpec) (string, error) {
	path, err := strconv.Unquote(imported.Path.Value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", files.Position(imported.Pos()), err)
	}
	name := path
	if imported.Name != nil {
		name = imported.Name.Name
	}
	switch {
	case path == "time":
		return name + " " + strconv.Quote(stdtimePath), nil
	case path == "context" && name == ".":
		return "", &uncarriableError{files.Position(imported.Pos()), "package context is imported with a dot, so its timers cannot be told from other functions"}
	case path == "context" && armsContextTimer(file, name):
		return name + " " + strconv.Quote(stdcontextPath), nil
	}
	return "", nil
}

// armsContextTimer reports whether the file selects one of contextTimers from the import with the given name.
func armsContextTimer(file *ast.File, name string) bool {
	found := false
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return !found
		}
		from, ok := selector.X.(*ast.Ident)
		found = found || ok && from.Name == name && slices.Contains(contextTimers, selector.Sel.Name)
		return !found
	})
	return found
}

// refuseLinkname stops at a linkname into package time or the runtime's timers, which no import can turn.
func refuseLinkname(files *token.FileSet, file *ast.File) error {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			fields := strings.Fields(comment.Text)
			if len(fields) == 3 && fields[0] == "//go:linkname" && strings.HasPrefix(fields[2], "time.") {
				return &uncarriableError{files.Position(comment.Pos()), "linkname to " + fields[2] + " reaches package time past any import"}
			}
		}
	}
	return nil
}
