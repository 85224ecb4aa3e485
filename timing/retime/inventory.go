package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"tourbillon/timing/inventory"
	"tourbillon/timing/inventory/survey"
	"tourbillon/timing/retime/carry"
)

// inventoryFile is where package observe embeds the inventory of timers from.
const inventoryFile = "appliance/observe/timers/inventory.json"

// program is the package whose timers are listed.
const program = "tourbillon"

// uncarriedError says that a copy would not compile: a pion version that uses what the stand-ins lack, a timer that
// leaks out of the copies, or versions that do not fit together.
type uncarriedError struct {
	module carry.Module
	err    error
}

func (e *uncarriedError) Error() string {
	line, _, _ := strings.Cut(e.err.Error(), "\n") // The compiler's further lines are details.
	return fmt.Sprintf("%s %s does not compile when re-timed: %s", e.module.Path, e.module.Version, line)
}

func (e *uncarriedError) Unwrap() error { return e.err }

// surveyed is what came of a survey: a listing, or what kept it from being whole.
type surveyed struct {
	inventory.Inventory
	problem error
}

// survey lists the program's timers as the workspace makes it. Copies that do not compile are an [uncarriedError];
// other code that does not compile leaves the inventory out, which is for the build to complain of.
func (g generation) survey(workspace string) (surveyed, error) {
	listing, broken, err := survey.Survey(g.root, workspace, program)
	if err != nil {
		return surveyed{}, err
	}
	for _, b := range broken {
		for _, m := range g.list.Modules {
			if b.Module == m.Path {
				return surveyed{}, &uncarriedError{m, b.Err}
			}
		}
	}
	if len(broken) > 0 {
		return surveyed{problem: broken[0].Err}, nil
	}
	return surveyed{Inventory: listing}, nil
}

// runInventory brings the inventory up to date where the copies are, and says what it did.
func (g generation) runInventory(of stamp) (did string, err error) {
	input, err := g.inventoryInput(of)
	if err != nil {
		return "", err
	}
	var old inventory.Recorded
	if data, err := os.ReadFile(filepath.Join(g.root, inventoryFile)); err == nil && json.Unmarshal(data, &old) == nil && old.Input == input {
		return "up to date", nil
	}
	listing, err := g.survey(filepath.Join(g.root, workFile))
	if err != nil {
		return "", err
	}
	return g.writeInventory(listing, of)
}

// writeInventory puts the inventory where the build embeds it, or takes an old one away where there is none to put.
func (g generation) writeInventory(listing surveyed, of stamp) (did string, err error) {
	file := filepath.Join(g.root, inventoryFile)
	if listing.problem != nil {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", cannotWrite(g.root, err)
		}
		return fmt.Sprintf("no inventory of timers, since the program does not compile: %v", listing.problem), nil
	}
	input, err := g.inventoryInput(of)
	if err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(inventory.Recorded{Input: input, Sums: of.Sums, Inventory: listing.Inventory}, "", " ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", cannotWrite(g.root, err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		return "", cannotWrite(g.root, err)
	}
	return fmt.Sprintf("inventory of %d timers on the injected clock and %d past it", len(listing.Carried), len(listing.Uncarried)), nil
}

// inventoryInput names what the inventory is made from: the copies, the build list, the toolchain and all Go files of
// the house but tests.
func (g generation) inventoryInput(of stamp) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, of.Input, runtime.Version(), runtime.GOOS, runtime.GOARCH, os.Getenv("GOFLAGS"))
	err := filepath.WalkDir(g.root, func(path string, entry fs.DirEntry, err error) error {
		switch name := ""; {
		case err != nil:
			return err
		case entry.IsDir():
			if name = entry.Name(); path != g.root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		return note(hash, g.root, path)
	})
	if err != nil {
		return "", fmt.Errorf("read the sources: %w", err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), nil
}

// note adds a file to a hash if it has a say in what the program links.
func note(hash io.Writer, root, path string) error {
	name := filepath.Base(path)
	if name != "go.mod" && name != "go.sum" && (!strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")) {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, path)
	fmt.Fprintf(hash, "%s %x\n", rel, sha256.Sum256(data))
	return err
}
