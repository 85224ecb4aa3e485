package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"tourbillon/timing/retime/carry"
)

// Where the output goes, below the module's root.
const (
	outputDir = ".retimed"
	stampFile = "stamp"
	workFile  = "go.work"
)

// generation is one run of the generator: the same modules give the same bytes.
type generation struct {
	root string
	list carry.List
}

// workspace is go.work, for the module at use and copies below copies. The replace lines name versions, so that after a
// version bump without a new run the go command falls back to the module as published, which start-up reports, instead
// of building an old copy.
func (g generation) workspace(use, copies string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "// Written by timing/retime; do not edit.\n\ngo %s\n\nuse %s\n\nreplace (\n", g.list.GoVersion, use)
	for _, m := range g.list.Modules {
		fmt.Fprintf(&b, "\t%s %s => ./%s\n", m.Path, m.Version, copies+m.Path)
	}
	b.WriteString(")\n")
	return b.Bytes()
}

// upToDate reports whether a run with the same input has left its output, and whether anybody has changed that output
// since.
func (g generation) upToDate() (old stamp, same bool, edited []string, err error) {
	old, found := readStamp(filepath.Join(g.root, outputDir))
	if !found || old.Input != g.input() {
		return stamp{}, false, nil, nil // No output of this input, whatever is there.
	}
	edited, err = editedSince(filepath.Join(g.root, outputDir), old.Files)
	if err != nil {
		return stamp{}, false, nil, fmt.Errorf("look at the old copies: %w", err)
	}
	if work, err := os.ReadFile(filepath.Join(g.root, workFile)); err != nil || !bytes.Equal(work, g.finalWorkspace()) {
		edited = append(edited, workFile)
	}
	return old, len(edited) == 0, edited, nil
}

func (g generation) finalWorkspace() []byte { return g.workspace(".", outputDir+"/") }

// prepare makes the copies in a folder of their own beside the old ones, with a workspace that uses them, so that they
// can be checked before they replace anything. The caller removes the folder.
func (g generation) prepare() (fresh string, of stamp, err error) {
	fresh, err = os.MkdirTemp(g.root, outputDir+"-new-")
	if err != nil {
		return "", of, cannotWrite(g.root, err)
	}
	of = stamp{Input: g.input(), Sums: map[string]string{}}
	for _, m := range g.list.Modules {
		copied, err := carry.Copy(m, filepath.Join(fresh, filepath.FromSlash(m.Path)), carry.Options{})
		if err != nil {
			return fresh, of, err
		}
		of.Sums[m.Path] = copied.Sum
	}
	if of.Files, err = manifestOf(os.DirFS(fresh)); err != nil {
		return fresh, of, fmt.Errorf("look at the new copies: %w", err)
	}
	return fresh, of, os.WriteFile(filepath.Join(fresh, workFile), g.workspace("..", ""), 0o644)
}

// commit puts prepared copies in the place of the old ones. A run that is cut off leaves nothing half done: without
// its stamp the next run starts again.
func (g generation) commit(fresh string, of stamp) error {
	if err := os.Remove(filepath.Join(fresh, workFile)); err != nil {
		return err
	}
	if err := of.write(fresh); err != nil {
		return err
	}
	final := filepath.Join(g.root, outputDir)
	if err := os.RemoveAll(final); err != nil {
		return fmt.Errorf("remove the old copies: %w", err)
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	if err := os.Rename(fresh, final); err != nil {
		return fmt.Errorf("swap in the new copies: %w", err)
	}
	return os.WriteFile(filepath.Join(g.root, workFile), g.finalWorkspace(), 0o644)
}

// cannotWrite is what a read-only checkout is told.
func cannotWrite(root string, err error) error {
	return fmt.Errorf("cannot write in %s: %w: the copies of pion (%s) and %s go there, so build in a checkout that this user can write", root, err, outputDir, workFile)
}
