// Command retime puts pion on the injected clock without a fork: it copies the pion modules that go.mod pins into
// .retimed/, turns their imports of package time (and of package context, where it arms timers) into imports of
// tourbillon/timing/stdtime and stdcontext, and writes a go.work whose replace lines point at the copies. Both are
// git-ignored; every go command then builds with the re-timed modules, and with GOWORK=off with pion as published.
// It also writes the inventory of every place in the program that arms a timer, which the binary embeds.
//
// Line numbers stay, one import line changes per file, and each copied package registers its module's version and
// content hash, so that the binary can tell what it was built from (package stdtime, Register).
//
// Run it by `go generate ./timing/...`. Where nothing changed it writes nothing; where somebody edited a copy it says so
// and copies anew. The new copies are type-checked before they replace the old ones. A construct that it cannot carry,
// or a copy that does not compile, stops it with file, line and reason, and leaves all as it was.
package main

//go:generate env GOWORK=off GOFLAGS=-mod=readonly go run .

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tourbillon/timing/retime/carry"
)

func main() {
	root, err := carry.Root()
	if err == nil {
		err = run(root, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "retime:", err)
		os.Exit(1)
	}
}

// run brings the copies and the inventory of the checkout at root up to date, and says on out what it did.
func run(root string, out io.Writer) error {
	start := time.Now()
	list, err := carry.Pinned(root)
	if err != nil {
		return err
	}
	g := generation{root: root, list: list}
	did, err := g.run(out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "retime: %s (%.2f s)\n", did, time.Since(start).Seconds())
	return nil
}

func (g generation) run(out io.Writer) (did string, err error) {
	old, same, edited, err := g.upToDate()
	if err != nil {
		return "", err
	}
	if same {
		return g.runInventory(old)
	}
	if len(edited) > 0 {
		fmt.Fprintf(out, "retime: these were changed after they were generated, and are generated anew: %s\n", strings.Join(edited, ", "))
	}
	fresh, of, err := g.prepare()
	defer os.RemoveAll(fresh) // Nothing is left of it after commit.
	if err != nil {
		return "", err
	}
	listing, err := g.survey(filepath.Join(fresh, workFile))
	if err != nil {
		return "", err
	}
	if err := g.commit(fresh, of); err != nil {
		return "", err
	}
	did, err = g.writeInventory(listing, of)
	return fmt.Sprintf("%d modules on the injected clock; %s", len(g.list.Modules), did), err
}
